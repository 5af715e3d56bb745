"""What an earlier life left: operations that go on, hand-ins cut off, and news the ledger has not heard.

Operations with their id go on at once, the ledger up or away. What needs the ledger's word waits for it; so
does a dry run, whose preview would be wrong without the counters' limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from eomd.errors import DiskFullError, FolderDamagedError, NewerFormatError
from eomd.model import Model, Operation, PausedBy, State
from eomd.operations.hand_ins import HandIns
from eomd.operations.schedule import Schedule
from eomd.operations.tools import Tools
from eomd.storage.checkpoint import Checkpoint, load_operation
from eomd.storage.files import OperationFolder
from eomd.storage.ledger import Ledger
from eomd.storage.recorder import OperationChange
from eomd.storage.rows_file import disk_errors

log = logging.getLogger(__name__)

T = TypeVar("T")

_NOT_BEGUN = (State.QUEUED, State.AWAITING_APPROVAL)
#: clusters remember tokens at least so long
TOKENS_REMEMBERED = timedelta(days=30)


class Recovery:
    """`resume` once at start; `meet_ledger` whenever hand-ins are in doubt and the ledger answers."""

    def __init__(self, ledger: Ledger, hand_ins: HandIns, schedule: Schedule, tools: Tools) -> None:
        self._ledger, self._hand_ins = ledger, hand_ins
        self._schedule, self._tools = schedule, tools
        #: ended, as their folders say, which lack the mark that the ledger knows it
        self._untold: list[Operation] = []
        #: dry runs, until the counters' definitions are known
        self._dry_runs: list[tuple[Operation, OperationFolder, Checkpoint]] = []
        #: why operations cannot go on for good, by id
        self._damaged: dict[int, str] = {}

    async def resume(self) -> None:
        """Go on with every operation that has its folder."""
        for identity in await self._in_thread(self._tools.data.unfinished):
            folder = self._tools.data.operation(identity)
            try:
                loaded = await self._in_thread(load_operation, identity, folder.manifest, folder.checkpoint)
            except FolderDamagedError as error:
                log.error("it cannot go on: %s", error, extra={"operation": identity})
                self._damaged[identity] = str(error)
            except (NewerFormatError, OSError) as error:
                # a later start may read it: a newer eomd's, or one with the rights to
                log.error("its folder cannot be read now: %s", error, extra={"operation": identity})
            else:
                await self._resume_one(folder, *loaded)

    async def _resume_one(
        self, folder: OperationFolder, operation: Operation, checkpoint: Checkpoint
    ) -> None:
        if operation.state.ended:
            self._untold.append(operation)
            return
        if _tokens_may_be_forgotten(operation, checkpoint):
            message = "older than 30 days: clusters may have forgotten its tokens; resume it by hand"
            checkpoint = replace(checkpoint, state=State.PAUSED, paused_by=PausedBy.PERSON, message=message)
            operation = replace(operation, state=State.PAUSED, paused_by=PausedBy.PERSON, message=message)
            await self._try_to_record(operation)
        log.info("goes on from row %d", checkpoint.rows, extra={"operation": operation.id})
        if operation.order.dry_run:
            self._dry_runs.append((operation, folder, checkpoint))
        else:
            self._schedule.add(operation, folder, checkpoint)

    async def _try_to_record(self, operation: Operation) -> None:
        try:
            await self._record(operation)
        except (OSError, DiskFullError) as error:
            log.warning("its state waits for its next one: %s", error, extra={"operation": operation.id})

    async def meet_ledger(self) -> None:
        """Settle what only the ledger knows, the definitions being read. May be repeated.

        Raises LedgerUnavailableError, DiskFullError.
        """
        while self._dry_runs:
            self._schedule.add(*self._dry_runs.pop(0))
        with disk_errors():
            await self._tell_ends()
            for hand_in, folder in await self._in_thread(self._tools.data.staged):
                await self._try_to_settle(hand_in, folder)
            for operation in await self._ledger.unfinished(self._tools.data.origin().hex()):
                await self._look_after(operation)

    async def _tell_ends(self) -> None:
        while self._untold:
            await self._record(self._untold[0])
            await self._in_thread(self._tools.data.operation(self._untold[0].id).ended.touch)
            self._untold.pop(0)

    async def _try_to_settle(self, hand_in: str, folder: OperationFolder) -> None:
        if self._hand_ins.is_under_way(hand_in):
            return
        try:
            with disk_errors():
                await self._settle_staged(hand_in, folder)
        except (OSError, FolderDamagedError, NewerFormatError) as error:
            log.error("hand-in %s waits for the next start: %s", hand_in, error)

    async def _settle_staged(self, hand_in: str, folder: OperationFolder) -> None:
        """Complete a hand-in that the ledger has, drop one that it has not or whose caller was refused."""
        operation = await self._ledger.operation_of_uuid(hand_in)
        if operation is None:
            await self._in_thread(folder.remove)
        elif folder.abandoned.exists():
            await self._ledger.release(hand_in)
            message = "the database went away while this was handed in; the caller was told to try again"
            await self._record(replace(operation, state=State.CANCELLED, message=message))
            await self._in_thread(folder.remove)
        else:
            admitted = await self._in_thread(self._tools.data.admit, folder, operation.id)
            files = admitted.manifest, admitted.checkpoint
            _, checkpoint = await self._in_thread(load_operation, operation.id, *files)
            self._schedule.add(operation, admitted, checkpoint)
            self._tools.changed(operation)

    async def _look_after(self, operation: Operation) -> None:
        """Tell the end of an operation that the ledger holds for unfinished, and that cannot go on."""
        waiting = self._tools.recorder.waiting.get(operation.id)
        if self._hand_ins.is_under_way(operation.uuid) or (waiting is not None and waiting.state.ended):
            return
        folder = self._folder_of(operation)
        ended = await self._end_of(operation, folder)
        if ended is not None:
            await self._record(ended)
            self._tools.changed(ended)
            if folder.path.exists():
                await self._in_thread(folder.ended.touch)
            self._damaged.pop(operation.id, None)

    async def _end_of(self, operation: Operation, folder: OperationFolder) -> Operation | None:
        """Return how an operation has ended, or must end; None while it goes on."""
        reason = self._damaged.get(operation.id)
        if reason is None and folder.ended.exists():
            # told before, to a ledger that has been brought back from an older copy since
            try:
                return (
                    await self._in_thread(load_operation, operation.id, folder.manifest, folder.checkpoint)
                )[0]
            except FolderDamagedError as error:
                reason = str(error)
        if reason is None and not folder.path.exists():
            reason = "its folder is gone from the data folder"
            log.error("its files are gone", extra={"operation": operation.id})
        return None if reason is None else _failed(operation, reason)

    def _folder_of(self, operation: Operation) -> OperationFolder:
        return self._tools.data.operation(operation.id)

    async def _record(self, operation: Operation) -> None:
        await self._tools.recorder.record(OperationChange.of(operation))

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.running, partial(work, *arguments))


def _modifies(operation: Operation) -> bool:
    return operation.order.model is Model.MODIFY and not operation.order.dry_run


def _tokens_may_be_forgotten(operation: Operation, checkpoint: Checkpoint) -> bool:
    old = datetime.now(UTC) - operation.create_time > TOKENS_REMEMBERED
    return _modifies(operation) and checkpoint.started and old and operation.paused_by is not PausedBy.PERSON


def _failed(operation: Operation, reason: str) -> Operation:
    """Return an operation without its checkpoint as failed: what it may have changed is uncertain."""
    counts = operation.counts
    if operation.state not in _NOT_BEGUN and _modifies(operation):
        uncertain = counts.total - counts.ok - counts.failed
        counts = replace(counts, done=counts.total, uncertain=uncertain)
    return replace(operation, state=State.FAILED, message=reason, counts=counts)
