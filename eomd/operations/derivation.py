"""What may come of an ended operation: the commit of a plan, an undo, a retry; each once.

Decides whether it may be, and with what order; rows are made in `derived_rows`, admission is the intake's.
One family is dealt with at a time: two clicks make one child, and an undo never meets its own undoing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from eomd.errors import FieldProblem, InvalidConfigError, WrongStateError
from eomd.evt.cluster import Cluster
from eomd.model import ACTIONS, Duplicates, Kind, Mode, Operation, Order, State
from eomd.operations.accounts import open_account, reading, refusal
from eomd.operations.admission import Fill, Filled, Origin
from eomd.operations.approval import ApprovalRules
from eomd.operations.derived_rows import INVERSE, fill_commit, fill_retry, fill_undo
from eomd.operations.intake import Intake
from eomd.operations.lineage import Lineage
from eomd.operations.plan import Ground, Plan
from eomd.operations.tools import Tools
from eomd.storage.doubled_users import find_doubled, users_of
from eomd.storage.files import OperationFolder
from eomd.storage.outcomes import Account

_NOTHING = {
    Kind.COMMIT: "the plan changes no row",
    Kind.UNDO: "no row is known to have been changed by it",
    Kind.UNDO_PLAN: "no row is known to have been changed by it",
    Kind.RETRY: "no row failed or was not sent",
}


@dataclass(frozen=True, slots=True)
class Desire:
    """What a person says about the child beside its kind. None: as its parent has it."""

    operatorid: int | None = None
    operatorname: str | None = None
    description: str | None = None
    only_if_unchanged: bool | None = None
    #: of an undo: make a plan of it
    dry_run: bool = False
    #: of a commit: it is meant although another one of late changed the same
    confirm_repeat: bool = False
    #: the plan that the person has seen; None: whatever the operation's is
    plan: str | None = None


class Derivation:
    """Makes children of ended operations."""

    def __init__(
        self, lineage: Lineage, intake: Intake, tools: Tools, clusters: Mapping[str, Cluster]
    ) -> None:
        self._lineage, self._intake = lineage, intake
        self._tools, self._clusters = tools, clusters

    async def derive(self, kind: Kind, operation: int, desire: Desire) -> tuple[Operation, bool]:
        """Return (child, whether this call made it).

        Raises NotFoundError, GoneError, WrongStateError, InvalidConfigError, and what speaks against any
        hand-in.
        """
        self._intake.check_ledger()
        parent = await self._lineage.find(operation)
        kind = Kind.UNDO_PLAN if kind is Kind.UNDO and desire.dry_run else kind
        _check_state(parent, kind)
        async with await self._lineage.family(parent):
            holder, place = await self._place(kind, parent)
            child = await self._lineage.child(holder.id, place)
            if child is not None and not await self._is_over(child, place):
                return child, False
            order = _order(kind, parent, desire)
            self._check_cluster(kind, parent, order)
            check_named(desire, order, self._tools.rules.approval)
            if place in (Kind.UNDO, Kind.UNDO_PLAN):
                await self._check_undo(holder, place)
            if kind is Kind.RETRY and await self._lineage.is_given_up(parent):
                raise refusal(parent, kind, "what it gave back may have been given back again since")
            if child is not None:
                await self._lineage.free(child)
            fill = partial(self._fill, kind, parent, order, desire)
            name = name_source(parent, kind)
            origin = Origin(holder.id, place, parent.id if kind is Kind.COMMIT else None)
            return await self._intake.derive(order, fill, name, origin), True

    async def _place(self, kind: Kind, parent: Operation) -> tuple[Operation, Kind]:
        """Return whose child it becomes, and of which kind: the commit of an undo's plan is the undo."""
        if kind is Kind.COMMIT and parent.kind == Kind.UNDO_PLAN and parent.parent is not None:
            return await self._lineage.find(parent.parent), Kind.UNDO
        return parent, kind

    async def _is_over(self, child: Operation, place: Kind) -> bool:
        """Tell whether another child may take the place of this one."""
        if child.state is State.REJECTED or (place is Kind.UNDO_PLAN and child.state.ended):
            return True
        return place is Kind.UNDO and await self._lineage.is_undone(child)

    def _check_cluster(self, kind: Kind, parent: Operation, order: Order) -> None:
        cluster = self._clusters.get(order.cluster)
        if cluster is None:
            raise refusal(parent, kind, f"cluster {order.cluster} is not configured any more")
        if order.sent_mode is Mode.RESTORE and cluster.restores is False:
            raise refusal(
                parent, kind, f"cluster {order.cluster} cannot compare values before it changes them"
            )

    async def _check_undo(self, parent: Operation, place: Kind) -> None:
        if parent.order.sent_mode is None:
            raise refusal(parent, place, "it was to change nothing")
        if await self._lineage.is_superseded(parent):
            raise refusal(parent, place, "what it restored may have been undone again since")
        undo = await self._lineage.child(parent.id, Kind.UNDO) if place is Kind.UNDO_PLAN else None
        if undo is not None and not await self._lineage.is_undone(undo):
            raise refusal(parent, place, f"operation {undo.id} undoes it")

    # --- in a thread

    def _fill(
        self, kind: Kind, parent: Operation, order: Order, desire: Desire, folder: OperationFolder
    ) -> Filled:
        """Write the child's rows. Raises WrongStateError, InvalidConfigError, DiskFullError, OSError."""
        with reading(parent, kind):
            account = open_account(parent, self._tools)
            filled = self._filler(kind, parent, account, order, desire)(folder)
        if not filled.rows:
            raise refusal(parent, kind, _NOTHING[kind])
        return filled

    def _filler(self, kind: Kind, parent: Operation, account: Account, order: Order, desire: Desire) -> Fill:
        if kind in (Kind.UNDO, Kind.UNDO_PLAN):
            return partial(fill_undo, account, order)
        if kind is Kind.RETRY:
            return partial(fill_retry, account, order)
        self._check_plan(parent, account, order, desire)
        return partial(fill_commit, account, self._tools.data.source(parent.id), order)

    def _check_plan(self, parent: Operation, account: Account, order: Order, desire: Desire) -> None:
        """Raises WrongStateError unless all that the plan was made from is as it was."""
        plan = Plan.load(self._tools.data.operation(parent.id).plan)
        if plan is None or account.result is None:
            raise refusal(parent, Kind.COMMIT, "it has no plan; make the dry run again")
        if desire.plan is not None and desire.plan != plan.hash:
            raise refusal(parent, Kind.COMMIT, "its plan is not the one with this hash")
        ground = Ground(parent.order, self._tools.data.source(parent.id), account.rows, account.result)
        definitions = self._tools.definitions(parent.order.cluster)
        now = ground.draw(self._clusters[parent.order.cluster].settings, definitions)
        if changed := plan.changed(now):
            reason = f"not as it was when the plan was made: {', '.join(changed)}; make the dry run again"
            raise refusal(parent, Kind.COMMIT, reason)
        if order.only_if_unchanged:
            _check_single(account.rows, parent.counts.total)


def _check_state(parent: Operation, kind: Kind) -> None:
    if parent.state not in ACTIONS[Kind.UNDO if kind is Kind.UNDO_PLAN else kind]:
        raise WrongStateError(parent.id, parent.state.value, kind.value)
    if kind is Kind.COMMIT and not parent.order.dry_run:
        raise refusal(parent, kind, "it is no dry run")
    if kind is Kind.COMMIT and parent.parent is not None and parent.kind is None:
        raise refusal(parent, kind, "a newer plan of that undo was made")
    planned = parent.order.dry_run and parent.kind in (Kind.UNDO_PLAN, None)
    if kind is Kind.RETRY and parent.parent is not None and planned:
        raise refusal(parent, kind, "it is the plan of an undo; make that again")


def _check_single(rows: Path, total: int) -> None:
    """Raises InvalidConfigError where a user has two rows: the first would spoil the second."""
    doubled = find_doubled(lambda: users_of(rows), total)
    if len(doubled):
        reason = f"{len(doubled)} users stand in the file more than once, {int(np.min(doubled))} among them"
        raise InvalidConfigError([FieldProblem("only_if_unchanged", reason)])


def check_named(desire: Desire, order: Order, rules: ApprovalRules) -> None:
    """Raises InvalidConfigError where a second person may be needed and nobody says who the first one is."""
    if rules.on and order.sent_mode is not None and desire.operatorid is None:
        raise InvalidConfigError([FieldProblem("operatorid", "is missing: who asks must be known")])


def name_order(order: Order, desire: Desire) -> Order:
    """Return an order as somebody else gives it."""
    return replace(
        order,
        operatorid=order.operatorid if desire.operatorid is None else desire.operatorid,
        operatorname=order.operatorname if desire.operatorname is None else desire.operatorname,
        description=order.description if desire.description is None else desire.description,
    )


def _order(kind: Kind, parent: Operation, desire: Desire) -> Order:
    order, named = parent.order, name_order(parent.order, desire)
    if kind is Kind.COMMIT:
        meant = named.confirm_repeat or desire.confirm_repeat
        said = desire.only_if_unchanged
        unchanged = order.only_if_unchanged if said is None else said
        return replace(named, dry_run=False, only_if_unchanged=unchanged, confirm_repeat=meant)
    if kind in (Kind.UNDO, Kind.UNDO_PLAN) and order.mode is not None:
        # doubled users gave twice, and give back twice
        back = replace(named, mode=INVERSE[order.mode], amount=None, duplicates=Duplicates.ALLOW)
        return replace(back, only_if_unchanged=False, dry_run=desire.dry_run)
    return named


def name_source(parent: Operation, kind: str) -> str:
    """Return what the child's source is called: for a commit it is the parent's."""
    original = PurePath(parent.original_name or f"operation-{parent.id}.csv")
    return original.name if kind == Kind.COMMIT else f"{original.stem}-{kind}.csv"
