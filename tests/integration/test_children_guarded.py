"""Approval, repeats and the brake hold for what comes of an operation as for what is handed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eomd.errors import ForbiddenError, InvalidConfigError, LooksRepeatedError
from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Kind, Operation, State
from eomd.operations.desk import Desire, Verdict
from tests.integration.life import CALLER, Home, Life, lines, order, users
from tests.journal import count_applied
from tests.on_loop import on_loop

ROWS = users(50)
CONTENT = lines(ROWS, 5)
#: nobody has these
STRANGERS = range(5_000_000, 5_000_200)
NAMED = {"operatorid": 9, "operatorname": "赵"}


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(fill=7)) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster) -> Home:
    return Home(tmp_path, {"fish": fish}, approval={"rows": 40})


async def derive(life: Life, kind: Kind, parent: int, **desire: Any) -> tuple[Operation, bool]:
    return await life.desk.derive(kind, parent, Desire(**desire), CALLER)


async def decide(life: Life, operation: int, operatorid: int, *, approve: bool) -> Operation:
    said = {"reason": "seen", "operatorid": operatorid, "operatorname": "王"}
    return await life.desk.decide(operation, CALLER, said, approve=approve)


async def run(life: Life, **fields: Any) -> Operation:
    """Hand a modify in, have somebody agree where that is needed, and wait for its end."""
    handed_in = await life.hand_in(order("inc", **fields), CONTENT)
    if handed_in.state is State.AWAITING_APPROVAL:
        await decide(life, handed_in.id, 8, approve=True)
    return await life.reach(handed_in.id)


@pytest.mark.parametrize("kind", [Kind.COMMIT, Kind.UNDO])
@on_loop
async def test_a_child_waits_for_somebody_else_than_who_asked_for_it(
    home: Home, fish: SimulatedCluster, kind: Kind
) -> None:
    async with home.life() as life:
        parent = await run(life, dry_run=kind is Kind.COMMIT)
        applied = count_applied(fish.state)
        child, _ = await derive(life, kind, parent.id, **NAMED)
        assert child.state is State.AWAITING_APPROVAL
        with pytest.raises(ForbiddenError):
            await decide(life, child.id, 9, approve=True)
        assert count_applied(fish.state) == applied
        await decide(life, child.id, 7, approve=True)
        await life.reach(child.id, State.SUCCEEDED)
    assert count_applied(fish.state) == {user: applied.get(user, 0) + 1 for user in ROWS}


@on_loop
async def test_what_was_rejected_may_be_asked_for_again(home: Home) -> None:
    async with home.life() as life:
        parent = await run(life)
        rejected, _ = await derive(life, Kind.UNDO, parent.id, **NAMED)
        await decide(life, rejected.id, 7, approve=False)
        again, created = await derive(life, Kind.UNDO, parent.id, **NAMED)
        assert created
        assert again.id != rejected.id
        same, created = await derive(life, Kind.UNDO, parent.id, **NAMED)
        assert (same.id, created) == (again.id, False)
        await decide(life, again.id, 7, approve=True)
        await life.reach(again.id, State.SUCCEEDED)


@on_loop
async def test_where_a_second_person_may_be_needed_the_first_one_must_be_known(home: Home) -> None:
    async with home.life() as life:
        parent = await run(life)
        with pytest.raises(InvalidConfigError, match="operatorid"):
            await derive(life, Kind.UNDO, parent.id)
        with pytest.raises(InvalidConfigError, match="operatorid"):
            await life.desk.settle(parent.id, None, Verdict.SEND_AGAIN, Desire(), CALLER)
        # a plan changes nothing
        plan, _ = await derive(life, Kind.UNDO, parent.id, dry_run=True)
        await life.reach(plan.id, State.SUCCEEDED)


@on_loop
async def test_a_commit_that_repeats_another_one_is_meant_or_refused(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    home = Home(tmp_path, {"fish": fish}, modify={"refuse_repeats": True})
    async with home.life() as life:
        changed = await run(life)
        plan = await run(life, dry_run=True)
        with pytest.raises(LooksRepeatedError):
            await derive(life, Kind.COMMIT, plan.id)
        committed, _ = await derive(life, Kind.COMMIT, plan.id, confirm_repeat=True)
        assert committed.repeats == (changed.id,)
        await life.reach(committed.id, State.SUCCEEDED)
        undone, _ = await derive(life, Kind.UNDO, committed.id)
        await life.reach(undone.id, State.SUCCEEDED)
        again, _ = await derive(life, Kind.UNDO, undone.id)
        assert (await life.reach(again.id, State.SUCCEEDED)).repeats == (committed.id, changed.id)


@on_loop
async def test_rows_that_are_sent_again_are_meant(tmp_path: Path) -> None:
    faults = Faults(no_idempotent=True, close_after=6)
    with SimulatedCluster(SimulatorSettings(fill=7, max_rows=10, faults=faults)) as fish:
        home = Home(tmp_path, {"fish": fish}, modify={"refuse_repeats": True})
        async with home.life() as life:
            changed = await life.hand_in(order("inc"), lines(users(400), 5))
            await life.reach(changed.id, State.PARTIAL)
            fish.order(close_after=0)
            uncertain = (await life.desk.uncertain(changed.id, 0, 1000))["items"]
            same = await life.hand_in(order("inc"), lines([item["user"] for item in uncertain], 5))
            await life.reach(same.id, State.SUCCEEDED)
            again, _ = await life.desk.settle(changed.id, None, Verdict.SEND_AGAIN, Desire(), CALLER)
            assert again.repeats == (same.id,)
            await life.reach(again.id, State.SUCCEEDED)


@on_loop
async def test_rows_that_a_plan_has_ruled_out_neither_brake_nor_spoil_the_canary(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    tables = {"brake_failed_share": 0.01, "canary_rows": 250}
    home = Home(tmp_path, {"fish": fish}, modify=tables)
    content = lines([*STRANGERS, *users(200)], 5)
    async with home.life() as life:
        plan = await life.hand_in(order("inc", dry_run=True), content)
        assert (await life.reach(plan.id)).counts.failed == len(STRANGERS)
        committed, _ = await derive(life, Kind.COMMIT, plan.id)
        reached = await life.reach(committed.id, State.PARTIAL, State.PAUSED)
        assert (reached.state, reached.counts.ok) == (State.PARTIAL, 200)
    assert count_applied(fish.state) == dict.fromkeys(users(200), 1)
