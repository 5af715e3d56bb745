"""Uncertain rows of an ended operation: shown beside what the cluster has now, and decided by a person.

A verdict is on the disk before anything follows from it: rows that are to be sent again are marked first, so
that no second click sends them twice. What has ended keeps its state; its counts follow the verdicts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import numpy as np

from eomd.errors import WrongStateError
from eomd.evt.cluster import Cluster
from eomd.evt.codec import I64, U64
from eomd.model import ACTIONS, Counts, Kind, Operation, Order, RowStatus
from eomd.operations.accounts import open_account, reading, refusal
from eomd.operations.admission import Filled, Origin
from eomd.operations.board import Board
from eomd.operations.derivation import Desire, check_named, name_order, name_source
from eomd.operations.derived_rows import fill_again
from eomd.operations.intake import Intake
from eomd.operations.lineage import Lineage
from eomd.operations.reading import Reading, read_values
from eomd.operations.story import tell
from eomd.operations.tools import Tools
from eomd.operations.uncertain import UncertainRows, collect, decide, knows_after, recount
from eomd.storage.checkpoint import load_operation
from eomd.storage.files import OperationFolder
from eomd.storage.recorder import OperationChange
from eomd.storage.settlement import Settlement, Verdict

T = TypeVar("T")


class Settling:
    """Shows uncertain rows and takes verdicts."""

    def __init__(
        self,
        lineage: Lineage,
        board: Board,
        intake: Intake,
        tools: Tools,
        clusters: Mapping[str, Cluster],
    ) -> None:
        self._lineage, self._board, self._intake = lineage, board, intake
        self._tools, self._clusters = tools, clusters

    async def show(self, operation: int, offset: int, limit: int) -> dict[str, Any]:
        """Return {total, open, items}: uncertain rows with what they asked for and what the cluster has now.

        Raises NotFoundError, GoneError, WrongStateError.
        """
        shown = await self._find(operation)
        found, settlement = await self._in_thread(self._collect, shown, await self._plan_of(shown))
        page = slice(offset, offset + limit)
        now = await self._read_now(shown, found.users[page])
        return {
            "total": len(found.rows),
            "open": len(found.rows) - len(settlement.rows),
            "items": _items(shown, found, page, now, settlement),
        }

    async def settle(
        self, operation: int, rows: Sequence[int] | None, verdict: Verdict, desire: Desire
    ) -> tuple[Operation, int]:
        """Decide about these rows (None: all that are open); return (operation, how many are decided now).

        With SEND_AGAIN the operation is the one that sends them, else the one that was settled. A verdict
        given again changes nothing. Raises NotFoundError, GoneError, WrongStateError, InvalidConfigError, and
        with SEND_AGAIN what speaks against any hand-in.
        """
        self._intake.check_ledger()
        async with await self._lineage.family(await self._find(operation)):
            settled = await self._find(operation)
            if verdict is Verdict.SEND_AGAIN:
                check_named(desire, settled.order, self._tools.rules.approval)
                await self._check_intake(settled)
            count, batch = await self._in_thread(self._decide, settled, rows, verdict)
            settled = await self._record(settled, count, verdict)
            if verdict is Verdict.SEND_AGAIN:
                return await self._send_again(settled, batch, desire), count
            return settled, count

    async def _find(self, operation: int) -> Operation:
        found = await self._lineage.find(operation)
        if found.state not in ACTIONS["settle"]:
            raise WrongStateError(operation, found.state.value, "settle")
        if found.order.sent_mode is None:
            raise refusal(found, "settle", "it was to change nothing")
        return found

    async def _plan_of(self, operation: Operation) -> Operation | None:
        if operation.plan is None:
            return None
        plan = await self._lineage.find(operation.plan)
        return plan if plan.removed_time is None else None

    async def _check_intake(self, operation: Operation) -> None:
        if operation.order.cluster not in self._clusters:
            raise refusal(
                operation, "settle", f"cluster {operation.order.cluster} is not configured any more"
            )
        self._intake.check_open()
        await self._intake.check_space()

    async def _read_now(self, operation: Operation, users: U64) -> Reading | None:
        cluster = self._clusters.get(operation.order.cluster)
        return await read_values(cluster, operation.order.eids, users) if cluster else None

    async def _record(self, operation: Operation, count: int, verdict: Verdict) -> Operation:
        """Count what was uncertain as what it is held to be; an earlier call may have been cut off before."""
        counts = await self._in_thread(self._count, operation)
        if counts == operation.counts:
            return operation
        settled = replace(operation, counts=counts, last_modify_time=datetime.now(UTC))
        story = f"{count:,} uncertain rows settled as {verdict.word}"
        await self._in_thread(tell, self._tools.data.log(operation.id), story)
        await self._tools.recorder.record(OperationChange.of(settled))
        self._board.amend(settled)
        self._tools.changed(settled)
        return settled

    async def _send_again(self, operation: Operation, batch: int, desire: Desire) -> Operation:
        kind = f"{Kind.AGAIN}-{batch}"
        child = await self._lineage.child(operation.id, kind)
        if child is not None and not await self._lineage.free_rejected(child):
            return child
        order = name_order(operation.order, desire)
        fill = partial(self._fill, operation, batch, order)
        name = name_source(operation, kind)
        return await self._intake.derive(order, fill, name, Origin(operation.id, kind))

    # --- in a thread

    def _collect(self, operation: Operation, plan: Operation | None) -> tuple[UncertainRows, Settlement]:
        with reading(operation, "settle"):
            account = open_account(operation, self._tools)
            planned = open_account(plan, self._tools) if plan else None
            return collect(account, planned), account.settlement

    def _decide(self, operation: Operation, rows: Sequence[int] | None, verdict: Verdict) -> tuple[int, int]:
        found, settlement = self._collect(operation, None)
        settlement, now, batch = decide(operation, found, settlement, rows, verdict)
        if len(now):
            settlement.save(self._folder(operation).settlement)
        return len(now), batch

    def _count(self, operation: Operation) -> Counts:
        folder = self._folder(operation)
        ended, _ = load_operation(operation.id, folder.manifest, folder.checkpoint)
        return recount(ended.counts, Settlement.load(folder.settlement))

    def _fill(self, operation: Operation, batch: int, order: Order, folder: OperationFolder) -> Filled:
        with reading(operation, "settle"):
            account = open_account(operation, self._tools)
            return fill_again(account, account.settlement.batch(batch).rows, order, folder)

    def _folder(self, operation: Operation) -> OperationFolder:
        return self._tools.data.operation(operation.id)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.serving, partial(work, *arguments))


def _items(
    operation: Operation, found: UncertainRows, page: slice, now: Reading | None, settlement: Settlement
) -> list[dict[str, Any]]:
    decided = dict(zip(settlement.rows.tolist(), settlement.verdicts.tolist(), strict=True))
    status = [None] * len(found.rows[page]) if now is None else now.status.tolist()
    read = np.zeros((len(status), 1), np.int64) if now is None else now.values
    after = knows_after(found, operation.order.mode)[page].tolist()
    columns = zip(
        found.rows[page].tolist(),
        found.users[page].tolist(),
        found.amounts[page].tolist(),
        _known(found.before[page], found.planned[page].tolist()),
        _known(found.after[page], after),
        _known(read, [each in (RowStatus.OK, RowStatus.REPLAYED) for each in status]),
        [None if each in (None, RowStatus.PENDING) else RowStatus(each).result_name for each in status],
        strict=True,
    )
    names = ("row", "user", "amounts", "before", "after", "now", "now_status")
    return [
        dict(zip(names, values, strict=True)) | {"settled": _word(decided.get(values[0]))}
        for values in columns
    ]


def _known(values: I64, known: list[bool]) -> list[list[int] | None]:
    return [row if there else None for row, there in zip(values.tolist(), known, strict=True)]


def _word(verdict: int | None) -> str | None:
    return None if verdict is None else Verdict(verdict).word
