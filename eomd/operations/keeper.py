"""What an operation leaves on disk while it runs: partial result, checkpoint, log; patience with a full disk.

Every method waits for space as long as it takes, unless the keeper was told to hurry: then DiskFullError
comes through, and what is on disk is the last checkpoint, which is always a true one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from eomd.durable import sync_folder
from eomd.errors import DiskFullError
from eomd.model import Operation
from eomd.operations.partial import Partial
from eomd.operations.story import tell
from eomd.operations.tools import Tools
from eomd.operations.window import Segment
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.files import OperationFolder

log = logging.getLogger(__name__)

T = TypeVar("T")

#: how often a full disk is looked at
DISK_LOOK_S = 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Keeper:
    """Writes for one operation. `disk_short` is told a reason when waiting begins and None when it ends."""

    def __init__(
        self, folder: OperationFolder, tools: Tools, disk_short: Callable[[str | None], None]
    ) -> None:
        self.folder, self._tools, self._disk_short = folder, tools, disk_short
        self.partial: Partial | None = None
        #: do not wait for space any longer
        self.hurry = False
        self._saving = asyncio.Lock()

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.running, partial(work, *arguments))

    def opened(self) -> Partial:
        if self.partial is None:
            raise RuntimeError("the partial result is used before it is opened")
        return self.partial

    async def append(self, segment: Segment, until: int) -> None:
        """Write decided rows; below `min_free_mb` wait first: the rest is the reserve of ledger and spool."""
        rules = self._tools.rules
        while await self.in_thread(self._tools.data.free_mb) < rules.min_free_mb:
            await self._wait(f"less than limits.min_free_mb = {rules.min_free_mb} MB free")
        await self.on_disk(self.opened().append, segment, until)

    async def save(self, compose: Callable[[], Checkpoint]) -> None:
        """Sync the partial result, then put the checkpoint that speaks of it on the disk (rules 1 and 3)."""
        async with self._saving:
            if self.partial is not None:
                await self.on_disk(self.partial.sync)
            await self.on_disk(compose().save, self.folder.checkpoint)

    async def on_disk(self, work: Callable[..., T], *arguments: object) -> T:
        """Do disk work in the executor, again as often as the disk is full."""
        while True:
            try:
                done = await self.in_thread(work, *arguments)
            except (OSError, DiskFullError) as error:
                if isinstance(error, OSError) and error.errno not in _FULL:
                    raise
                await self._wait("the disk is full")
            else:
                self._disk_short(None)
                return done

    async def _wait(self, reason: str) -> None:
        if self.hurry:
            raise DiskFullError(reason)
        self._disk_short(reason)
        await asyncio.sleep(DISK_LOOK_S)

    async def publish(self, operation: Operation) -> str:
        """Give the synced partial result its name and return that."""
        result = self._tools.data.result(operation.id)
        await self.on_disk(self.opened().publish, result)
        return result.name

    async def publish_verify(self, operation: Operation) -> str | None:
        """Give a read-back's report its name and return that; None where there is none."""
        report = self._tools.data.verify(operation.id)
        if not self.folder.verify.exists():
            return None
        await self.on_disk(_put, self.folder.verify, report)
        return report.name

    async def tell(self, operation: Operation, story: str) -> None:
        """Add a line to the operation's log; a log that cannot be written stops nothing."""
        try:
            await self.in_thread(tell, self._tools.data.log(operation.id), story)
        except OSError as error:
            log.warning("log not written: %s", error, extra={"operation": operation.id})

    async def close(self) -> None:
        if self.partial is not None:
            await self.in_thread(self.partial.close)


def _put(file: Path, place: Path) -> None:
    os.replace(file, place)
    sync_folder(place.parent)
