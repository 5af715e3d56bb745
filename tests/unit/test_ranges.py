"""Which bytes a client wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.handlers.ranges import (
    UnsatisfiableRangeError,
    format_date,
    is_unchanged,
    parse_range,
    range_holds,
)

ETAG = '"abc"'
MODIFIED = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-", (10, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=0-1,5-6", None),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("rows=0-1", None),
        ("", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_range(header: str, wanted: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == wanted


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)])
def test_a_range_outside_of_the_file_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, size)


@given(st.text(max_size=40), st.integers(0, 1000))
def test_a_range_lies_within_the_file(header: str, size: int) -> None:
    try:
        wanted = parse_range("bytes=" + header, size)
    except UnsatisfiableRangeError:
        return
    assert wanted is None or 0 <= wanted[0] < wanted[1] <= size


def test_a_known_etag_means_unchanged() -> None:
    assert is_unchanged('"x", W/"abc"', None, ETAG, MODIFIED)
    assert is_unchanged("*", None, ETAG, MODIFIED)
    assert not is_unchanged('"x"', None, ETAG, MODIFIED)


def test_the_date_counts_only_without_an_etag() -> None:
    later = format_date(MODIFIED + timedelta(days=1))
    assert is_unchanged(None, later, ETAG, MODIFIED)
    assert is_unchanged(None, format_date(MODIFIED), ETAG, MODIFIED)
    assert not is_unchanged('"x"', later, ETAG, MODIFIED)
    assert not is_unchanged(None, format_date(MODIFIED - timedelta(seconds=1)), ETAG, MODIFIED)
    assert not is_unchanged(None, "yesterday", ETAG, MODIFIED)


def test_a_range_of_another_version_does_not_hold() -> None:
    assert range_holds(None, ETAG, MODIFIED)
    assert range_holds(ETAG, ETAG, MODIFIED)
    assert range_holds(format_date(MODIFIED), ETAG, MODIFIED)
    assert not range_holds('"x"', ETAG, MODIFIED)
    assert not range_holds('W/"abc"', ETAG, MODIFIED)
