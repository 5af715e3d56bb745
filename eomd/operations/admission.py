"""The way of every hand-in: a folder with source, rows and manifest → the ledger → a folder with its id.

Each step is on the disk before the next, so that an operation is acknowledged exactly when folder and ledger
have it. What becomes of a hand-in that is cut off in between is its caller's to say.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeVar

from eomd.durable import sync_file
from eomd.model import Model, Operation, Order, State
from eomd.operations.approval import describe, judge
from eomd.operations.schedule import Schedule
from eomd.operations.story import format_hand_in, format_state, tell
from eomd.operations.tools import Tools
from eomd.storage.amounts import measure_amounts
from eomd.storage.checkpoint import Checkpoint, Manifest
from eomd.storage.csv_reader import read_source
from eomd.storage.files import OperationFolder
from eomd.storage.ledger import Ledger, NewOperation

log = logging.getLogger(__name__)

T = TypeVar("T")

#: puts a hand-in's source, and whatever else it needs, into its folder. Blocks.
Place = Callable[[OperationFolder], None]


class Filled(NamedTuple):
    """What was written into a hand-in's folder."""

    rows: int
    #: of what a modify changes; None where nothing is changed
    change_hash: str | None


#: writes a hand-in's source and rows into its folder, both on the disk. Blocks.
Fill = Callable[[OperationFolder], Filled]


class Origin(NamedTuple):
    """Where an operation comes from that was not handed in as a file."""

    #: its parent's id
    parent: int
    #: a Kind, numbered where there may be several
    kind: str
    #: the dry run whose plan it carries out
    plan: int | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """A hand-in that has been found good and is on the disk."""

    folder: OperationFolder
    new: NewOperation
    #: as its folder says from the start
    checkpoint: Checkpoint


class Admission:
    """Makes operations of hand-ins; decides nothing about them."""

    def __init__(self, ledger: Ledger, schedule: Schedule, tools: Tools) -> None:
        self._ledger, self._schedule, self._tools = ledger, schedule, tools

    async def stage(
        self,
        hand_in: str,
        order: Order,
        place: Place,
        original_name: str,
        *,
        key: str | None = None,
        content: str | None = None,
    ) -> Staged:
        """Check a hand-in and put it on the disk under its UUID.

        Raises InvalidFileError, TooLargeError, DiskFullError, OSError; nothing is left behind then.
        """
        fill = partial(self._read, order, place)
        return await self.stage_filled(hand_in, order, fill, original_name, key=key, content=content)

    async def stage_filled(
        self,
        hand_in: str,
        order: Order,
        fill: Fill,
        original_name: str,
        *,
        key: str | None = None,
        content: str | None = None,
        origin: Origin | None = None,
    ) -> Staged:
        """Put a hand-in on the disk under its UUID.

        Raises what `fill` does, DiskFullError, OSError; nothing is left behind then.
        """
        order = self._complete(order)
        folder = await self._in_thread(self._tools.data.stage, hand_in)
        try:
            filled = await self._in_thread(fill, folder)
            manifest = _draw_manifest(hand_in, order, filled.rows, original_name, origin)
            await self._in_thread(manifest.save, folder.manifest)
            return await self._in_thread(self._compose, folder, manifest, filled.change_hash, key, content)
        except BaseException:
            await self._in_thread(folder.remove)
            raise

    def _complete(self, order: Order) -> Order:
        """Put what is configured where the order leaves it open."""
        if order.model is not Model.MODIFY or order.canary_rows:
            return order
        return replace(order, canary_rows=self._tools.rules.canary_rows)

    def _read(self, order: Order, place: Place, folder: OperationFolder) -> Filled:
        """Put source and rows into the folder and on the disk."""
        place(folder)
        facts = read_source(folder.source, order, self._tools.rules.read, folder.rows)
        sync_file(folder.source)
        return Filled(facts.rows, facts.change_hash)

    def _judge(self, folder: OperationFolder, manifest: Manifest) -> Checkpoint:
        """Return how an operation begins, as its folder says first of all."""
        measure = partial(measure_amounts, folder.rows)
        rules = self._tools.rules.approval
        approval = judge(manifest.order, manifest.rows, measure, rules, manifest.create_time)
        begin = Checkpoint(State.QUEUED)
        if approval is not None:
            begin = Checkpoint(State.AWAITING_APPROVAL, message=describe(approval), approval=approval)
        begin.save(folder.checkpoint)
        return begin

    def _compose(
        self,
        folder: OperationFolder,
        manifest: Manifest,
        change_hash: str | None,
        key: str | None,
        content: str | None,
    ) -> Staged:
        data, checkpoint = self._tools.data, self._judge(folder, manifest)
        new = NewOperation(
            uuid=manifest.uuid,
            number=manifest.number,
            order=manifest.order,
            rows=manifest.rows,
            original_name=manifest.original_name,
            installation=data.origin().hex(),
            idempotency_key=key,
            content_hash=content,
            change_hash=change_hash,
            minimum_id=data.highest_id + 1,
            parent=manifest.parent,
            kind=manifest.kind,
            plan=manifest.plan,
            create_time=manifest.create_time,
            state=checkpoint.state,
            message=checkpoint.message,
            approval=checkpoint.approval,
        )
        return Staged(folder, new, checkpoint)

    async def note_repeats(self, staged: Staged, repeats: Sequence[int]) -> Staged:
        """Keep which operations changed the same before, in the folder too. Raises OSError."""
        if not repeats:
            return staged
        checkpoint = replace(staged.checkpoint, repeats=tuple(repeats))
        await self._in_thread(checkpoint.save, staged.folder.checkpoint)
        return replace(staged, new=replace(staged.new, repeats=tuple(repeats)), checkpoint=checkpoint)

    async def enter(self, staged: Sequence[Staged]) -> list[Operation]:
        """Write hand-ins into the ledger, all of them or none, in this order.

        Raises what `Ledger.admit` does, OSError; after LedgerUnavailableError it may have them nevertheless.
        """
        await self._in_thread(self._tools.data.sync_staged)
        return await self._ledger.admit_many([each.new for each in staged])

    async def start(self, staged: Sequence[Staged], operations: Sequence[Operation]) -> list[OSError | None]:
        """Give each hand-in the folder of its operation, and the operation its turn.

        Returns what kept a folder back, in their order: that one is as it was, and known to the ledger.
        """
        pairs = [(each.folder, operation.id) for each, operation in zip(staged, operations, strict=True)]
        named = await self._in_thread(self._tools.data.admit_many, pairs)
        started = [
            (operation, folder, hand_in.checkpoint)
            for operation, folder, hand_in in zip(operations, named, staged, strict=True)
            if isinstance(folder, OperationFolder)
        ]
        await self._in_thread(self._tell, [operation for operation, _, _ in started])
        for operation, folder, checkpoint in started:
            self._schedule.add(operation, folder, checkpoint)
            # of hundreds of them, none holds the loop for the others
            await asyncio.sleep(0)
        return [None if isinstance(folder, OperationFolder) else folder for folder in named]

    def _tell(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            try:
                path = self._tools.data.log(operation.id)
                tell(path, format_hand_in(operation))
                if operation.message:
                    tell(path, format_state(operation))
            except OSError as error:
                log.warning("log not written: %s", error, extra={"operation": operation.id})

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.reading, partial(work, *arguments))


def _draw_manifest(
    hand_in: str, order: Order, rows: int, original_name: str, origin: Origin | None
) -> Manifest:
    """Return the manifest of a new operation, with a number for the wire that nothing else has."""
    number = secrets.randbelow(2**63 - 1) + 1
    parent, kind, plan = origin or (None, None, None)
    return Manifest(hand_in, number, order, rows, original_name, datetime.now(UTC), parent, kind, plan)
