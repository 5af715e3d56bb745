"""What is taken for JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import BadRequestError
from eomd.handlers.strict_json import DEPTH_MAX, decode_json


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": 1} x',
        b'"\xff"',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_what_could_be_misunderstood_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        decode_json(data, "the body")
    assert str(caught.value).startswith("the body")
    assert len(str(caught.value)) < 200


def test_nesting_ends_at_its_limit() -> None:
    decode_json(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, "x")
    with pytest.raises(BadRequestError, match="nested"):
        decode_json(b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), "x")


def test_a_byte_order_mark_is_no_fault() -> None:
    assert decode_json(b'\xef\xbb\xbf{"a": 1}', "x") == {"a": 1}


def test_integers_keep_every_digit() -> None:
    assert decode_json(b"9223372036854775807", "x") == 2**63 - 1


@given(st.binary())
def test_any_bytes_are_a_value_or_a_bad_request(data: bytes) -> None:
    try:
        decode_json(data, "x")
    except BadRequestError:
        return


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_VALUES)
def test_what_json_writes_is_read(value: object) -> None:
    text = json.dumps(value).encode("utf-8")
    assert decode_json(text, "x") == value
