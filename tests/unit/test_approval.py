"""What needs a second person, and why; and who may be one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from eomd.errors import ForbiddenError, InvalidConfigError
from eomd.model import Approval, Decision, Mode, Model, Order, Role
from eomd.operations.approval import ApprovalRules, describe, judge
from eomd.operations.approvals import identify
from eomd.operations.caller import Caller, Operator
from eomd.storage.amounts import Amounts

NONE = ApprovalRules(0, 0, 0, (), (), (), UTC, timedelta(hours=24))
INC = Order(Model.MODIFY, "fish", (1001, 1002), mode=Mode.INC)
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def reasons(order: Order = INC, now: datetime = NOON, **rules: Any) -> tuple[str, ...]:
    found = judge(order, 100, lambda: Amounts(500, 5), replace(NONE, **rules), now)
    return found.reasons if found else ()


def test_without_rules_nothing_waits_and_no_amount_is_looked_at() -> None:
    def measure() -> Amounts:
        raise AssertionError("measured in vain")

    assert judge(INC, 10**9, measure, NONE, NOON) is None
    assert judge(INC, 10, measure, replace(NONE, rows=5), NOON) is not None


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"rows": 99}, "100 rows are over approval.rows = 99"),
        ({"total_amount": 499}, "500 in all is over approval.total_amount = 499"),
        ({"largest_amount": 4}, "an amount of 5 is over approval.largest_amount = 4"),
        ({"clusters": ("fish",)}, "cluster fish is among approval.clusters"),
        ({"eids": (1002, 7)}, "EID 1002: among approval.eids"),
        ({"hours": ((time(11), time(13)),)}, "12:00 is within approval.hours"),
    ],
)
def test_each_rule_says_what_is_over_it(rules: Any, reason: str) -> None:
    assert reasons(**rules) == (reason,)


@pytest.mark.parametrize(
    "rules",
    [
        {"rows": 100},
        {"total_amount": 500},
        {"largest_amount": 5},
        {"clusters": ("label",)},
        {"eids": (7,)},
        {"hours": ((time(13), time(11, 59)), (time(9), time(12)))},
    ],
)
def test_what_is_not_over_a_rule_does_not_wait(rules: Any) -> None:
    assert reasons(**rules) == ()


@pytest.mark.parametrize(
    ("clock", "within"),
    [("19:59", False), ("20:00", True), ("23:59", True), ("00:00", True), ("07:59", True), ("08:00", False)],
)
def test_hours_may_go_over_midnight(clock: str, within: bool) -> None:
    now = datetime.fromisoformat(f"2026-01-31T{clock}:00+08:00")
    zone = ZoneInfo("Asia/Shanghai")
    assert bool(reasons(now=now, hours=((time(20), time(8)),), zone=zone)) == within


def test_all_reasons_are_told_at_once() -> None:
    found = judge(INC, 100, lambda: Amounts(500, 5), replace(NONE, rows=1, largest_amount=1), NOON)
    assert found is not None
    assert describe(found) == (
        "waits for a second person until 2026-02-01T12:00:00+00:00: 100 rows are over approval.rows = 1; "
        "an amount of 5 is over approval.largest_amount = 1"
    )


def test_what_changes_nothing_never_waits() -> None:
    assert reasons(replace(INC, dry_run=True), rows=1) == ()
    query = Order(Model.QUERY, "fish", (1001,))
    assert reasons(query, clusters=("fish",)) == ()
    assert reasons(replace(INC, dry_run=True), clusters=("fish",)) == ()


@pytest.mark.parametrize("decision", [None, Decision(True, 8, "王", "ok", NOON)])
def test_an_approval_survives_being_written_down(decision: Decision | None) -> None:
    approval = Approval(("a", "b"), NOON, decision)
    assert Approval.parse(approval.format()) == approval


def caller(operatorid: int | None = None, *, vouches: bool = False) -> Caller:
    operator = None if operatorid is None else Operator(operatorid, "王")
    return Caller("token x", Role.APPROVER, "127.0.0.1", operator=operator, vouches=vouches)


def test_who_decides_is_told_by_the_way_in_or_by_whom_is_believed() -> None:
    assert identify(caller(vouches=True), 8, "李") == Operator(8, "李")
    assert identify(caller(8), None, None) == Operator(8, "王")
    assert identify(caller(8), 8, "李") == Operator(8, "王")


def test_nobody_decides_as_somebody_else_or_as_nobody() -> None:
    for wrong in (caller(7), caller(), caller().acting_for(Operator(8, ""))):
        with pytest.raises(ForbiddenError):
            identify(wrong, 8, None)
    with pytest.raises(ForbiddenError):
        identify(caller(), None, "王")
    with pytest.raises(InvalidConfigError):
        identify(caller(vouches=True), None, "王")
