"""The report of a read-back: one line per row whose counters are not as the operation left them.

CSV as a result is: UTF-8, comma, LF. Blocking.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eomd.model import RowStatus
from eomd.storage.csv_writer import format_header, format_lines
from eomd.storage.rows_file import I64, U64, Bools, disk_errors

#: what `status` says of a row that was read
DIFFERENT = "DIFFERENT"


@dataclass(frozen=True, slots=True)
class Differences:
    """n rows that differ, or could not be read."""

    #: int64[n]: the row's number in its operation
    index: NDArray[np.int64]
    #: uint64[n]
    users: U64
    #: uint8[n], as RowStatus numbers them: of the reading
    status: NDArray[np.uint8]
    #: bool[n]
    read: Bools
    #: int64[n, k]
    after: I64
    #: int64[n, k]; means nothing where it was not read
    now: I64


class VerifyWriter:
    """Begins a report anew. Raises DiskFullError, OSError, as its methods do."""

    def __init__(self, path: Path, eids: tuple[int, ...]) -> None:
        headers = [f"{eid}_{when}" for eid in eids for when in ("after", "now")]
        with disk_errors():
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        self._size = 0
        self._append([format_header(("row", "userid", "status", *headers))])

    def write(self, differences: Differences) -> None:
        """Append a line per row; after an error nothing of it stands there."""
        self._append([_render(differences), b"\n"])

    def _append(self, parts: list[bytes | memoryview]) -> None:
        try:
            with disk_errors():
                size = sum(_write_all(self._file.fileno(), part) for part in parts)
        except BaseException:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._size += size

    def sync(self) -> None:
        with disk_errors():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _write_all(file: int, data: bytes | memoryview) -> int:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
    return len(data)


def _render(rows: Differences) -> memoryview:
    names = np.array([_status_name(status) for status in range(256)], object)
    values = [
        column
        for eid in range(rows.after.shape[1])
        for column in (pa.array(rows.after[:, eid]), pa.array(rows.now[:, eid], mask=~rows.read))
    ]
    numbers = [pa.array(rows.index), pa.array(rows.users)]
    status = pa.array(names[rows.status], pa.string())
    texts = [pc.cast(column, pa.string()) for column in (*numbers, *values)]
    return format_lines([*texts[:2], status, *texts[2:]])


def _status_name(status: int) -> str:
    if status <= RowStatus.REPLAYED:
        return DIFFERENT
    return RowStatus(status).result_name if status in RowStatus._value2member_map_ else str(status)
