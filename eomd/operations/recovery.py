"""What an earlier life left: operations that go on, hand-ins cut off, and news the ledger has not heard.

Operations with their id go on at once, the ledger up or away. What needs the ledger's word waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from eomd.model import Counts, Model, Operation, PausedBy, State
from eomd.operations.schedule import Schedule
from eomd.operations.tools import Tools
from eomd.storage.checkpoint import Checkpoint, Manifest, compose_operation
from eomd.storage.files import OperationFolder
from eomd.storage.ledger import Ledger
from eomd.storage.recorder import OperationChange

log = logging.getLogger(__name__)

T = TypeVar("T")

#: clusters remember tokens at least so long
TOKENS_REMEMBERED = timedelta(days=30)


class Recovery:
    """Run once at start; `meet_ledger` as soon as the ledger answers."""

    def __init__(self, ledger: Ledger, schedule: Schedule, tools: Tools) -> None:
        self._ledger, self._schedule, self._tools = ledger, schedule, tools

    async def resume(self) -> None:
        """Go on with every operation that has its folder."""
        for identity in await self._in_thread(self._tools.data.unfinished):
            folder = self._tools.data.operation(identity)
            try:
                loaded = await self._in_thread(_load, identity, folder)
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.error("its folder cannot be read: %s", error, extra={"operation": identity})
                continue
            await self._resume_one(folder, *loaded)

    async def _resume_one(
        self, folder: OperationFolder, operation: Operation, checkpoint: Checkpoint
    ) -> None:
        if operation.state.ended:
            await self._tools.recorder.record(OperationChange.of(operation))
            await self._in_thread(folder.ended.touch)
            return
        if _tokens_may_be_forgotten(operation, checkpoint):
            message = "older than 30 days: clusters may have forgotten its tokens; resume it by hand"
            checkpoint = replace(checkpoint, state=State.PAUSED, paused_by=PausedBy.PERSON, message=message)
            operation = replace(operation, state=State.PAUSED, paused_by=PausedBy.PERSON, message=message)
            await self._tools.recorder.record(OperationChange.of(operation))
        log.info("goes on from row %d", checkpoint.rows, extra={"operation": operation.id})
        self._schedule.add(operation, folder, checkpoint)

    async def meet_ledger(self) -> None:
        """Settle what only the ledger knows. Raises LedgerUnavailableError; may be called again."""
        for hand_in, folder in await self._in_thread(self._tools.data.staged):
            await self._settle_staged(hand_in, folder)
        here = set(await self._in_thread(self._tools.data.unfinished))
        for operation in await self._ledger.unfinished(self._tools.data.origin().hex()):
            if operation.id not in here and not self._tools.data.operation(operation.id).path.exists():
                await self._report_lost(operation)

    async def _settle_staged(self, hand_in: str, folder: OperationFolder) -> None:
        """Complete a hand-in that the ledger has, drop one that it has not or whose caller was refused."""
        operation = await self._ledger.operation_of_uuid(hand_in)
        if operation is None:
            await self._in_thread(folder.remove)
        elif folder.abandoned.exists():
            await self._ledger.release_key(hand_in)
            message = "the database went away while this was handed in; the caller was told to try again"
            ended = replace(operation, state=State.CANCELLED, message=message)
            await self._tools.recorder.record(OperationChange.of(ended))
            await self._in_thread(folder.remove)
        else:
            admitted = await self._in_thread(self._tools.data.admit, folder, operation.id)
            self._schedule.add(operation, admitted, Checkpoint(State.QUEUED))

    async def _report_lost(self, operation: Operation) -> None:
        log.error("its files are gone", extra={"operation": operation.id})
        lost = replace(operation, state=State.FAILED, message="its folder is gone from the data folder")
        await self._tools.recorder.record(OperationChange.of(replace(lost, counts=Counts(lost.counts.total))))

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.running, partial(work, *arguments))


def _load(identity: int, folder: OperationFolder) -> tuple[Operation, Checkpoint]:
    manifest = Manifest.load(folder.manifest)
    if folder.checkpoint.exists():
        checkpoint = Checkpoint.load(folder.checkpoint)
    else:
        checkpoint = Checkpoint(State.QUEUED)
    return compose_operation(identity, manifest, checkpoint), checkpoint


def _tokens_may_be_forgotten(operation: Operation, checkpoint: Checkpoint) -> bool:
    modifies = operation.order.model is Model.MODIFY and not operation.order.dry_run
    old = datetime.now(UTC) - operation.create_time > TOKENS_REMEMBERED
    return modifies and checkpoint.started and old and operation.paused_by is not PausedBy.PERSON
