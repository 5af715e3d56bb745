"""The result of an operation as CSV: UTF-8, comma, LF, one line per source row in source order.

Blocks come in as columns and go out as bytes; no Python object per row. Blocking; one writer per file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eomd.model import NO_DETAIL, Model, RowStatus
from eomd.storage.rows_file import RowBlock, disk_errors
from eomd.storage.string_columns import string_buffers

STATUS_COLUMN = "status"
DETAIL_COLUMN = "detail"
#: rows rendered at once: bounds the memory of a write
_RENDER_ROWS = 65_536
_RENDER_CARRIED_BYTES = 16 << 20
_FORMULA_STARTS = "=+-@\t\r"
_PLAIN_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_NEEDS_QUOTES = re.compile(r'[",\r\n]')

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ResultHead:
    """What the columns of a result are."""

    #: None where the source had no header
    user_header: str | None
    carried_headers: tuple[str, ...]
    eids: tuple[int, ...]
    model: Model

    @property
    def value_headers(self) -> tuple[str, ...]:
        if self.model is Model.QUERY:
            return tuple(map(str, self.eids))
        return tuple(f"{eid}_{when}" for eid in self.eids for when in ("before", "after"))

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the header's cells, as a reader of the CSV gets them."""
        user = self.user_header or "userid"
        own = (STATUS_COLUMN, DETAIL_COLUMN, *self.value_headers)
        carried = [_apart(guard_formula(name), {user, *own}) for name in self.carried_headers]
        return user, *carried, *own


def _apart(name: str, own: set[str]) -> str:
    while name in own:
        name += "_source"
    return name


def guard_formula(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula, plain numbers left alone."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS and cell and not _PLAIN_NUMBER.fullmatch(cell) else cell


def quote_cell(cell: str) -> str:
    """Quote a cell that needs it."""
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell


def format_header(columns: Sequence[str]) -> bytes:
    """Return the header's line."""
    return (",".join(map(quote_cell, columns)) + "\n").encode()


def format_lines(columns: Sequence[Any]) -> memoryview:
    """Join n cells of each column, string arrays or one string for all rows, into n lines.

    Missing cells (null) are left empty. The cells must be quoted already. The last line's end is left out.
    """
    lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
    bounds = pa.array([0, len(lines)], pa.int32())
    text = pc.binary_join(pa.ListArray.from_arrays(bounds, lines), "\n")
    end = int(np.frombuffer(text.buffers()[1], np.int32)[1])
    return memoryview(text.buffers()[2])[:end]


def render_cells(cells: Any, guard: bool) -> Any:
    """Return a string array's cells as they stand in the CSV: quoted, and guarded where asked."""
    starts, characters = string_buffers(cells)
    if guard:
        filled = np.flatnonzero(starts[1:] > starts[:-1])
        suspicious = filled[_FORMULA[characters[starts[filled]]]]
        cells = _changed(cells, suspicious, lambda found: pa.array(map(guard_formula, found.to_pylist())))
    special = np.flatnonzero(_SPECIAL[characters])
    return _changed(cells, np.searchsorted(starts, special, side="right") - 1, _quoted)


def _changed(cells: Any, positions: NDArray[np.intp], change: Callable[[Any], Any]) -> Any:
    """Return the cells, those at these positions changed."""
    if not len(positions):
        return cells
    picked = np.zeros(len(cells), np.bool_)
    picked[positions] = True
    mask = pa.array(picked)
    return pc.replace_with_mask(cells, mask, change(cells.filter(mask)))


def _quoted(cells: Any) -> Any:
    doubled = pc.replace_substring(cells, '"', '""')
    return pc.binary_join_element_wise('"', doubled, '"', "")


class ResultWriter:
    """Appends blocks of decided rows to a result file."""

    def __init__(self, path: Path, head: ResultHead, resume_at: int = 0) -> None:
        """Cut the file back to `resume_at` bytes, or start it with its header where that is 0.

        Raises ValueError where the file is shorter than that, DiskFullError.
        """
        self._head = head
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            self.size = self._cut_back(path, resume_at)
            if not resume_at:
                self._append([format_header(head.columns)])
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, block: RowBlock, status: U8, detail: U8, before: I64 | None, after: I64 | None) -> int:
        """Append one line per row; return the file's new length in bytes.

        status, detail: uint8[n]; before, after: int64[n, k], a query's values stand in `before`, None where
        no row has any. Raises DiskFullError: then nothing of the block stands in the file.
        """
        start, size = 0, self.size
        step = _step(block)
        try:
            while start < len(block):
                part = slice(start, start + step)
                self._append([self._render(block, status, detail, before, after, part), b"\n"])
                start += step
        except BaseException:
            os.ftruncate(self._file, size)
            os.lseek(self._file, size, os.SEEK_SET)
            self.size = size
            raise
        return self.size

    def sync(self) -> None:
        """Force what was written to the disk."""
        with disk_errors():
            os.fsync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _cut_back(self, path: Path, size: int) -> int:
        found = os.fstat(self._file).st_size
        if found < size:
            raise ValueError(f"{path} has {found} bytes, its checkpoint speaks of {size}")
        os.ftruncate(self._file, size)
        return os.lseek(self._file, size, os.SEEK_SET)

    def _append(self, parts: Sequence[bytes | memoryview]) -> None:
        with disk_errors():
            for part in parts:
                left = memoryview(part)
                while left:
                    written = os.write(self._file, left)
                    left, self.size = left[written:], self.size + written

    def _render(
        self, block: RowBlock, status: U8, detail: U8, before: I64 | None, after: I64 | None, part: slice
    ) -> memoryview:
        ok = _OK[status[part]]
        return format_lines(
            [
                pc.cast(pa.array(block.users[part]), pa.string()),
                *(render_cells(cells[part], guard=True) for cells in block.carried),
                _outcomes(status[part], np.where(ok, np.uint8(NO_DETAIL), detail[part]), self._head.eids),
                *self._values(before, after, ok, part),
            ]
        )

    def _values(self, before: I64 | None, after: I64 | None, ok: NDArray[np.bool_], part: slice) -> list[Any]:
        matrices = [before] if self._head.model is Model.QUERY else [before, after]
        return [
            "" if matrix is None else _numbers(matrix[part, position], ok)
            for position in range(len(self._head.eids))
            for matrix in matrices
        ]


def _step(block: RowBlock) -> int:
    """Return how many rows of a block are rendered at once."""
    carried_bytes: int = sum(cells.nbytes for cells in block.carried)
    return max(1, min(_RENDER_ROWS, len(block) * _RENDER_CARRIED_BYTES // max(carried_bytes, 1)))


def _numbers(values: I64, ok: NDArray[np.bool_]) -> Any:
    """Return the values as strings, nothing where the row failed."""
    mask = None if ok.all() else ~ok
    return pc.cast(pa.array(np.ascontiguousarray(values), mask=mask), pa.string())


def _outcomes(status: U8, detail: U8, eids: tuple[int, ...]) -> Any:
    """Return `status,detail` for each row: there are only a few different ones."""
    codes, positions = np.unique(status.astype(np.uint16) << 8 | detail, return_inverse=True)
    labels = [_outcome(int(code) >> 8, int(code) & 0xFF, eids) for code in codes]
    return labels[0] if len(labels) == 1 else pa.array(labels).take(pa.array(positions))


def _outcome(status: int, detail: int, eids: tuple[int, ...]) -> str:
    if status == RowStatus.PENDING:
        raise ValueError("a row still PENDING cannot stand in a result")
    eid = str(eids[detail]) if detail < len(eids) else ""
    return f"{RowStatus(status).result_name},{eid}"


def _table(members: str | bytes) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(members.encode() if isinstance(members, str) else members)] = True
    return table


_SPECIAL = _table('",\r\n')
_FORMULA = _table(_FORMULA_STARTS)
_OK = _table(bytes((RowStatus.OK, RowStatus.REPLAYED)))
