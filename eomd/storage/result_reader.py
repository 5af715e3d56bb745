"""A finished result file read back in blocks: pages of rows, the failed ones alone, columns for a summary.

Blocking; constant memory; nothing is kept between calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from eomd.model import NO_DETAIL, OK_STATUSES, RowStatus
from eomd.storage.csv_fast import convert_options
from eomd.storage.csv_records import read_records
from eomd.storage.csv_writer import (
    DETAIL_COLUMN,
    STATUS_COLUMN,
    format_header,
    format_lines,
    render_cells,
)

_BLOCK_BYTES_MIN = 1 << 20
_HEADER_BYTES_MAX = 64 << 20
_OK_NAMES = sorted({status.result_name for status in OK_STATUSES})
_CODES = {status.result_name: int(status) for status in reversed(RowStatus)}


@dataclass(frozen=True, slots=True)
class ScanBlock:
    """Some rows of a result, in order, as numbers."""

    #: uint8[n], as RowStatus numbers them; REPLAYED is written OK
    status: NDArray[np.uint8]
    #: int64[n, columns], one per value column (see `ResultReader.value_columns`), 0 where there is none
    values: NDArray[np.int64]
    #: bool[n]: the row has values
    valued: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NamedBlock(ScanBlock):
    """Some rows of a result with whose they are and what decided them."""

    #: uint64[n]
    users: NDArray[np.uint64]
    #: uint8[n]: position of the deciding EID, NO_DETAIL for none
    detail: NDArray[np.uint8]


class ResultReader:
    """One result file. Raises OSError where it is not there (any more)."""

    def __init__(self, path: Path, line_bytes_max: int = 1 << 20) -> None:
        """`line_bytes_max` is what the source was read with."""
        self.path = path
        # quoting at most doubles a line, and eomd's own columns are short
        self._block_bytes = 2 * line_bytes_max + _BLOCK_BYTES_MIN

    @cached_property
    def columns(self) -> tuple[str, ...]:
        with self.path.open("rb") as stream:
            header = next(read_records(stream, ",", _HEADER_BYTES_MAX))
        return tuple(header.cells)

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Return the headers behind `detail`: `1001`, or `1001_before` and `1001_after`."""
        return self.columns[self._status + 2 :]

    def rows(
        self, status: str | None, offset: int, limit: int, user: int | None = None
    ) -> tuple[int | None, list[list[str]]]:
        """Return the cells of rows offset … offset+limit among those of a status and a user (None: all).

        With them comes how many there are in all; None where the file was not read to its end for it. Raises
        ValueError where the file is not a result.
        """
        status_at = self._status
        wanted: list[list[str]] = []
        skipped = 0
        for batch in self._batches():
            matching = batch if status is None else batch.filter(pc.equal(batch.column(status_at), status))
            if user is not None:
                matching = matching.filter(pc.equal(matching.column(0), str(user)))
            page = matching.slice(max(0, offset - skipped), limit - len(wanted))
            wanted += [list(cells) for cells in zip(*(c.to_pylist() for c in page.columns), strict=True)]
            skipped += matching.num_rows
            if len(wanted) >= limit:
                return None, wanted
        return skipped, wanted

    def failed_rows(self) -> Iterator[bytes]:
        """Yield the header and the lines of rows that are not OK, in pieces of a result file."""
        yield format_header(self.columns)
        names = pa.array(_OK_NAMES)
        for batch in self._batches():
            failed = batch.filter(pc.invert(pc.is_in(batch.column(self._status), names)))
            if failed.num_rows:
                yield bytes(format_lines([render_cells(c, guard=False) for c in failed.columns])) + b"\n"

    def scan(self) -> Iterator[ScanBlock]:
        """Yield all rows as numbers."""
        for batch in self._batches():
            yield ScanBlock(*self._figures(batch))

    def scan_named(self, eids: Sequence[int]) -> Iterator[NamedBlock]:
        """Yield all rows as numbers, users and deciding EIDs (positions in `eids`) too.

        Raises KeyError or pyarrow.ArrowInvalid for what eomd has not written.
        """
        positions = {str(eid): position for position, eid in enumerate(eids)} | {"": NO_DETAIL}
        for batch in self._batches():
            users = pc.cast(batch.column(0), pa.uint64()).to_numpy()
            detail = _codes(batch.column(self._status + 1), positions)
            yield NamedBlock(*self._figures(batch), users, detail)

    def _figures(self, batch: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
        """Return a batch's status, values, valued."""
        status = _codes(batch.column(self._status), _CODES)
        valued = np.isin(status, [int(code) for code in (RowStatus.OK, RowStatus.REPLAYED)])
        values = np.zeros((batch.num_rows, len(self.value_columns)), np.int64)
        rows = batch.filter(pa.array(valued))
        for position in range(len(self.value_columns)):
            values[valued, position] = _numbers(rows.column(self._status + 2 + position))
        return status, values, valued

    @cached_property
    def _status(self) -> int:
        # the user's column comes first and may be called status too; carried columns never are
        position = self.columns.index(STATUS_COLUMN, 1)
        if self.columns[position + 1] != DETAIL_COLUMN:
            raise ValueError(f"{self.path} is not a result file")
        return position

    def _batches(self) -> Iterator[Any]:
        """Yield record batches of strings, without the header."""
        names = [str(position) for position in range(len(self.columns))]
        with pa.OSFile(str(self.path), "rb") as source:
            reader = pa_csv.open_csv(
                source,
                read_options=pa_csv.ReadOptions(
                    use_threads=False, block_size=self._block_bytes, column_names=names
                ),
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=convert_options(names),
            )
            yield from _without_first_row(reader)


def _without_first_row(batches: Any) -> Iterator[Any]:
    first = True
    for batch in batches:
        rows = batch.slice(1) if first else batch
        first = first and not batch.num_rows
        if rows.num_rows:
            yield rows


def _codes(names: Any, numbers: Mapping[str, int]) -> NDArray[np.uint8]:
    encoded = names.dictionary_encode()
    codes = np.array([numbers[name] for name in encoded.dictionary.to_pylist()], np.uint8)
    picked: NDArray[np.uint8] = codes[encoded.indices.to_numpy()]
    return picked


def _numbers(cells: Any) -> Any:
    """Return a string array's numbers; an empty cell (an amount the cluster did not tell) is 0."""
    filled = pc.if_else(pc.equal(cells, ""), "0", cells)
    return pc.cast(filled, pa.int64()).to_numpy()
