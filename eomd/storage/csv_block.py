"""Whole lines read at once, where each surely is one record, with their numbers; else they are left alone."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from eomd.storage.csv_columns import ColumnReading, read_column
from eomd.storage.csv_fast import convert_options, quotes_are_strict
from eomd.storage.csv_layout import Layout
from eomd.storage.csv_records import LINE_ENDS
from eomd.storage.csv_values import USER_RULE

_FULL_WIDTH_SEPARATOR = re.compile("，|；".encode())


@dataclass(frozen=True, slots=True)
class LineBlock:
    """n records of one line each."""

    #: uint64[n]: physical lines
    lines: NDArray[np.uint64]
    #: one string array of n cells per column
    columns: list[Any]
    user: ColumnReading
    #: one per column of amounts
    amounts: list[ColumnReading]

    @property
    def sure(self) -> NDArray[np.bool_]:
        """bool[n]: the line is surely good."""
        sure = self.user.valid.copy()
        for reading in self.amounts:
            sure &= reading.valid
        return sure

    @property
    def hopeless(self) -> NDArray[np.intp]:
        """intp[n]: how many cells are surely bad; 0 where any cell is in doubt."""
        readings = [self.user, *self.amounts]
        decided = np.all([reading.valid | reading.hopeless for reading in readings], axis=0)
        count: NDArray[np.intp] = np.sum([reading.hopeless & decided for reading in readings], axis=0)
        return count

    def rows(self, positions: NDArray[np.intp]) -> list[tuple[str, ...]]:
        """Return the cells of some lines."""
        picked = pa.array(positions)
        return list(zip(*(column.take(picked).to_pylist() for column in self.columns), strict=True))


def read_block(first_line: int, lines: list[bytes], layout: Layout, line_bytes_max: int) -> LineBlock | None:
    """Read lines that are not empty as records; None where they must be looked at one by one."""
    filled = np.array([line not in LINE_ENDS for line in lines])
    data = b"".join(lines)
    # pyarrow would take such a mark away, which here belongs to a cell
    if data.startswith(BOM_UTF8):
        return None
    if b"\0" in data or max(map(len, lines)) > line_bytes_max or not filled.any():
        return None
    quoted = b'"' in data
    if quoted and not _one_record_per_line(lines, data, layout.delimiter):
        return None
    if layout.full_width and not quoted and _FULL_WIDTH_SEPARATOR.search(data):
        data = b"".join(_cut_full_width(line, layout) for line in lines)
    columns = _parse(data, layout, quoted)
    if columns is None or len(columns[0]) != np.count_nonzero(filled):
        return None
    return LineBlock(
        lines=(np.flatnonzero(filled) + first_line).astype(np.uint64),
        columns=columns,
        user=read_column(columns[0], USER_RULE),
        amounts=[read_column(columns[position], layout.amount_rule) for position in layout.amounts],
    )


def _cut_full_width(line: bytes, layout: Layout) -> bytes:
    """Do to a line without quotes what `split_full_width` does to its cells."""
    delimiter = layout.delimiter.encode()
    missing = layout.width - 1 - line.count(delimiter)
    return _FULL_WIDTH_SEPARATOR.sub(delimiter, line, count=missing) if missing > 0 else line


def _one_record_per_line(lines: list[bytes], data: bytes, delimiter: str) -> bool:
    return not any(line.count(b'"') % 2 for line in lines) and quotes_are_strict([data], delimiter)


def _parse(data: bytes, layout: Layout, quoted: bool) -> list[Any] | None:
    names = [str(position) for position in range(layout.width)]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            # one block: its size is also what the parser sets aside
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.delimiter, quote_char='"' if quoted else False
            ),
            convert_options=convert_options(names),
        )
    except pa.ArrowInvalid:
        return None
    return [column.combine_chunks() for column in table.columns]
