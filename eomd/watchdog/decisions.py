"""What is tried against which incident, and when: a table, and how it is read. Pure.

Small remedies first. Kinds that are not in the table heal by themselves, by the supervisor (the server's own
life), or by a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from eomd.watchdog.kinds import Kind

RECYCLE, RELOAD, RESTART = "recycle", "reload", "restart"


class Step(NamedTuple):
    """One remedy in its turn."""

    remedy: str
    #: since the incident was opened, or since the remedy before
    after_s: float


class Plan(NamedTuple):
    """The steps of a kind, in order; the last one is repeated for as long as the incident lasts."""

    steps: Sequence[Step]


DECISIONS: Mapping[str, Plan] = {
    Kind.POOL_DISAGREES: Plan(
        (Step(RECYCLE, 0), Step(RECYCLE, 30), Step(RELOAD, 60), Step(RESTART, 300), Step(RECYCLE, 900))
    ),
    Kind.LEDGER_DISAGREES: Plan((Step(RESTART, 60), Step(RESTART, 600))),
    Kind.HEALTH: Plan((Step(RESTART, 5), Step(RESTART, 120), Step(RESTART, 600))),
}


class Decision(NamedTuple):
    """What to do about an incident."""

    #: None: nothing, now or ever
    remedy: str | None
    #: seconds until then
    wait_s: float = 0.0


def decide(kind: str, tried: int, waited_s: float, table: Mapping[str, Plan] = DECISIONS) -> Decision:
    """Decide about an incident against which `tried` remedies were tried.

    waited_s: since the last of them; since it was opened where there was none.
    """
    plan = table.get(kind)
    if plan is None or not plan.steps:
        return Decision(None)
    step = plan.steps[min(tried, len(plan.steps) - 1)]
    return Decision(step.remedy, max(0.0, step.after_s - waited_s))
