"""The simulated cluster's memory: an append-only file of every decision, written before its answer is sent.

A block holds the rows of one operation that were decided together. Written by one write(2), so that a killed
process leaves whole blocks and at most one torn one at the end, which the next start cuts off. It is both the
counters' history and the memory of tokens, so nothing of it is ever dropped. It is not synced: it outlives
the process, not the machine.
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

from eomd.errors import FolderInUseError, JournalDamagedError
from eomd.evt.bodies import MODE_OF_NUMBER, NUMBER_OF_MODE
from eomd.evt.codec import I64, U8, U32, U64
from eomd.model import Mode, RowStatus

JOURNAL_NAME = "journal.evt"
#: reading a block takes as long as reading so many bytes more than it has
_BLOCK_EFFORT_BYTES = 16_384
_MAGIC = b"EVTJ"
#: magic, bytes of the body, its CRC
_HEADER = struct.Struct("<4sII")
#: origin, operation, n, k, mode
_HEAD = struct.Struct("<16sQIHB")
#: added to the mode where the tokens are not remembered
_PLAIN_BIT = 0x80


@dataclass(frozen=True, slots=True)
class JournalBlock:
    """n rows decided together."""

    origin: bytes
    operation: int
    mode: Mode
    eids: tuple[int, ...]
    #: the tokens are remembered
    idempotent: bool
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
    #: uint8[n]: OK, or the final failure
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
        mode = NUMBER_OF_MODE[self.mode] | (0 if self.idempotent else _PLAIN_BIT)
        head = _HEAD.pack(self.origin, self.operation, n, k, mode)
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
    mode, plain = mode & ~_PLAIN_BIT, bool(mode & _PLAIN_BIT)
    return JournalBlock(origin, operation, MODE_OF_NUMBER[mode], eids, not plain, *columns)


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
        #: bytes of whole blocks
        self.end = 0

    def close(self) -> None:
        os.close(self._file)

    @property
    def starts(self) -> U64:
        """Where each block starts, uint64[blocks], a copy."""
        return np.array(self._starts, np.uint64)

    @property
    def reading_bytes(self) -> int:
        """Return how long it takes to read everything, in bytes."""
        return self.end + len(self._starts) * _BLOCK_EFFORT_BYTES

    def skip(self, starts: U64, end: int) -> None:
        """Take these blocks for read, as a snapshot knows them.

        Raises JournalDamagedError where the file does not hold them.
        """
        if len(starts):
            start = int(starts[-1])
            header = os.pread(self._file, _HEADER.size, start)
            magic, size, _ = _HEADER.unpack(header) if len(header) == _HEADER.size else (b"", 0, 0)
            held = os.fstat(self._file).st_size
            if magic != _MAGIC or start + _HEADER.size + size != end or end > held:
                raise JournalDamagedError(f"{JOURNAL_NAME} lacks blocks that the snapshot knows")
        self._starts = array("Q", starts.tobytes())
        self.end = end

    def replay(self) -> Iterator[tuple[int, JournalBlock]]:
        """Yield every block not yet read with its number, then cut off what was torn.

        To be run through once, before anything is appended. Raises JournalDamagedError.
        """
        with os.fdopen(os.dup(self._file), "rb") as file:
            for start, body in _read_bodies(file, self.end):
                self._starts.append(start)
                self.end = start + _HEADER.size + len(body)
                yield len(self._starts) - 1, decode_block(body)
        os.ftruncate(self._file, self.end)

    def append(self, block: JournalBlock) -> int:
        """Write a block; return its number. Raises OSError, having written nothing."""
        encoded = block.encode()
        try:
            written = os.pwrite(self._file, encoded, self.end)
            while written < len(encoded):
                written += os.pwrite(self._file, encoded[written:], self.end + written)
        except OSError:
            os.ftruncate(self._file, self.end)
            raise
        self._starts.append(self.end)
        self.end += len(encoded)
        return len(self._starts) - 1

    def read(self, number: int) -> JournalBlock:
        """Return the block of this number."""
        start = self._starts[number]
        stop = self._starts[number + 1] if number + 1 < len(self._starts) else self.end
        return decode_block(os.pread(self._file, stop - start - _HEADER.size, start + _HEADER.size))


def read_journal(folder: Path) -> Iterator[JournalBlock]:
    """Yield what was applied, in order, each row once; also while the cluster runs. Failures are left out.

    Raises JournalDamagedError.
    """
    with open(folder / JOURNAL_NAME, "rb") as file:
        for _, body in _read_bodies(file, 0):
            block = decode_block(body)
            done = block.status == RowStatus.OK
            if done.all():
                yield block
            elif done.any():
                yield block.pick(done)


def _read_bodies(file: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield (start of the block, its body) from this one on; a torn one at the end is passed over.

    Raises JournalDamagedError for a block that cannot be the torn last one: who goes on without it has
    forgotten what was acknowledged.
    """
    file.seek(start)
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        magic, size, checksum = _HEADER.unpack(header)
        stop, held = start + _HEADER.size + size, os.fstat(file.fileno()).st_size
        if magic == _MAGIC and stop > held:
            return
        body = file.read(size) if magic == _MAGIC else b""
        if magic != _MAGIC or (crc32(body) != checksum and stop < held):
            raise JournalDamagedError(f"{JOURNAL_NAME} is damaged at byte {start}")
        if crc32(body) != checksum:
            return
        yield start, body
        start = stop
