"""The partial result of one operation: appended to, synced, cut back after a failure, and in the end named.

Blocks on the disk: called in an executor. Callers may overlap (rows are appended while a checkpoint is made);
each finds the file and what is said of it in agreement.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from eomd.durable import sync_folder
from eomd.operations.window import Segment
from eomd.storage.csv_writer import ResultHead, ResultWriter
from eomd.storage.rows_file import RowBlock


class Durable(NamedTuple):
    """What the disk holds of a partial result."""

    rows: int
    #: bytes
    length: int
    #: rows by RowStatus number
    statuses: dict[int, int]


class Partial:
    """Rows go in in source order; `rows` and `length` tell what is in, `durable` what is on the disk."""

    def __init__(
        self, path: Path, head: ResultHead, rows: int, length: int, statuses: dict[int, int]
    ) -> None:
        self._path, self._head = path, head
        self._writer: ResultWriter | None = None
        self.rows, self.length = rows, length
        self._statuses = np.zeros(256, np.int64)
        for status, count in statuses.items():
            self._statuses[status] = count
        self.durable = Durable(rows, length, statuses)
        self._lock = Lock()

    def open(self) -> None:
        """Cut the file back to what counts. Raises OSError or ValueError where it does not hold that much."""
        with self._lock:
            self._opened()

    def append(self, segment: Segment, until: int) -> None:
        """Write a segment's rows from `rows` up to `until`.

        Raises OSError or DiskFullError where the disk refuses; the file is then as before, and the call
        may be repeated.
        """
        with self._lock:
            place = slice(self.rows - segment.start, until - segment.start)
            after = None if segment.after is None else segment.after[place]
            columns = (segment.status[place], segment.detail[place], segment.before[place], after)
            self.length = self._opened().write(_cut(segment.block, place), *columns)
            self._statuses += np.bincount(segment.status[place], minlength=256)
            self.rows = until

    def sync(self) -> None:
        """Force what was appended to the disk and tell so in `durable`. Raises OSError."""
        with self._lock:
            self._sync()

    def publish(self, result: Path) -> None:
        """Give the synced result its name; an earlier life may have done so already. Raises OSError."""
        with self._lock:
            if self._path.exists() or not result.exists():
                # an earlier life may have left more in the file than counts
                self._opened()
                self._sync()
                self._close()
                os.replace(self._path, result)
            self._close()
            sync_folder(result.parent)
            sync_folder(self._path.parent)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _opened(self) -> ResultWriter:
        """Return the file's writer, which has cut it back to `length`."""
        if self._writer is None:
            if self.length and not self._path.exists():
                raise FileNotFoundError(f"{self._path.name} is missing; {self.length} bytes were in it")
            self._writer = ResultWriter(self._path, self._head, self.length)
            self.length = self._writer.size
        return self._writer

    def _sync(self) -> None:
        if self._writer is not None:
            self._writer.sync()
        statuses = {int(status): int(self._statuses[status]) for status in np.flatnonzero(self._statuses)}
        self.durable = Durable(self.rows, self.length, statuses)

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def _cut(block: RowBlock, place: slice) -> RowBlock:
    """Return what a result tells of some rows of a block: the user and the carried cells."""
    carried = [cells.slice(place.start, place.stop - place.start) for cells in block.carried]
    return RowBlock(block.start + place.start, block.users[place], carried=carried)
