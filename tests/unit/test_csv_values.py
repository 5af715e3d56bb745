"""Users and amounts as text: what is cleaned, what is refused, and both forms saying the same."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.model import Mode
from eomd.storage.csv_columns import read_column
from eomd.storage.csv_values import USER_RULE, NumberRule, amount_rule, is_number_header, trim

INC, SET = amount_rule(Mode.INC), amount_rule(Mode.SET)

SPACES = [" ", "\t", "\u3000", "\u00a0", "\u2003", "\u200b", "\ufeff", "\x0b", "\x1f", "\x85", "\u2028"]
PARTS = [
    *SPACES,
    "'",
    ".0",
    ".",
    "-",
    "+",
    "０",
    "９",
    "5",
    "007",
    "1",
    "0",
    "E+08",
    ",",
    "，",
    "张",
    "x",
    "é",
    "\U0001f600",
]
CELLS = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=6).map("".join),
    st.integers(-(2**64), 2**64).map(str),
    st.text(max_size=6),
)


@pytest.mark.parametrize(
    "cell", ["1", " 1 ", "\u30001\u00a0", "\ufeff1\u200b", "'1", " '1 ", "１", "1.0", "001", "' １.0 "]
)
def test_clean_forms_of_a_user_are_accepted(cell: str) -> None:
    assert USER_RULE.parse(cell) == 1


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("0", "from 1 on"),
        ("-3", "from 1 on"),
        ("+3", "plus sign"),
        ("1.00E+08", "exponent"),
        ("1e5", "exponent"),
        ("1,000", "thousands"),
        ("1 000 000", "thousands"),
        ("1.5", "decimal"),
        ("1.00", "decimal"),
        ("''1", "not a number"),
        ("abc", "not a number"),
        ("٣", "not a number"),
        ("9223372036854775808", "over 9223372036854775807"),
        ("12345678901234567890", "more than 19 digits"),
    ],
)
def test_user_is_refused_with_the_reason(cell: str, reason: str) -> None:
    found = USER_RULE.parse(cell)
    assert isinstance(found, str)
    assert reason in found


def test_whole_range_of_users_is_accepted() -> None:
    assert USER_RULE.parse("9223372036854775807") == 2**63 - 1


@pytest.mark.parametrize("mode", [Mode.INC, Mode.DEC])
@pytest.mark.parametrize("cell", ["-5", "-0", " -5.0"])
def test_negative_amount_is_refused_for_inc_and_dec(mode: Mode, cell: str) -> None:
    found = amount_rule(mode).parse(cell)
    assert isinstance(found, str)
    assert "negative" in found


@pytest.mark.parametrize("cell", ["-5", "-0", "-9223372036854775808", "9223372036854775807", "0"])
def test_set_takes_the_whole_range_of_values(cell: str) -> None:
    assert SET.parse(cell) == int(cell)


@pytest.mark.parametrize("cell", ["-9223372036854775809", "9223372036854775808", "-", "--5", "－5"])
def test_set_refuses_what_is_not_a_value(cell: str) -> None:
    assert isinstance(SET.parse(cell), str)


def test_inc_takes_zero() -> None:
    assert INC.parse("0") == 0


@pytest.mark.parametrize(
    ("header", "number"),
    [("1001", True), ("'1001", True), ("1.5", True), ("amount", False), ("1001_x", False)],
)
def test_number_headers_are_told_from_text(header: str, number: bool) -> None:
    assert is_number_header(header) is number


@given(st.text(alphabet=[*SPACES, "a", "'"], max_size=8))
def test_trim_leaves_no_space_at_either_end(text: str) -> None:
    trimmed = trim(text)
    assert trimmed == "" or (trimmed[0] not in SPACES and trimmed[-1] not in SPACES)


@given(st.lists(CELLS, max_size=8), st.sampled_from([USER_RULE, INC, SET]))
def test_column_never_says_otherwise_than_the_cell(cells: list[str], rule: NumberRule) -> None:
    reading = read_column(pa.array(cells, pa.string()), rule)
    for cell, value, valid, hopeless in zip(
        cells, reading.values, reading.valid, reading.hopeless, strict=True
    ):
        asked = rule.parse(cell)
        assert not valid or asked == value
        assert not hopeless or (isinstance(asked, str) and trim(cell))


@given(st.lists(CELLS, max_size=4), st.sampled_from([USER_RULE, INC, SET]))
def test_plain_column_is_parsed_as_its_cells_are(cells: list[str], rule: NumberRule) -> None:
    numbers = rule.parse_column(pa.array(["x", *cells], pa.string()).slice(1))
    if numbers is not None:
        assert numbers.tolist() == [rule.parse(cell) for cell in cells]


@given(st.lists(st.integers(1, 2**63 - 1), min_size=1))
def test_plain_column_of_users_is_good(users: list[int]) -> None:
    numbers = USER_RULE.parse_column(pa.array(map(str, users), pa.string()))
    assert numbers is not None
    assert numbers.tolist() == users
