"""What comes of an operation: undos and retries; counted by the cluster's own journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import STRANGERS, derive, outcomes, refused, run, values

from eomd.errors import NotFoundError, WrongStateError
from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings
from eomd.model import VALUE_MAX, VALUE_MIN, Counts, Kind, State
from eomd.operations.desk import Desire
from eomd.operations.runner import Runner
from eomd.storage.rows_file import RowsFile
from tests.integration.life import CALLER, Home, lines, order, until, users
from tests.on_loop import on_loop


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(fill=7)) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster) -> Home:
    return Home(tmp_path, {"fish": fish})


# --- undo


@pytest.mark.parametrize(("mode", "inverse"), [("inc", "dec"), ("dec", "inc")])
@on_loop
async def test_undo_gives_back_the_amounts_and_keeps_what_came_since(
    home: Home, fish: SimulatedCluster, mode: str, inverse: str
) -> None:
    rows = users(2_000)
    before = values(fish, rows, 1001, 1002)
    async with home.life() as life:
        changed = await run(life, mode, lines(rows, 5), eids=(1001, 1002))
        await run(life, "inc", lines(rows[:500], 3))
        undone = await derive(life, Kind.UNDO, changed.id)
    assert undone.state is State.SUCCEEDED
    assert (undone.parent, undone.kind, undone.order.mode) == (changed.id, "undo", inverse)
    assert undone.original_name == "players-undo.csv"
    kept = [[first + 3 * (at < 500), second] for at, (first, second) in enumerate(before)]
    assert values(fish, rows, 1001, 1002) == kept


@on_loop
async def test_undo_of_a_set_puts_back_what_was_there_and_leaves_alone_what_changed_since(
    home: Home, fish: SimulatedCluster
) -> None:
    rows = users(100)
    before = values(fish, rows)
    async with home.life() as life:
        changed = await run(life, "set", lines(rows, 77))
        await run(life, "inc", lines(rows[:10], 1))
        undone = await derive(life, Kind.UNDO, changed.id)
        assert undone.state is State.PARTIAL
        assert undone.counts == Counts(100, 100, 90, 10, 0)
        status = outcomes(life, undone.id)
    assert values(fish, rows) == [[78]] * 10 + before[10:]
    assert [status[str(user)] for user in rows] == ["CONFLICT"] * 10 + ["OK"] * 90


@on_loop
async def test_only_rows_that_were_applied_are_given_back(home: Home, fish: SimulatedCluster) -> None:
    rows = [*users(3), *STRANGERS]
    before = values(fish, users(3))
    async with home.life() as life:
        changed = await run(life, "inc", lines(rows, 5))
        assert changed.state is State.PARTIAL
        undone = await derive(life, Kind.UNDO, changed.id)
        source = life.data.source(undone.id).read_text()
    assert undone.counts == Counts(3, 3, 3, 0, 0)
    assert values(fish, users(3)) == before
    assert source == "userid,1001\n" + "".join(f"{user},5\n" for user in users(3))


@on_loop
async def test_a_cancelled_operation_is_undone_as_far_as_it_went(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    rows = users(200_000)
    before = values(fish, rows)
    async with Home(tmp_path, {"fish": fish}, rows_per_s=100_000).life() as life:
        started = await life.hand_in(order("inc"), lines(rows, 5))
        await life.progress(started.id, 20_000)
        await life.act("cancel", started.id)
        cancelled = await life.reach(started.id, State.CANCELLED)
        assert values(fish, rows) != before
        undone = await derive(life, Kind.UNDO, cancelled.id)
        assert undone.counts.ok == undone.counts.total == cancelled.counts.ok < len(rows)
    assert values(fish, rows) == before


@on_loop
async def test_an_undo_is_undone_and_then_its_parent_may_be_undone_again(
    home: Home, fish: SimulatedCluster
) -> None:
    rows = users(50)
    before = values(fish, rows)
    after = [[value + 5] for (value,) in before]
    async with home.life() as life:
        changed = await run(life, "inc", lines(rows, 5))
        first = await derive(life, Kind.UNDO, changed.id)
        again, created = await life.desk.derive(Kind.UNDO, changed.id, Desire(), CALLER)
        assert (again.id, created) == (first.id, False)
        redone = await derive(life, Kind.UNDO, first.id)
        assert values(fish, rows) == after
        second = await derive(life, Kind.UNDO, changed.id)
        assert second.id not in (first.id, redone.id)
        assert values(fish, rows) == before
        assert "may have been undone again" in await refused(life, Kind.UNDO, redone.id)
        # what undid it last can be undone, and so on
        last = await derive(life, Kind.UNDO, second.id)
        assert values(fish, rows) == after
        for refuted in (redone.id, first.id):
            with pytest.raises(WrongStateError):
                await life.desk.derive(Kind.RETRY, refuted, Desire(), CALLER)
        third = await derive(life, Kind.UNDO, changed.id)
        assert third.id not in (first.id, second.id, last.id)
        assert values(fish, rows) == before
        assert "may have been undone again" in await refused(life, Kind.UNDO, last.id)
    assert values(fish, rows) == before


@on_loop
async def test_an_undo_undone_in_part_alone_does_not_free_its_parent(
    home: Home, fish: SimulatedCluster
) -> None:
    rows = users(50)
    async with home.life() as life:
        changed = await run(life, "set", lines(rows, 5))
        first = await derive(life, Kind.UNDO, changed.id)
        await run(life, "inc", lines(rows[:1], 1))
        redone = await derive(life, Kind.UNDO, first.id)
        assert redone.state is State.PARTIAL
        again, created = await life.desk.derive(Kind.UNDO, changed.id, Desire(), CALLER)
    assert (again.id, created) == (first.id, False)


@on_loop
async def test_a_retry_that_changed_nothing_does_not_keep_the_parent_of_its_undo(
    home: Home, fish: SimulatedCluster
) -> None:
    rows = users(20)
    async with home.life() as life:
        changed = await run(life, "set", lines(rows, 5))
        await run(life, "inc", lines(rows[:1], 1))
        first = await derive(life, Kind.UNDO, changed.id)
        retried = await derive(life, Kind.RETRY, first.id)
        assert list(outcomes(life, retried.id).values()) == ["CONFLICT"]
        assert (await derive(life, Kind.UNDO, first.id)).state is State.SUCCEEDED
        second = await derive(life, Kind.UNDO, changed.id)
        assert second.id != first.id
        assert second.counts == Counts(20, 20, 19, 1, 0)


@on_loop
async def test_what_is_left_of_an_undo_that_was_given_up_is_not_tried_again(tmp_path: Path) -> None:
    counters = (Counter(1001, minimum=0),)
    with SimulatedCluster(SimulatorSettings(counters=counters)) as fish:
        async with Home(tmp_path, {"fish": fish}).life() as life:
            rows = users(3)
            given = await run(life, "inc", lines(rows, 5))
            await run(life, "set", lines(rows[1:], 0))
            first = await derive(life, Kind.UNDO, given.id)
            await run(life, "set", lines(rows[1:2], 100))
            retried = await derive(life, Kind.RETRY, first.id)
            assert list(outcomes(life, retried.id).values()) == ["OK", "OUT_OF_RANGE"]
            await derive(life, Kind.UNDO, first.id)
            back = await derive(life, Kind.UNDO, retried.id)
            await run(life, "set", lines(rows[2:], 100))
            second = await derive(life, Kind.UNDO, given.id)
            assert second.counts.ok == 3
            once = values(fish, rows)
            assert once == [[0], [95], [95]]
            for kind, operation in ((Kind.RETRY, retried.id), (Kind.UNDO, back.id)):
                assert "again since" in await refused(life, kind, operation)
        assert values(fish, rows) == once


@on_loop
async def test_an_undo_that_cannot_be_planned_leaves_the_plan_that_it_carried_out(home: Home) -> None:
    async with home.life() as life:
        changed = await run(life, "inc", lines(users(3), 5))
        plan = await derive(life, Kind.UNDO, changed.id, dry_run=True)
        done = await derive(life, Kind.COMMIT, plan.id)
        assert f"operation {done.id} undoes it" in await refused(life, Kind.UNDO, changed.id, dry_run=True)
        again, created = await life.desk.derive(Kind.COMMIT, plan.id, Desire(), CALLER)
    assert (again.id, created) == (done.id, False)


@on_loop
async def test_an_undo_is_planned_and_the_commit_of_its_plan_is_the_undo(
    home: Home, fish: SimulatedCluster
) -> None:
    rows = users(20)
    before = values(fish, rows)
    async with home.life() as life:
        changed = await run(life, "set", lines(rows, 5))
        await run(life, "inc", lines(rows[:4], 1))
        old = await derive(life, Kind.UNDO, changed.id, dry_run=True)
        assert (old.order.dry_run, old.order.mode, old.parent) == (True, "restore", changed.id)
        plan = await derive(life, Kind.UNDO, changed.id, dry_run=True)
        assert plan.id != old.id
        assert list(outcomes(life, plan.id).values()) == ["CONFLICT"] * 4 + ["OK"] * 16
        assert (await life.desk.summary(plan.id))["plan"]["rows"]["change"] == 16
        assert values(fish, rows) == [[6]] * 4 + [[5]] * 16
        assert "newer plan" in await refused(life, Kind.COMMIT, old.id)
        assert "plan of an undo" in await refused(life, Kind.RETRY, plan.id)
        done = await derive(life, Kind.COMMIT, plan.id)
        assert (done.parent, done.kind, done.order.dry_run) == (changed.id, "undo", False)
        assert values(fish, rows) == [[6]] * 4 + before[4:]
        for kind, operation in ((Kind.UNDO, changed.id), (Kind.COMMIT, plan.id)):
            again, created = await life.desk.derive(kind, operation, Desire(), CALLER)
            assert (again.id, created) == (done.id, False)
        assert f"operation {done.id} undoes it" in await refused(life, Kind.UNDO, changed.id, dry_run=True)


@on_loop
async def test_a_plan_that_is_still_being_put_away_gives_up_its_place_too(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, close = asyncio.Event(), Runner._close

    async def close_late(runner: Runner) -> None:
        await away.wait()
        await close(runner)

    async with home.life() as life:
        changed = await run(life, "inc", lines(users(3), 5))
        monkeypatch.setattr(Runner, "_close", close_late)
        old = await derive(life, Kind.UNDO, changed.id, dry_run=True)
        await derive(life, Kind.UNDO, changed.id, dry_run=True)
        assert "newer plan" in await refused(life, Kind.COMMIT, old.id)
        away.set()
        await until(lambda: not list(life.desk.board.live()), "both put away")
        assert "newer plan" in await refused(life, Kind.COMMIT, old.id)


@on_loop
async def test_what_cannot_be_undone_is_refused_and_said_why(home: Home, fish: SimulatedCluster) -> None:
    async with home.life() as life:
        asked = await life.hand_in(order(), lines(users(3)))
        await life.reach(asked.id)
        assert "to change nothing" in await refused(life, Kind.UNDO, asked.id)
        planned = await run(life, "inc", lines(users(3), 5), dry_run=True)
        assert "to change nothing" in await refused(life, Kind.UNDO, planned.id)
        failed = await run(life, "inc", lines(STRANGERS, 5))
        assert "no row is known" in await refused(life, Kind.UNDO, failed.id)
        with pytest.raises(NotFoundError):
            await life.desk.derive(Kind.UNDO, 999, Desire(), CALLER)


@on_loop
async def test_a_result_that_is_not_as_it_was_written_is_not_undone(
    home: Home, fish: SimulatedCluster
) -> None:
    async with home.life() as life:
        changed = await run(life, "inc", lines(users(2), 5))
        result = life.data.result(changed.id)
        first, second = (str(user) for user in users(2))
        text = result.read_text()
        result.write_text(text.replace(first, "x").replace(second, first).replace("x", second))
        assert "other users" in await refused(life, Kind.UNDO, changed.id)
        result.write_text(text + text.splitlines()[1] + "\n")
        assert "not as it was written" in await refused(life, Kind.UNDO, changed.id)
        result.unlink()
        assert "not here" in await refused(life, Kind.UNDO, changed.id)


@on_loop
async def test_a_cluster_that_cannot_compare_undoes_inc_and_refuses_set(tmp_path: Path) -> None:
    with SimulatedCluster(SimulatorSettings(restore=False)) as fish:
        async with Home(tmp_path, {"fish": fish}).life() as life:
            put = await run(life, "set", lines(users(5), 5))
            assert "cannot compare" in await refused(life, Kind.UNDO, put.id)
            given = await run(life, "inc", lines(users(5), 5))
            assert (await derive(life, Kind.UNDO, given.id)).state is State.SUCCEEDED
        assert values(fish, users(5)) == [[5]] * 5


@pytest.mark.parametrize("kind", [Kind.UNDO, Kind.RETRY])
@on_loop
async def test_two_clicks_at_once_make_one_child(home: Home, fish: SimulatedCluster, kind: Kind) -> None:
    rows = users(1_000)
    before = values(fish, rows)
    async with home.life() as life:
        changed = await run(life, "inc", lines([*rows, *STRANGERS], 5))
        clicks = [life.desk.derive(kind, changed.id, Desire(), CALLER) for _ in range(5)]
        made = await asyncio.gather(*clicks)
        assert len({child.id for child, _ in made}) == 1
        assert sorted(created for _, created in made) == [False] * 4 + [True]
        ended = await life.reach(made[0][0].id)
        assert ended.counts.total == {Kind.UNDO: len(rows), Kind.RETRY: len(STRANGERS)}[kind]
    left = {Kind.UNDO: 0, Kind.RETRY: 5}[kind]
    assert values(fish, rows) == [[value + left] for (value,) in before]


@on_loop
async def test_the_extremes_of_64_bits_go_there_and_back(home: Home, fish: SimulatedCluster) -> None:
    rows = users(2)
    before = values(fish, rows)
    content = f"userid,amount\n{rows[0]},{VALUE_MAX}\n{rows[1]},{VALUE_MIN}\n".encode()
    async with home.life() as life:
        put = await run(life, "set", content)
        more = await run(life, "dec", f"userid,amount\n{rows[0]},{VALUE_MAX}\n".encode())
        await derive(life, Kind.UNDO, more.id)
        assert values(fish, rows) == [[VALUE_MAX], [VALUE_MIN]]
        undone = await derive(life, Kind.UNDO, put.id)
        assert undone.state is State.SUCCEEDED
    assert values(fish, rows) == before


# --- retry


@on_loop
async def test_retry_takes_the_failed_and_the_unsent_rows(home: Home, fish: SimulatedCluster) -> None:
    fish.order(busy_share=0.0, internal_share=0.5)
    rows = users(400)
    before = values(fish, rows)
    async with home.life() as life:
        content = b"userid,amount,\xe5\x90\x8d\n" + b"".join(b"%d,5,n%d\n" % (user, user) for user in rows)
        failed = await run(life, "inc", content)
        assert failed.state is State.PARTIAL
        fish.order(internal_share=0.0)
        tried = await derive(life, Kind.RETRY, failed.id, operatorid=8, operatorname="王")
        assert tried.counts == Counts(failed.counts.failed, failed.counts.failed, failed.counts.failed, 0, 0)
        assert (tried.order.operatorid, tried.order.operatorname) == (8, "王")
        lost = [row[:2] for row in life.result(failed.id) if row[2] == "INTERNAL"]
        assert [row[:2] for row in life.result(tried.id)[1:]] == lost
        assert "no row failed" in await refused(life, Kind.RETRY, tried.id)
    assert values(fish, rows) == [[value + 5] for (value,) in before]


@on_loop
async def test_what_was_cancelled_before_it_began_is_retried_as_a_whole(
    home: Home, fish: SimulatedCluster
) -> None:
    async with home.life() as life:
        fish.order(do="stop")
        waiting = await life.hand_in(order("inc"), lines(users(20), 5))
        await life.reach(waiting.id, State.PAUSED)
        await life.act("cancel", waiting.id)
        await life.reach(waiting.id, State.CANCELLED)
        assert "no row is known" in await refused(life, Kind.UNDO, waiting.id)
        fish.order(do="start")
        tried = await derive(life, Kind.RETRY, waiting.id)
        assert tried.counts == Counts(20, 20, 20, 0, 0)


@on_loop
async def test_failed_rows_of_a_query_are_asked_for_again(home: Home, fish: SimulatedCluster) -> None:
    async with home.life() as life:
        asked = await life.hand_in(order(), lines([*users(3), *STRANGERS]))
        await life.reach(asked.id)
        tried = await derive(life, Kind.RETRY, asked.id)
        assert tried.counts == Counts(10, 10, 0, 10, 0)
        assert list(outcomes(life, tried.id)) == [str(user) for user in STRANGERS]


@on_loop
async def test_a_running_operation_has_no_children(tmp_path: Path, fish: SimulatedCluster) -> None:
    async with Home(tmp_path, {"fish": fish}, rows_per_s=1_000).life() as life:
        going = await life.hand_in(order("inc"), lines(users(50_000), 5))
        await life.reach(going.id, State.RUNNING)
        for kind in (Kind.COMMIT, Kind.RETRY, Kind.UNDO):
            assert "is running" in await refused(life, kind, going.id)
        await life.act("cancel", going.id)


# --- what a child is


@on_loop
async def test_children_are_kept_over_a_restart_and_found_again(home: Home, fish: SimulatedCluster) -> None:
    async with home.life() as life:
        changed = await run(life, "inc", lines(users(10), 5))
        undone = await derive(life, Kind.UNDO, changed.id)
        await life.recorded(undone.id)
    async with home.life() as life:
        again, created = await life.desk.derive(Kind.UNDO, changed.id, Desire(), CALLER)
        assert (again.id, created, again.parent) == (undone.id, False, changed.id)
        with RowsFile.open(life.folder(undone.id).rows) as rows:
            assert rows.head.eids == (1001,)
        log = life.data.log(undone.id).read_text()
    assert f"as undo of operation {changed.id}" in log


@on_loop
async def test_a_counter_that_would_leave_its_limits_is_listed_by_the_undo(tmp_path: Path) -> None:
    counters = (Counter(1001, minimum=0),)
    with SimulatedCluster(SimulatorSettings(counters=counters)) as fish:
        async with Home(tmp_path, {"fish": fish}).life() as life:
            given = await run(life, "inc", lines(users(3), 5))
            await run(life, "dec", lines(users(1), 1))
            undone = await derive(life, Kind.UNDO, given.id)
            assert list(outcomes(life, undone.id).values()) == ["OUT_OF_RANGE", "OK", "OK"]
        assert values(fish, users(3)) == [[4], [0], [0]]
