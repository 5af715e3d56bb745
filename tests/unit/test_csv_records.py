"""A CSV text cut into records: line numbers, quotes, limits."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import TooLargeError
from eomd.storage import csv_records
from eomd.storage.csv_fast import quotes_are_strict
from eomd.storage.csv_records import Record, read_records

LIMIT = 1 << 20
CELLS = st.text(alphabet='a1 ,;"\r\n张', max_size=5)


def _read(data: bytes, delimiter: str = ",", line_bytes_max: int = LIMIT) -> list[Record]:
    return list(read_records(io.BytesIO(data), delimiter, line_bytes_max))


def _quote(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def test_lines_are_counted_over_all_line_ends() -> None:
    found = _read(b"a\nb\r\nc\rd\n\n\re")
    assert [(r.line, r.cells) for r in found if r.cells != [""]] == [
        (1, ["a"]),
        (2, ["b"]),
        (3, ["c"]),
        (4, ["d"]),
        (7, ["e"]),
    ]


def test_other_separators_of_unicode_do_not_end_a_line() -> None:
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f"
    assert [record.cells for record in _read(text.encode())] == [[text]]


def test_record_is_numbered_by_the_line_it_starts_in() -> None:
    found = _read(b'1,"a\r\n\nb"\n2,c\n')
    assert [(r.line, r.cells) for r in found] == [(1, ["1", "a\r\n\nb"]), (4, ["2", "c"])]


def test_doubled_quotes_are_one() -> None:
    assert _read(b'"a""b","","""",\n')[0].cells == ['a"b', "", '"', ""]


def test_quote_inside_a_plain_cell_is_text() -> None:
    assert _read(b'5" disk,a"b"\n')[0] == Record(1, ['5" disk', 'a"b"'], (), None)


def test_text_after_a_closing_quote_is_a_fault_of_that_line_alone() -> None:
    found = _read(b'1,"a"b\n2,c\n')
    assert [(r.line, r.fault) for r in found] == [(1, csv_records.TEXT_AFTER_QUOTE_FAULT), (2, None)]


def test_unclosed_quote_is_a_fault_of_the_line_where_it_starts() -> None:
    found = _read(b'1,a\n2,"b\n3,c\n4,d\n')
    assert [(r.line, r.fault) for r in found] == [(1, None), (2, csv_records.UNCLOSED_QUOTE_FAULT)]


def test_nul_is_a_fault() -> None:
    assert [r.fault for r in _read(b'1\n\x002\n"\x00"\n')] == [
        None,
        csv_records.NUL_FAULT,
        csv_records.NUL_FAULT,
    ]


def test_line_over_the_limit_is_too_large() -> None:
    assert len(_read(b"12345\r\n12345", line_bytes_max=5)) == 2
    with pytest.raises(TooLargeError, match=r"limits\.line_bytes = 5 bytes"):
        _read(b"12345\n123456\n", line_bytes_max=5)


def test_endless_line_is_not_kept() -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size: int = -1) -> bytes:
            self.taken += size
            return b"1" * size

    stream = Endless()
    with pytest.raises(TooLargeError):
        list(read_records(stream, ",", LIMIT))
    assert stream.taken < 2 * LIMIT


@pytest.mark.parametrize("body", [b"1\n" * 100, b"x\n" + b"1" * 100])
def test_quoted_record_over_the_limit_is_an_unclosed_quote(body: bytes) -> None:
    found = _read(b'1\n"' + body + b'"\n2\n', line_bytes_max=20)
    assert [r.line for r in found] == [1, 2]
    assert "not closed within limits.line_bytes = 20" in (found[1].fault or "")


@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=5),
    st.sampled_from([",", "\t", ";"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 9),
)
def test_quoted_rows_read_back_equal(
    rows: list[list[str]], delimiter: str, end: str, chunk_bytes: int
) -> None:
    text = "".join(delimiter.join(map(_quote, row)) + end for row in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "_CHUNK_BYTES", chunk_bytes)
        found = _read(text.encode(), delimiter)
    assert [(record.cells, record.fault) for record in found] == [(row, None) for row in rows]


@given(
    st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a"]), max_size=12).map(b"".join), st.integers(1, 5)
)
def test_quotes_called_strict_have_no_fault(data: bytes, chunk_bytes: int) -> None:
    chunks = [data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes)]
    if quotes_are_strict(chunks, ","):
        assert all(record.fault is None for record in _read(data))
