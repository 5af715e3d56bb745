"""A file on its way from a request's body to the disk, written in large pieces and off the loop."""

from __future__ import annotations

import asyncio
import errno
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from eomd.errors import DiskFullError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES = 512 * 1024


class StagedFile:
    """One file being received. The loop's thread owns the buffer, one executor job at a time the handle."""

    def __init__(self, path: Path, executor: Executor, limit_mb: int) -> None:
        self.path = path
        #: bytes so far, written or not
        self.size = 0
        self._executor = executor
        self._limit_mb = limit_mb
        self._buffer = bytearray()
        self._handle: BinaryIO | None = None
        #: the job in the executor; the next one waits for it
        self._job: asyncio.Future[None] | None = None

    def take(self, data: bytes) -> None:
        """Keep the bytes; `settle` writes them. Raises TooLargeError over the limit."""
        self.size += len(data)
        if self.size > self._limit_mb * 2**20:
            raise TooLargeError("limits.upload_mb", self._limit_mb, "MB")
        self._buffer += data

    async def settle(self) -> None:
        """Hand a full piece to the executor and wait for the piece before it: the sender's brake.

        Raises DiskFullError.
        """
        if len(self._buffer) >= PIECE_BYTES:
            piece, self._buffer = self._buffer, bytearray()
            await self._run(piece, last=False)

    async def close(self) -> None:
        """Write what is left and close the file. Raises DiskFullError."""
        piece, self._buffer = self._buffer, bytearray()
        await self._run(piece, last=True)
        await self._wait()

    async def abort(self) -> None:
        """Remove the file, whatever state it is in."""
        self._buffer.clear()
        with suppress(DiskFullError, OSError):
            await self._wait()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._remove)

    async def _run(self, piece: bytearray, *, last: bool) -> None:
        await self._wait()
        self._job = asyncio.get_running_loop().run_in_executor(self._executor, self._write, piece, last)

    async def _wait(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            with _disk_errors():
                await job

    def _write(self, piece: bytearray, last: bool) -> None:
        if self._handle is None:
            self._handle = self.path.open("xb", buffering=0)
        view = memoryview(piece)
        while view:
            view = view[self._handle.write(view) :]
        if last:
            self._handle.close()

    def _remove(self) -> None:
        if self._handle is not None:
            self._handle.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError("the disk is full") from error
