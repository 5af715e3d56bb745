"""Uncertain rows: shown, decided by a person, sent again; nothing goes twice that nobody decided to send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from eomd.errors import InvalidConfigError, WrongStateError
from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Counts, Kind, Operation, State
from eomd.operations.desk import Desire
from eomd.operations.reports import Reports
from eomd.storage.settlement import Verdict
from tests.integration.life import CALLER, Home, Life, lines, order, until, users
from tests.journal import count_applied
from tests.on_loop import on_loop

ROWS = users(400)


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    """A cluster without tokens whose connections end at the sixth request: that is done, none after it."""
    faults = Faults(no_idempotent=True, close_after=6)
    with SimulatedCluster(SimulatorSettings(fill=7, max_rows=10, faults=faults)) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster) -> Home:
    return Home(tmp_path, {"fish": fish})


async def left_uncertain(life: Life, fish: SimulatedCluster, mode: str, **fields: Any) -> Operation:
    """Return an operation some of whose rows are uncertain; from then on the cluster loses nothing."""
    operation = await life.hand_in(order(mode, **fields), lines(ROWS, 5))
    ended = await life.reach(operation.id, State.PARTIAL)
    assert ended.counts.uncertain
    fish.order(close_after=0)
    return ended


def sort_out(fish: SimulatedCluster, items: list[dict[str, Any]]) -> tuple[list[int], list[int]]:
    """Return the rows that were really done, and those that were not."""
    applied = count_applied(fish.state)
    done = [item["row"] for item in items if applied[item["user"]]]
    undone = [item["row"] for item in items if not applied[item["user"]]]
    assert done
    assert undone
    return done, undone


async def shown(life: Life, operation: int) -> list[dict[str, Any]]:
    return (await life.desk.uncertain(operation, 0, 1000))["items"]


async def settle(
    life: Life, operation: int, verdict: Verdict, rows: Sequence[int] | None = None
) -> tuple[Operation, bool]:
    return await life.desk.settle(operation, rows, verdict, Desire(), CALLER)


@on_loop
async def test_uncertain_rows_are_shown_with_what_the_cluster_has(home: Home, fish: SimulatedCluster) -> None:
    before = dict(zip(ROWS, (value for (value,) in fish.values([1001], ROWS).tolist()), strict=True))
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "inc")
        items = await shown(life, parent.id)
        assert len(items) == parent.counts.uncertain
        done, _ = sort_out(fish, items)
        for item in items:
            assert ROWS[item["row"]] == item["user"]
            assert (item["amounts"], item["before"], item["after"]) == ([5], None, None)
            assert (item["now"], item["now_status"]) == (
                [before[item["user"]] + 5 * (item["row"] in done)],
                "OK",
            )
            assert item["settled"] is None
        page = await life.desk.uncertain(parent.id, 1, 2)
        assert (page["total"], page["open"], page["items"]) == (len(items), len(items), items[1:3])
        fish.order(do="stop")
        assert [item["now"] for item in await shown(life, parent.id)] == [None] * len(items)
        fish.order(do="start")


@on_loop
async def test_a_commit_shows_what_its_plan_had_read(home: Home, fish: SimulatedCluster) -> None:
    fish.order(close_after=0)
    before = dict(zip(ROWS, fish.values([1001], ROWS).tolist(), strict=True))
    async with home.life() as life:
        plan = await life.hand_in(order("inc", dry_run=True), lines(ROWS, 5))
        await life.reach(plan.id)
        fish.order(close_after=6)
        child, _ = await life.desk.derive(Kind.COMMIT, plan.id, Desire(), CALLER)
        ended = await life.reach(child.id)
        assert ended.counts.uncertain
        fish.order(close_after=0)
        for item in await shown(life, child.id):
            assert item["before"] == before[item["user"]]
            assert item["after"] == [before[item["user"]][0] + 5]


@on_loop
async def test_who_settles_before_the_ledger_knows_the_end_has_the_last_word(
    home: Home, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, tell = asyncio.Event(), Reports.tell

    async def tell_late(reports: Reports, operation: Operation) -> None:
        if operation.state.ended:
            await told.wait()
        await tell(reports, operation)

    monkeypatch.setattr(Reports, "tell", tell_late)
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "inc")
        settling = asyncio.create_task(settle(life, parent.id, Verdict.APPLIED))
        # it waits; would it not, it would be done by then
        await asyncio.wait({settling}, timeout=0.5)
        told.set()
        settled, _ = await settling
        await until(lambda: not list(life.desk.board.live()), "the end told")
        assert settled.counts == Counts(400, 400, 400, 0, 0)
        assert (await life.recorded(parent.id)).counts == settled.counts


@on_loop
async def test_settled_as_they_are_an_undo_gives_back_exactly_what_was_done(
    home: Home, fish: SimulatedCluster
) -> None:
    before = fish.values([1001], ROWS).tolist()
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "inc")
        done, undone = sort_out(fish, await shown(life, parent.id))
        _, now = await settle(life, parent.id, Verdict.APPLIED, done)
        assert now
        settled, _ = await settle(life, parent.id, Verdict.NOT_APPLIED)
        assert settled.state is State.PARTIAL
        assert settled.counts == Counts(400, 400, 400 - len(undone), len(undone), 0)
        assert (await life.recorded(parent.id)).counts == settled.counts
        assert (await life.view(parent.id)).counts == settled.counts
        words = {item["row"]: item["settled"] for item in await shown(life, parent.id)}
        assert words == dict.fromkeys(done, "applied") | dict.fromkeys(undone, "not_applied")
        undo, _ = await life.desk.derive(Kind.UNDO, parent.id, Desire(), CALLER)
        assert (await life.reach(undo.id)).state is State.SUCCEEDED
    assert fish.values([1001], ROWS).tolist() == before


@on_loop
async def test_settled_as_not_applied_they_are_retried(home: Home, fish: SimulatedCluster) -> None:
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "inc")
        with pytest.raises(WrongStateError, match="no row failed"):
            await life.desk.derive(Kind.RETRY, parent.id, Desire(), CALLER)
        items = await shown(life, parent.id)
        await settle(life, parent.id, Verdict.NOT_APPLIED, [items[0]["row"]])
        child, _ = await life.desk.derive(Kind.RETRY, parent.id, Desire(), CALLER)
        ended = await life.reach(child.id)
        assert [row[0] for row in life.result(ended.id)[1:]] == [str(items[0]["user"])]


@on_loop
async def test_sent_again_knowingly_each_row_goes_once(home: Home, fish: SimulatedCluster) -> None:
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "inc")
        items = await shown(life, parent.id)
        rows, (done, _) = [item["row"] for item in items], sort_out(fish, items)
        clicks = [settle(life, parent.id, Verdict.SEND_AGAIN, rows[:3]) for _ in range(3)]
        made = await asyncio.gather(*clicks)
        assert len({child.id for child, _ in made}) == 1
        assert sorted(now for _, now in made) == [False, False, True]
        first = await life.reach(made[0][0].id)
        assert (first.parent, first.counts.total, first.state) == (parent.id, 3, State.SUCCEEDED)
        rest, _ = await settle(life, parent.id, Verdict.SEND_AGAIN)
        second = await life.reach(rest.id)
        assert second.counts.total == len(rows) - 3
        assert second.id != first.id
        again, now = await settle(life, parent.id, Verdict.SEND_AGAIN)
        assert (again.id, now) == (second.id, False)
    applied = count_applied(fish.state)
    assert {user for user in ROWS if applied[user] == 2} == {ROWS[row] for row in done}
    assert set(applied) == set(ROWS)


@on_loop
async def test_a_set_settled_as_applied_stays_where_nobody_knows_what_was_there(
    home: Home, fish: SimulatedCluster
) -> None:
    before = fish.values([1001], ROWS).tolist()
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "set")
        items = await shown(life, parent.id)
        assert all(item["after"] == [5] for item in items)
        unknown = {item["row"] for item in items}
        await settle(life, parent.id, Verdict.APPLIED)
        undo, _ = await life.desk.derive(Kind.UNDO, parent.id, Desire(), CALLER)
        assert (await life.reach(undo.id)).counts.ok == len(ROWS) - len(unknown)
    after = fish.values([1001], ROWS).tolist()
    assert all(after[row] == before[row] for row in range(len(ROWS)) if row not in unknown)


@on_loop
async def test_a_verdict_stands_and_only_uncertain_rows_get_one(home: Home, fish: SimulatedCluster) -> None:
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "inc")
        row = (await shown(life, parent.id))[0]["row"]
        await settle(life, parent.id, Verdict.APPLIED, [row])
        _, now = await settle(life, parent.id, Verdict.APPLIED, [row, row])
        assert not now
        with pytest.raises(WrongStateError, match=f"row {row} is settled as applied"):
            await settle(life, parent.id, Verdict.SEND_AGAIN, [row])
        with pytest.raises(InvalidConfigError, match="row 0 is not uncertain"):
            await settle(life, parent.id, Verdict.APPLIED, [row, 0])
        await settle(life, parent.id, Verdict.NOT_APPLIED)
        with pytest.raises(WrongStateError, match="no uncertain rows that are open"):
            await settle(life, parent.id, Verdict.SEND_AGAIN)
    async with home.life() as life:
        words = [item["settled"] for item in await shown(life, parent.id)]
        assert words == ["applied"] + ["not_applied"] * (len(words) - 1)
        assert (await life.view(parent.id)).counts.uncertain == 0


@on_loop
async def test_a_mark_without_its_child_is_completed_by_the_next_click(
    home: Home, fish: SimulatedCluster
) -> None:
    async with home.life() as life:
        parent = await left_uncertain(life, fish, "inc")
        life.desk.intake.draining = True
        # what a crash between the mark and the child leaves
        await asyncio.get_running_loop().run_in_executor(
            None, life.desk.settling._decide, parent, None, Verdict.SEND_AGAIN
        )
        life.desk.intake.draining = False
        child, _ = await settle(life, parent.id, Verdict.SEND_AGAIN)
        assert (await life.reach(child.id)).counts.total == parent.counts.uncertain
        assert (await life.view(parent.id)).counts.uncertain == 0


@on_loop
async def test_what_is_settled_as_applied_behind_its_undo_does_not_count_as_given_back(
    home: Home, fish: SimulatedCluster
) -> None:
    async with home.life() as life:
        fish.order(close_after=0)
        changed = await life.hand_in(order("inc"), lines(ROWS, 5))
        await life.reach(changed.id, State.SUCCEEDED)
        # of a connection's requests the sixth is the last, and these have had theirs
        for word in ({"do": "stop"}, {"do": "start"}, {"close_after": 6}):
            fish.order(**word)
        undo, _ = await life.desk.derive(Kind.UNDO, changed.id, Desire(), CALLER)
        assert (await life.reach(undo.id)).counts.uncertain
        fish.order(close_after=0)
        redo, _ = await life.desk.derive(Kind.UNDO, undo.id, Desire(), CALLER)
        await life.reach(redo.id, State.SUCCEEDED)
        await settle(life, undo.id, Verdict.APPLIED)
        # another undo would take these rows' amounts a second time
        again, created = await life.desk.derive(Kind.UNDO, changed.id, Desire(), CALLER)
        assert (again.id, created) == (undo.id, False)
