"""The simulated cluster's memory: an append-only file of every decision, written before its answer is sent.

A block holds the rows of one operation that were decided together. Written by one write(2), so that a killed
process leaves whole blocks and at most one torn one at the end, which the next start cuts off. It is both the
counters' history and the memory of tokens, so nothing of it is ever dropped.
"""

from __future__ import annotations

import fcntl
import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

from eomd.errors import FolderInUseError
from eomd.evt.bodies import MODE_OF_NUMBER, NUMBER_OF_MODE
from eomd.evt.codec import I64, U8, U32, U64
from eomd.model import Mode, RowStatus

JOURNAL_NAME = "journal.evt"
_MAGIC = b"EVTJ"
#: magic, bytes of the body, its CRC
_HEADER = struct.Struct("<4sII")
_HEAD = struct.Struct("<16sQIHB")


@dataclass(frozen=True, slots=True)
class JournalBlock:
    """n rows decided together."""

    origin: bytes
    operation: int
    mode: Mode
    eids: tuple[int, ...]
    #: uint32[n]
    rows: U32
    #: uint64[n]
    users: U64
    #: int64[n, k]
    amounts: I64
    #: int64[n, k]
    before: I64
    #: int64[n, k]
    after: I64
    #: uint8[n]: OK, or the final failure that is remembered for the token
    status: U8
    #: uint8[n]
    detail: U8

    def pick(self, where: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> JournalBlock:
        """Return the block with these rows alone."""
        return replace(
            self,
            rows=self.rows[where],
            users=self.users[where],
            amounts=self.amounts[where],
            before=self.before[where],
            after=self.after[where],
            status=self.status[where],
            detail=self.detail[where],
        )

    def encode(self) -> bytes:
        """Return the block's bytes, header included."""
        n, k = self.amounts.shape
        head = _HEAD.pack(self.origin, self.operation, n, k, NUMBER_OF_MODE[self.mode])
        columns = (self.rows, self.users, self.amounts, self.before, self.after, self.status, self.detail)
        body = b"".join([head, struct.pack(f"<{k}I", *self.eids), *(column.tobytes() for column in columns)])
        return _HEADER.pack(_MAGIC, len(body), crc32(body)) + body


def decode_block(body: bytes) -> JournalBlock:
    """Return the block of this body, its columns read-only views."""
    origin, operation, n, k, mode = _HEAD.unpack_from(body)
    at = _HEAD.size
    eids = struct.unpack_from(f"<{k}I", body, at)
    at += 4 * k
    columns: list[Any] = []
    for dtype, width in (("<u4", 0), ("<u8", 0), ("<i8", k), ("<i8", k), ("<i8", k), ("u1", 0), ("u1", 0)):
        column = np.frombuffer(body, dtype, n * (width or 1), at)
        columns.append(column.reshape(n, width) if width else column)
        at += column.nbytes
    return JournalBlock(origin, operation, MODE_OF_NUMBER[mode], eids, *columns)


class Journal:
    """The file, open for appending and for looking blocks up by their number, from 0."""

    def __init__(self, folder: Path) -> None:
        """Open or make the file and lock it. Raises FolderInUseError where another process holds it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / JOURNAL_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise FolderInUseError(f"another simulated cluster works in {folder}") from error
        self._starts = array("Q")
        self._end = 0

    def close(self) -> None:
        os.close(self._file)

    def replay(self) -> Iterator[tuple[int, JournalBlock]]:
        """Yield every block with its number, then cut off what was torn.

        To be run through once, before anything is appended.
        """
        with os.fdopen(os.dup(self._file), "rb") as file:
            for start, body in _read_bodies(file):
                self._starts.append(start)
                self._end = start + _HEADER.size + len(body)
                yield len(self._starts) - 1, decode_block(body)
        os.ftruncate(self._file, self._end)

    def append(self, block: JournalBlock) -> int:
        """Write a block; return its number. Raises OSError, having written nothing."""
        encoded = block.encode()
        try:
            written = os.pwrite(self._file, encoded, self._end)
            while written < len(encoded):
                written += os.pwrite(self._file, encoded[written:], self._end + written)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._starts.append(self._end)
        self._end += len(encoded)
        return len(self._starts) - 1

    def read(self, number: int) -> JournalBlock:
        """Return the block of this number."""
        start = self._starts[number]
        stop = self._starts[number + 1] if number + 1 < len(self._starts) else self._end
        return decode_block(os.pread(self._file, stop - start - _HEADER.size, start + _HEADER.size))


def read_journal(folder: Path) -> Iterator[JournalBlock]:
    """Yield what was applied, in order, each row once; also while the cluster runs. Failures are left out."""
    with open(folder / JOURNAL_NAME, "rb") as file:
        for _, body in _read_bodies(file):
            block = decode_block(body)
            done = block.status == RowStatus.OK
            if done.all():
                yield block
            elif done.any():
                yield block.pick(done)


def _read_bodies(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (start of the block, its body) up to the first that is torn."""
    start = 0
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        magic, size, checksum = _HEADER.unpack(header)
        body = file.read(size) if magic == _MAGIC else b""
        if len(body) != size or crc32(body) != checksum:
            return
        yield start, body
        start += _HEADER.size + size
