"""Changes of operations on their way into the ledger: written at once, or kept in the spool until it is back.

The order is kept: once something is in the spool, everything later goes there too, until the ledger has taken
all of it. A change may reach the ledger twice (a doubt about a commit, a cut while draining); the ledger does
not let an older one undo the end of an operation. For one loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from eomd.errors import EomdError, UnavailableError
from eomd.storage.operation_records import OperationChange
from eomd.storage.spool import Spool

__all__ = ["OperationChange", "Recorder"]

#: changes that are written in one transaction when the spool is drained
BATCH = 200
#: over so many waiting changes the spool is rewritten to the latest of each operation
WAITING_MAX = 10_000
#: a ledger that is up and yet refuses (locked, its disk full) is tried again after so long
RETRY_S = 5.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class ChangeStore(Protocol):
    """What is needed of a ledger."""

    def add_listener(self, listener: Callable[[], None]) -> None: ...
    async def record_many(self, changes: Sequence[OperationChange]) -> None: ...


class Recorder:
    """The only way for changes into the ledger."""

    def __init__(self, ledger: ChangeStore, spool: Spool) -> None:
        self._ledger, self._spool = ledger, spool
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="spool")
        #: held while a change finds its way: into the ledger or behind the others
        self._turn = asyncio.Lock()
        self._draining = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pending = 0
        #: entries of the oldest segment that the ledger has taken already
        self._taken = 0
        self._waiting: dict[int, OperationChange] = {}
        ledger.add_listener(self._wake.set)

    @property
    def pending(self) -> int:
        """Changes that the ledger has not taken yet."""
        return self._pending

    @property
    def waiting(self) -> Mapping[int, OperationChange]:
        """The latest change in the spool by operation: newer than what the ledger says."""
        return self._waiting

    async def open(self) -> None:
        """Look what an earlier process left in the spool and begin to drain it. Raises OSError."""
        for segment in await self._in_thread(self._spool.segments):
            for change in self._parse_all(await self._in_thread(self._spool.read, segment)):
                self._note(change)
        self._wake.set()
        self._task = asyncio.create_task(self._keep_draining(), name="recorder")

    async def close(self) -> None:
        """Stop draining. What is in the spool stays there for the next process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        async with self._turn:
            await self._in_thread(self._spool.roll)
        self._executor.shutdown()

    async def record(self, change: OperationChange) -> None:
        """Write a change, or keep it on the disk until the ledger takes it.

        Raises DiskFullError or OSError where neither is possible: the change is not kept.
        """
        async with self._turn:
            if self._pending or not await self._written([change]):
                await self._keep(change)

    async def drain(self) -> None:
        """Write what is in the spool, until it is empty or the ledger refuses. Raises OSError."""
        async with self._draining:
            while (segment := await self._oldest()) is not None:
                if not await self._drain_segment(segment):
                    return

    async def _oldest(self) -> Path | None:
        async with self._turn:
            return await self._in_thread(self._spool.oldest)

    async def _drain_segment(self, segment: Path) -> bool:
        """Write a segment's changes and remove it; False if the ledger refuses before that is done."""
        changes = self._parse_all(await self._in_thread(self._spool.read, segment))
        while self._taken < len(changes):
            batch = changes[self._taken : self._taken + BATCH]
            if not await self._written(batch):
                return False
            self._taken += len(batch)
        async with self._turn:
            await self._in_thread(self._spool.remove, segment)
            self._taken = 0
            self._pending = max(0, self._pending - len(changes))
            if not await self._in_thread(self._spool.segments):
                self._pending = 0
                self._waiting.clear()
        return True

    async def _written(self, changes: Sequence[OperationChange]) -> bool:
        """Tell whether the ledger has dealt with the changes: it took them, or refused some for good."""
        try:
            await self._ledger.record_many(changes)
        except UnavailableError:
            return False
        except EomdError as error:
            if len(changes) == 1:
                await self._set_aside(changes[0], error)
                return True
            # one of them is to blame; the others are not held up by it
            return all([await self._written([change]) for change in changes])
        return True

    async def _set_aside(self, change: OperationChange, error: EomdError) -> None:
        _log.error("a change of operation %s was set aside: %s", change.id, error)
        await self._in_thread(self._spool.set_aside, json.dumps(change.format()).encode())

    async def _keep(self, change: OperationChange) -> None:
        if not self._pending:
            _log.warning("the ledger takes no changes: they wait in the spool")
            self._wake.set()
        await self._in_thread(self._spool.append, [change.format()])
        self._note(change)
        if self._pending > WAITING_MAX and not self._draining.locked():
            await self._shorten()

    async def _shorten(self) -> None:
        latest = [change.format() for change in self._waiting.values()]
        await self._in_thread(self._spool.replace, latest)
        self._pending, self._taken = len(latest), 0

    def _note(self, change: OperationChange) -> None:
        self._pending += 1
        former = self._waiting.get(change.id)
        if former is None or not former.state.ended or change.state.ended:
            self._waiting[change.id] = change

    def _parse_all(self, entries: Sequence[dict[str, object]]) -> list[OperationChange]:
        return [change for entry in entries if (change := _parse(entry)) is not None]

    async def _keep_draining(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.drain()
            except OSError:
                _log.exception("the spool cannot be drained")
            if self._pending:
                loop.call_later(RETRY_S, self._wake.set)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(*arguments))


def _parse(entry: Mapping[str, object]) -> OperationChange | None:
    try:
        return OperationChange.parse(entry)
    except (KeyError, TypeError, ValueError):
        _log.error("spool: an entry is no change of an operation: %s", sorted(entry))
        return None
