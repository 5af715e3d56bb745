"""What may come of an ended operation: the commit of a plan, an undo, a retry; each once.

Decides whether it may be, and with what order; rows are made in `derived_rows`, admission is the intake's.
One family is dealt with at a time: two clicks make one child, and an undo never meets its own undoing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from weakref import WeakValueDictionary

import numpy as np

from eomd.errors import (
    FieldProblem,
    FolderDamagedError,
    GoneError,
    InvalidConfigError,
    NewerFormatError,
    NotFoundError,
    WrongStateError,
)
from eomd.evt.cluster import Cluster
from eomd.model import ACTIONS, Duplicates, Kind, Mode, Operation, Order, State
from eomd.operations.admission import Fill, Filled, Origin
from eomd.operations.board import Board
from eomd.operations.derived_rows import INVERSE, fill_commit, fill_retry, fill_undo
from eomd.operations.intake import Intake
from eomd.operations.lineage import Lineage
from eomd.operations.plan import Ground, Plan
from eomd.operations.reach import SENT_AHEAD_ROWS
from eomd.operations.tools import Tools
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.doubled_users import find_doubled, users_of
from eomd.storage.files import OperationFolder
from eomd.storage.ledger import Ledger
from eomd.storage.outcomes import Account

_NOTHING = {
    Kind.COMMIT: "the plan changes no row",
    Kind.UNDO: "no row is known to have been changed by it",
    Kind.RETRY: "no row failed or was not sent",
}


@dataclass(frozen=True, slots=True)
class Desire:
    """What a person says about the child beside its kind. None: as its parent has it."""

    operatorid: int | None = None
    operatorname: str | None = None
    description: str | None = None
    only_if_unchanged: bool = False
    #: the plan that the person has seen; None: whatever the operation's is
    plan: str | None = None


class Derivation:
    """Makes children of ended operations."""

    def __init__(
        self, ledger: Ledger, board: Board, intake: Intake, tools: Tools, clusters: Mapping[str, Cluster]
    ) -> None:
        self._ledger, self._board, self._intake = ledger, board, intake
        self._tools, self._clusters = tools, clusters
        self._lineage = Lineage(ledger, board)
        self._families: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def derive(self, kind: Kind, operation: int, desire: Desire) -> tuple[Operation, bool]:
        """Return (child, whether this call made it).

        Raises NotFoundError, GoneError, WrongStateError, InvalidConfigError, and what speaks against any
        hand-in.
        """
        self._intake.check_ledger()
        parent = await self._find(operation)
        _check_state(parent, kind)
        family = self._families.setdefault(await self._lineage.root(parent), asyncio.Lock())
        async with family:
            child = await self._lineage.child(operation, kind)
            if child is not None and not (kind is Kind.UNDO and await self._lineage.free_undone(child)):
                return child, False
            return await self._make(kind, parent, desire), True

    async def _find(self, operation: int) -> Operation:
        found = self._board.find(operation) or await self._ledger.operation(operation)
        if found is None:
            raise NotFoundError(f"there is no operation {operation}")
        return found

    async def _make(self, kind: Kind, parent: Operation, desire: Desire) -> Operation:
        if parent.removed_time is not None:
            raise GoneError(f"operation {parent.id}'s rows", parent.removed_time)
        order = _order(kind, parent, desire)
        self._check_cluster(kind, parent, order)
        if kind is Kind.UNDO:
            await self._check_undo(parent)
        fill = partial(self._fill, kind, parent, order, desire)
        name = _name(parent, kind)
        return await self._intake.derive(order, fill, name, Origin(parent.id, kind))

    def _check_cluster(self, kind: Kind, parent: Operation, order: Order) -> None:
        cluster = self._clusters.get(order.cluster)
        if cluster is None:
            raise _refusal(parent, kind, f"cluster {order.cluster} is not configured any more")
        if order.sent_mode is Mode.RESTORE and cluster.restores is False:
            raise _refusal(
                parent, kind, f"cluster {order.cluster} cannot compare values before it changes them"
            )

    async def _check_undo(self, parent: Operation) -> None:
        if parent.order.sent_mode is None:
            raise _refusal(parent, Kind.UNDO, "it was to change nothing")
        if await self._lineage.is_superseded(parent):
            raise _refusal(parent, Kind.UNDO, "what it restored may have been undone again since")

    # --- in a thread

    def _fill(
        self, kind: Kind, parent: Operation, order: Order, desire: Desire, folder: OperationFolder
    ) -> Filled:
        """Write the child's rows. Raises WrongStateError, InvalidConfigError, DiskFullError, OSError."""
        try:
            account = self._account(parent)
            filled = self._filler(kind, parent, account, order, desire)(folder)
        except FolderDamagedError as error:
            raise _refusal(parent, kind, str(error)) from error
        except FileNotFoundError as error:
            raise _refusal(parent, kind, "its files are not here") from error
        if not filled.rows:
            raise _refusal(parent, kind, _NOTHING[kind])
        return filled

    def _filler(self, kind: Kind, parent: Operation, account: Account, order: Order, desire: Desire) -> Fill:
        if kind is Kind.UNDO:
            return partial(fill_undo, account, order)
        if kind is Kind.RETRY:
            return partial(fill_retry, account, order)
        self._check_plan(parent, account, desire)
        return partial(fill_commit, account, self._tools.data.source(parent.id), order)

    def _account(self, parent: Operation) -> Account:
        data, folder = self._tools.data, self._tools.data.operation(parent.id)
        try:
            checkpoint = Checkpoint.load(folder.checkpoint)
        except (NewerFormatError, OSError) as error:
            raise FolderDamagedError(str(error)) from error
        result = data.result(parent.id) if parent.resultname is not None else None
        if result is not None and result.stat().st_size != checkpoint.partial_bytes:
            raise FolderDamagedError("its result is not as it was written")
        return Account(
            order=parent.order,
            rows=folder.rows,
            result=result,
            unsent_from=_unsent_from(parent, checkpoint),
            line_bytes_max=self._tools.rules.read.line_bytes,
        )

    def _check_plan(self, parent: Operation, account: Account, desire: Desire) -> None:
        """Raises WrongStateError unless all that the plan was made from is as it was."""
        plan = Plan.load(self._tools.data.operation(parent.id).plan)
        if plan is None or account.result is None:
            raise _refusal(parent, Kind.COMMIT, "it has no plan; make the dry run again")
        if desire.plan is not None and desire.plan != plan.hash:
            raise _refusal(parent, Kind.COMMIT, "its plan is not the one with this hash")
        ground = Ground(parent.order, self._tools.data.source(parent.id), account.rows, account.result)
        definitions = self._tools.definitions(parent.order.cluster)
        now = ground.draw(self._clusters[parent.order.cluster].settings, definitions)
        if changed := plan.changed(now):
            reason = f"not as it was when the plan was made: {', '.join(changed)}; make the dry run again"
            raise _refusal(parent, Kind.COMMIT, reason)
        if desire.only_if_unchanged:
            _check_single(account.rows, parent.counts.total)


def _unsent_from(parent: Operation, checkpoint: Checkpoint) -> int:
    """Return from which row on none was sent, of those that the result does not name."""
    cancelled_at_once = parent.state is State.CANCELLED and parent.resultname is None
    if cancelled_at_once or not checkpoint.started:
        return 0
    bound = checkpoint.sent_until
    return checkpoint.rows + SENT_AHEAD_ROWS if bound is None else bound


def _check_state(parent: Operation, kind: Kind) -> None:
    if parent.state not in ACTIONS[kind]:
        raise WrongStateError(parent.id, parent.state.value, kind.value)
    if kind is Kind.COMMIT and not parent.order.dry_run:
        raise _refusal(parent, kind, "it is no dry run")


def _refusal(parent: Operation, kind: Kind, reason: str) -> WrongStateError:
    return WrongStateError(parent.id, parent.state.value, kind.value, reason)


def _check_single(rows: Path, total: int) -> None:
    """Raises InvalidConfigError where a user has two rows: the first would spoil the second."""
    doubled = find_doubled(lambda: users_of(rows), total)
    if len(doubled):
        reason = f"{len(doubled)} users stand in the file more than once, {int(np.min(doubled))} among them"
        raise InvalidConfigError([FieldProblem("only_if_unchanged", reason)])


def _order(kind: Kind, parent: Operation, desire: Desire) -> Order:
    order = parent.order
    named = replace(
        order,
        operatorid=order.operatorid if desire.operatorid is None else desire.operatorid,
        operatorname=order.operatorname if desire.operatorname is None else desire.operatorname,
        description=order.description if desire.description is None else desire.description,
    )
    if kind is Kind.COMMIT:
        return replace(named, dry_run=False, only_if_unchanged=desire.only_if_unchanged)
    if kind is Kind.UNDO and order.mode is not None:
        # doubled users gave twice, and give back twice
        back = replace(named, mode=INVERSE[order.mode], amount=None, duplicates=Duplicates.ALLOW)
        return replace(back, only_if_unchanged=False)
    return named


def _name(parent: Operation, kind: Kind) -> str:
    """Return what the child's source is called: for a commit it is the parent's."""
    original = PurePath(parent.original_name or f"operation-{parent.id}.csv")
    return original.name if kind is Kind.COMMIT else f"{original.stem}-{kind}.csv"
