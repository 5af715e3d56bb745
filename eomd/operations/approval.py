"""Which modifies need a second person: the rules of `[approval]`, and what of them an order is over.

They look at the rows that would be sent, and so hold for whatever makes an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from eomd.model import Approval, Model, Order
from eomd.storage.amounts import Amounts


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """0 and nothing: no such limit."""

    rows: int
    total_amount: int
    largest_amount: int
    clusters: tuple[str, ...]
    eids: tuple[int, ...]
    #: from, to (exclusive) in `zone`, over midnight where they are turned round
    hours: tuple[tuple[time, time], ...]
    zone: tzinfo
    expires: timedelta

    @property
    def on(self) -> bool:
        """Whether anything may need a second person."""
        return any((self.rows, self.total_amount, self.largest_amount, self.clusters, self.eids, self.hours))


def judge(
    order: Order, rows: int, measure: Callable[[], Amounts], rules: ApprovalRules, now: datetime
) -> Approval | None:
    """Return why this needs a second person; None where it does not.

    `measure` is called only where a limit of amounts is set; it may block.
    """
    if order.model is not Model.MODIFY or order.dry_run:
        return None
    reasons = [*_of_order(order, rows, rules, now), *_of_amounts(measure, rules)]
    return Approval(tuple(reasons), now + rules.expires) if reasons else None


def _of_order(order: Order, rows: int, rules: ApprovalRules, now: datetime) -> Iterator[str]:
    if rules.rows and rows > rules.rows:
        yield f"{rows:,} rows are over approval.rows = {rules.rows:,}"
    if order.cluster in rules.clusters:
        yield f"cluster {order.cluster} is among approval.clusters"
    if eids := [str(eid) for eid in order.eids if eid in rules.eids]:
        yield f"EID {', '.join(eids)}: among approval.eids"
    here = now.astimezone(rules.zone)
    if any(_within(here.time(), *hours) for hours in rules.hours):
        yield f"{here:%H:%M} is within approval.hours"


def _of_amounts(measure: Callable[[], Amounts], rules: ApprovalRules) -> Iterator[str]:
    if not (rules.total_amount or rules.largest_amount):
        return
    amounts = measure()
    if rules.total_amount and amounts.total > rules.total_amount:
        yield f"{amounts.total:,} in all is over approval.total_amount = {rules.total_amount:,}"
    if rules.largest_amount and amounts.largest > rules.largest_amount:
        yield f"an amount of {amounts.largest:,} is over approval.largest_amount = {rules.largest_amount:,}"


def _within(moment: time, begin: time, end: time) -> bool:
    if begin < end:
        return begin <= moment < end
    return moment >= begin or moment < end


def describe(approval: Approval) -> str:
    """Say what is waited for, in a sentence."""
    until = approval.expires.isoformat(timespec="seconds")
    return f"waits for a second person until {until}: {'; '.join(approval.reasons)}"
