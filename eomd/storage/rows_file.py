"""`rows.arrow`: the rows that were validated, and that everything later reads instead of the source.

An Arrow IPC file of record batches of at most 65,536 rows. It is read by read(), not mapped: a mapped file's
pages count as the process's memory. Blocking; one RowsFile may be used from several threads.
"""

from __future__ import annotations

import errno
import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eomd.durable import sync_file, sync_folder
from eomd.errors import DiskFullError

BATCH_ROWS_MAX = 65_536
#: a batch is cut earlier where long carried cells make it larger than this
BATCH_BYTES_MAX = 16 << 20
_METADATA_KEY = b"eomd"
_USER_FIELD, _LENGTH_FIELD = range(2)

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Bools = NDArray[np.bool_]


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a full disk into DiskFullError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError("the disk is full") from error
        raise


@dataclass(frozen=True, slots=True)
class RowsHead:
    """What all rows of a file have in common."""

    #: the user column's header in the source; None without one
    user_header: str | None
    #: names of the carried columns, `column2` … where the source has no header
    carried_headers: tuple[str, ...] = ()
    #: EIDs the amounts are for; empty for a query
    eids: tuple[int, ...] = ()
    #: the one amount of every row and EID; None where rows hold theirs
    amount: int | None = None
    #: amounts in each row: 0, 1 (the same for every EID) or one per EID
    amounts_per_row: int = 0
    #: rows hold the values they must find (restore)
    expects: bool = False
    #: rows say whether a later line of the same user is sent instead
    supersedes: bool = False
    #: rows say what has become of them already, if anything has
    decides: bool = False


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows start … start+n of an operation. The arrays are read-only."""

    start: int
    #: uint64[n]
    users: U64
    #: int64[n, k]; None for a query
    amounts: I64 | None = None
    #: bool[n]: never sent, ends as SUPERSEDED; None where no row is
    superseded: Bools | None = None
    #: one string array of n cells per carried column
    carried: list[Any] = field(default_factory=list)
    #: int64[n, k]: restore only
    expected: I64 | None = None
    #: uint8[n]: RowStatus; but for PENDING never sent, and ends so. None where no row has one
    decided: U8 | None = None
    #: uint8[n]: `detail` of those
    decided_detail: U8 | None = None

    def __len__(self) -> int:
        return len(self.users)


class RowsWriter:
    """Writes a rows file beside its place and puts it there, on the disk, when it is closed."""

    def __init__(self, path: Path, head: RowsHead) -> None:
        self.rows = 0
        self._closed = False
        self._path, self._beside = path, path.with_name(f".{path.name}.new")
        self._schema = _schema(head)
        self._pending: list[Any] = []
        self._pending_rows = 0
        with disk_errors():
            self._sink = pa.OSFile(str(self._beside), "wb")
            self._writer = pa.ipc.new_file(self._sink, self._schema)

    def __enter__(self) -> RowsWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(
        self,
        users: U64,
        amounts: I64 | None = None,
        carried: Sequence[Any] = (),
        *,
        expected: I64 | None = None,
        superseded: Bools | None = None,
        decided: tuple[U8, U8] | None = None,
    ) -> None:
        """Add n rows: uint64[n], int64[n, amounts_per_row], string arrays. Raises DiskFullError."""
        columns = [pa.array(users, pa.uint64()), pa.nulls(len(users))]
        columns += [_fixed_lists(values) for values in (amounts, expected) if values is not None]
        columns += [pa.array(superseded, pa.bool_())] if superseded is not None else []
        columns += [pa.array(values, pa.uint8()) for values in decided or ()]
        columns += carried
        self._pending.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._pending_rows += len(users)
        self.rows += len(users)
        heavy = sum(batch.nbytes for batch in self._pending) > BATCH_BYTES_MAX
        if heavy or self._pending_rows >= BATCH_ROWS_MAX:
            self._flush(everything=heavy)

    def close(self) -> None:
        """Finish the file, force it to the disk and give it its name; nothing after `abort`."""
        if self._closed:
            return
        try:
            self._flush(everything=True)
            with disk_errors():
                self._writer.close()
                self._sink.close()
                sync_file(self._beside)
                os.replace(self._beside, self._path)
                sync_folder(self._path.parent)
            self._closed = True
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Drop what was written."""
        self._closed = True
        self._sink.close()
        self._beside.unlink(missing_ok=True)

    def _flush(self, everything: bool) -> None:
        """Write full batches, and the rest where everything must go."""
        batches = (
            pa.Table.from_batches(self._pending, self._schema).combine_chunks().to_batches(BATCH_ROWS_MAX)
        )
        self._pending = []
        if batches and not everything and batches[-1].num_rows < BATCH_ROWS_MAX:
            self._pending = [batches.pop()]
        self._pending_rows = sum(batch.num_rows for batch in self._pending)
        with disk_errors():
            for batch in batches:
                self._writer.write_batch(batch)


class RowsFile:
    """A rows file open for reading."""

    def __init__(self, path: Path) -> None:
        self._source = pa.OSFile(str(path), "rb")
        self._reader = pa.ipc.open_file(self._source)
        self._starts = self._batch_starts()
        self._lock = Lock()
        self._cached: tuple[int, Any] = (-1, None)
        self.rows = self._starts[-1]
        self.head = _parse_head(self._reader.schema.metadata[_METADATA_KEY])

    @classmethod
    def open(cls, path: Path) -> RowsFile:
        """Raises OSError, pyarrow.ArrowInvalid where the file is not whole."""
        return cls(path)

    def __enter__(self) -> RowsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._cached = (-1, None)
        self._source.close()

    @property
    def eid_count(self) -> int:
        """Return k, 0 for a query."""
        return len(self.head.eids)

    @property
    def user_header(self) -> str | None:
        return self.head.user_header

    @property
    def carried_headers(self) -> tuple[str, ...]:
        return self.head.carried_headers

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows start … stop (exclusive, cut at the end of the file)."""
        pieces = self._pieces(start, min(stop, self.rows))
        table = pa.Table.from_batches(pieces, self._reader.schema).combine_chunks()
        columns = {name: _whole(table.column(name)) for name in table.column_names}
        return self._block(start, columns)

    def cut(self, start: int, stop: int) -> int:
        """Return the last stop, up to this one, that keeps the rows from `start` on within one batch.

        Blocks cut so are bounded in bytes too, however long the carried cells are.
        """
        return min(stop, self._starts[bisect_right(self._starts, start)]) if start < self.rows else self.rows

    def blocks(self) -> Iterator[RowBlock]:
        """Yield all rows in order, a batch at a time."""
        for start, stop in pairwise(self._starts):
            yield self.block(start, stop)

    def users(self, backwards: bool = False) -> Iterator[tuple[int, U64]]:
        """Yield (start, users) a batch at a time, reading nothing else of the file."""
        reader = self._reader_of(_USER_FIELD)
        numbers = range(reader.num_record_batches)
        for number in reversed(numbers) if backwards else numbers:
            yield self._starts[number], reader.get_batch(number).column(0).to_numpy()

    def _pieces(self, start: int, stop: int) -> list[Any]:
        pieces = []
        while start < stop:
            number = bisect_right(self._starts, start) - 1
            first, end = self._starts[number], min(self._starts[number + 1], stop)
            pieces.append(self._batch(number).slice(start - first, end - start))
            start = end
        return pieces

    def _batch(self, number: int) -> Any:
        with self._lock:
            if self._cached[0] != number:
                # the old batch goes before the new one comes: one batch in memory, not two
                self._cached = (-1, None)
                self._cached = (number, self._reader.get_batch(number))
            return self._cached[1]

    def _block(self, start: int, columns: dict[str, Any]) -> RowBlock:
        users: U64 = columns["user"].to_numpy()
        superseded = columns["superseded"].to_numpy(zero_copy_only=False) if self.head.supersedes else None
        return RowBlock(
            start=start,
            users=users,
            amounts=self._amounts(columns, len(users)),
            superseded=superseded,
            carried=[columns[f"carried{number}"] for number in range(len(self.head.carried_headers))],
            expected=_matrix(columns["expected"], self.eid_count) if self.head.expects else None,
            decided=columns["decided"].to_numpy() if self.head.decides else None,
            decided_detail=columns["decided_detail"].to_numpy() if self.head.decides else None,
        )

    def _amounts(self, columns: dict[str, Any], rows: int) -> I64 | None:
        if self.head.amount is not None:
            return np.full((rows, self.eid_count), self.head.amount, np.int64)
        if not self.head.amounts_per_row:
            return None
        amounts = _matrix(columns["amount"], self.head.amounts_per_row)
        return amounts if amounts.shape[1] == self.eid_count else np.repeat(amounts, self.eid_count, axis=1)

    def _batch_starts(self) -> list[int]:
        # a column without bytes: reading it alone tells a batch's length without reading the batch
        reader = self._reader_of(_LENGTH_FIELD)
        lengths = (reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
        return list(accumulate(lengths, initial=0))

    def _reader_of(self, field_number: int) -> Any:
        return pa.ipc.open_file(self._source, options=pa.ipc.IpcReadOptions(included_fields=[field_number]))


def _schema(head: RowsHead) -> Any:
    fields = [pa.field("user", pa.uint64()), pa.field("length", pa.null())]
    if head.amounts_per_row:
        fields.append(pa.field("amount", pa.list_(pa.int64(), head.amounts_per_row)))
    if head.expects:
        fields.append(pa.field("expected", pa.list_(pa.int64(), len(head.eids))))
    if head.supersedes:
        fields.append(pa.field("superseded", pa.bool_()))
    if head.decides:
        fields += [pa.field(name, pa.uint8()) for name in ("decided", "decided_detail")]
    fields += [pa.field(f"carried{number}", pa.string()) for number in range(len(head.carried_headers))]
    return pa.schema(fields, {_METADATA_KEY: json.dumps(asdict(head)).encode()})


def _parse_head(metadata: bytes) -> RowsHead:
    fields = json.loads(metadata)
    fields |= {name: tuple(fields[name]) for name in ("carried_headers", "eids")}
    return RowsHead(**fields)


def _fixed_lists(values: I64) -> Any:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), pa.int64())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _matrix(lists: Any, width: int) -> I64:
    matrix: I64 = lists.flatten().to_numpy().reshape(-1, width)
    return matrix


def _whole(column: Any) -> Any:
    """Return a combined column as one array. Raises OverflowError for 2 GB of cells."""
    if column.num_chunks > 1:
        raise OverflowError("the block's carried cells are too long for one array: see RowsFile.cut")
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
