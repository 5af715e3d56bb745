"""The bytes of a download, read in pieces off the loop."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from pathlib import Path
from typing import IO

from eomd.operations.desk import Download
from eomd.storage.result_reader import ResultReader

PIECE_BYTES = 256 * 1024
#: failed rows are few: up to so many bytes of them stay in memory
SPOOLED_BYTES_MAX = 2**20


class DownloadSource:
    """One download while it is being sent: `lead`, then the file or the failed rows of it."""

    def __init__(self, download: Download, executor: Executor, scratch: Path) -> None:
        """`scratch`: a folder for failed rows, where they are many."""
        self._download, self._executor, self._scratch = download, executor, scratch
        self._handle: IO[bytes] | None = None
        self.size = 0

    async def open(self) -> None:
        """Open the file and learn its size. Raises OSError."""
        self.size = await asyncio.get_running_loop().run_in_executor(self._executor, self._open)

    async def pieces(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from start to stop."""
        loop = asyncio.get_running_loop()
        while start < stop:
            end = min(stop, start + PIECE_BYTES)
            piece = await loop.run_in_executor(self._executor, self._read, start, end)
            if not piece:
                raise OSError(f"{self._download.path.name} became shorter while it was sent")
            yield piece
            start += len(piece)

    async def close(self) -> None:
        if self._handle is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._handle.close)

    def _open(self) -> int:
        if self._download.failed_only:
            self._handle = self._collect_failed()
        else:
            self._handle = self._download.path.open("rb")
        return len(self._download.lead) + self._handle.seek(0, os.SEEK_END)

    def _collect_failed(self) -> IO[bytes]:
        # closed by `close`, unless collecting fails
        spooled: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED_BYTES_MAX, dir=str(self._scratch))  # noqa: SIM115
        try:
            reader = ResultReader(self._download.path, self._download.line_bytes_max)
            for piece in reader.failed_rows():
                spooled.write(piece)
        except BaseException:
            spooled.close()
            raise
        return spooled

    def _read(self, start: int, stop: int) -> bytes:
        assert self._handle is not None
        lead = self._download.lead
        if start < len(lead):
            return lead[start:stop]
        self._handle.seek(start - len(lead))
        return self._handle.read(stop - start)
