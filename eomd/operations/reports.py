"""Tells an operation's log and the ledger of its states, one after the other, in the order they came in.

What the ledger cannot take waits in the spool; an end is told again as often as neither has room for it.
"""

from __future__ import annotations

import asyncio
import logging

from eomd.errors import DiskFullError
from eomd.model import Operation
from eomd.operations.keeper import DISK_LOOK_S, Keeper
from eomd.operations.story import format_state
from eomd.operations.tools import Tools
from eomd.storage.recorder import OperationChange
from eomd.storage.rows_file import disk_errors

log = logging.getLogger(__name__)


class Reports:
    """Of one operation."""

    def __init__(self, keeper: Keeper, tools: Tools) -> None:
        self._keeper, self._tools = keeper, tools
        self._telling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def tell(self, operation: Operation) -> None:
        """Tell of the state that an operation has entered."""
        async with self._telling:
            await self._keeper.tell(operation, format_state(operation))
            try:
                await self._record(operation)
            except (OSError, DiskFullError) as error:
                # the next state replaces it; an end is told by the next start
                log.warning("state not in the ledger: %s", error, extra={"operation": operation.id})

    def tell_soon(self, operation: Operation) -> None:
        """Tell of it without anybody waiting."""
        task = asyncio.get_running_loop().create_task(self.tell(operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """Wait until all has been told."""
        await asyncio.gather(*self._tasks)

    async def _record(self, operation: Operation) -> None:
        while True:
            try:
                await self._tools.recorder.record(OperationChange.of(operation))
                if operation.state.ended:
                    with disk_errors():
                        await self._keeper.in_thread(self._keeper.folder.ended.touch)
                return
            except DiskFullError:
                if not operation.state.ended or self._keeper.hurry:
                    raise
            await asyncio.sleep(DISK_LOOK_S)
