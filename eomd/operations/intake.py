"""A hand-in from a received file to an admitted operation. Nothing is left behind where it fails.

The order of things on disk and in the ledger makes an operation acknowledged exactly when it is in both:
staged folder (source, rows, manifest, all synced) → ledger → the folder gets its id → acknowledged. Where
the caller is refused after the ledger was asked, the folder is abandoned: whatever the ledger says, it never
runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from eomd.errors import (
    DiskFullError,
    DrainingError,
    FieldProblem,
    InvalidConfigError,
    KeyReusedError,
    LedgerUnavailableError,
    LooksRepeatedError,
    WrongStateError,
)
from eomd.model import Operation, Order
from eomd.operations.admission import Admission, Fill, Origin, Staged
from eomd.operations.definitions import Definitions
from eomd.operations.hand_ins import HandIns
from eomd.operations.repeats import Repeats
from eomd.operations.schedule import Schedule
from eomd.operations.tools import Tools
from eomd.storage.files import OperationFolder
from eomd.storage.ledger import KEY_LIFE, Ledger
from eomd.storage.rows_file import disk_errors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A file handed in: where it lies, and what its owner calls it."""

    path: Path
    original_name: str
    #: the hand-in may take the file away; False for an upload, which may be used again
    movable: bool = True

    def place(self, folder: OperationFolder) -> None:
        """Put the file where a hand-in's source stands. Blocks."""
        if self.movable:
            os.replace(self.path, folder.source)
        else:
            os.link(self.path, folder.source)


class Intake:
    """Takes hand-ins, one at a time or many; refuses them where they cannot be kept."""

    def __init__(
        self,
        ledger: Ledger,
        hand_ins: HandIns,
        schedule: Schedule,
        definitions: Definitions,
        tools: Tools,
        admission: Admission,
        repeats: Repeats,
        clusters: Mapping[str, object],
    ) -> None:
        self._ledger, self._hand_ins, self._schedule = ledger, hand_ins, schedule
        self._definitions, self._tools = definitions, tools
        self._admission, self._repeats, self._clusters = admission, repeats, clusters
        self._keys: dict[tuple[int, str], asyncio.Task[Operation]] = {}
        self.draining = False

    def check_open(self) -> None:
        """Raises DrainingError, QueueFullError or LedgerUnavailableError before a body is read in vain."""
        if self.draining:
            raise DrainingError("the server is shutting down; try again in a moment")
        self._schedule.check_room()
        self.check_ledger()

    def check_ledger(self) -> None:
        """Raises LedgerUnavailableError while hand-ins cannot be entered, or looked up for certain."""
        if not self._ledger.state.up:
            raise LedgerUnavailableError("the database is away; running operations go on")
        if self._hand_ins.in_doubt:
            raise LedgerUnavailableError("the database is back; what it knows is being looked through")

    async def check_space(self, wanted_mb: float = 0.0) -> None:
        """Raises DiskFullError while less than twice `limits.min_free_mb` would stay free."""
        least = 2 * self._tools.rules.min_free_mb
        free = await self._in_thread(self._tools.data.free_mb)
        if free - wanted_mb < least:
            raise DiskFullError(f"{free:.0f} MB free; hand-ins need twice limits.min_free_mb = {least} MB")

    async def hand_in(self, order: Order, source: Source, key: str | None) -> tuple[Operation, bool]:
        """Return (operation, whether this call made it).

        Raises InvalidConfigError, InvalidFileError, TooLargeError, KeyReusedError and what `check_open` and
        `check_space` raise; nothing exists then.
        """
        if key is None:
            return await self._create(order, source, None, None), True
        content = await self._in_thread(_hash_content, order, source.path)
        return await self._once(order, source, key, content)

    def check_order(self, order: Order) -> None:
        """Raises InvalidConfigError for a cluster or EIDs that are not there."""
        if order.cluster not in self._clusters:
            known = ", ".join(sorted(self._clusters)) or "none"
            reason = f"there is no cluster {order.cluster!r} (configured: {known})"
            raise InvalidConfigError([FieldProblem("cluster", reason)])
        if order.canary_wait and not (order.canary_rows or self._tools.rules.canary_rows):
            raise InvalidConfigError([FieldProblem("canary_wait", "there is no canary: canary_rows is 0")])
        self._definitions.check(order.cluster, order.eids)

    async def _once(self, order: Order, source: Source, key: str, content: str) -> tuple[Operation, bool]:
        """Create the operation unless its key has; a repeat waits for the first that is still being read."""
        place = (order.operatorid, key)
        while (first := self._keys.get(place)) is not None:
            await asyncio.wait({first})
        found = await self._find_key(order.operatorid, key, content)
        if found is not None:
            return found, False
        if place in self._keys:
            return await self._once(order, source, key, content)
        creating = asyncio.get_running_loop().create_task(self._create(order, source, key, content))
        self._keys[place] = creating
        try:
            return await asyncio.shield(creating), True
        finally:
            await asyncio.wait({creating})
            del self._keys[place]

    async def _find_key(self, operatorid: int, key: str, content: str) -> Operation | None:
        self.check_ledger()
        found = await self._ledger.find_key(operatorid, key, datetime.now(UTC) - KEY_LIFE)
        if found is None:
            return None
        operation, earlier = found
        if earlier != content:
            raise KeyReusedError(f"this Idempotency-Key made operation {operation.id} with other content")
        return operation

    async def _create(self, order: Order, source: Source, key: str | None, content: str | None) -> Operation:
        self.check_order(order)

        async def stage(hand_in: str) -> Staged:
            return await self._admission.stage(
                hand_in, order, source.place, source.original_name, key=key, content=content
            )

        return await self._enter(stage)

    async def derive(self, order: Order, fill: Fill, original_name: str, origin: Origin) -> Operation:
        """Make an operation of rows that come from another one.

        Raises WrongStateError where the parent has such a child; what `fill`, `check_open` and `check_space`
        raise.
        """

        async def stage(hand_in: str) -> Staged:
            return await self._admission.stage_filled(hand_in, order, fill, original_name, origin=origin)

        return await self._enter(stage)

    async def _enter(self, stage: Callable[[str], Awaitable[Staged]]) -> Operation:
        self.check_open()
        await self.check_space()
        hand_in = str(uuid.uuid4())
        with self._hand_ins.under_way(hand_in), disk_errors():
            return await self._admit(await stage(hand_in))

    async def _admit(self, staged: Staged) -> Operation:
        """Give the hand-in its id, in the ledger and in the data folder."""
        try:
            async with self._repeats.turn([staged]):
                staged = await self._repeats.look(staged)
                [operation] = await self._admission.enter([staged])
            [kept_back] = await self._admission.start([staged], [operation])
            if kept_back is not None:
                raise kept_back
        except (KeyReusedError, LooksRepeatedError, WrongStateError):
            await self._in_thread(staged.folder.remove)
            raise
        except Exception:
            await self._abandon(staged.folder)
            raise
        return operation

    async def _abandon(self, staged: OperationFolder) -> None:
        """The ledger may have it, but the caller is told that it has not: it must never run."""
        try:
            await self._in_thread(staged.abandon)
        except OSError:
            # no room for the mark: what has no folder does not run either
            await self._in_thread(staged.remove)
        self._hand_ins.doubt()

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.reading, partial(work, *arguments))


def _hash_content(order: Order, path: Path) -> str:
    """Return the SHA-256 of what a hand-in asks for: its config and its file."""
    with open(path, "rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    config = json.dumps(asdict(order), sort_keys=True)
    return hashlib.sha256(f"{config}\n{content}".encode()).hexdigest()
