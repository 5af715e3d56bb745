"""Which operation runs when, what a person's word does to it in every state, and what a stop leaves."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from eomd.errors import NotFoundError, WrongStateError
from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Operation, PausedBy, State
from eomd.operations.schedule import RUNNING_MAX
from tests.integration.life import CALLER, NOWHERE, Home, Life, lines, order, until, users
from tests.journal import count_applied

INC = order("inc")
#: slow enough to be stopped on the way
PACE = 20_000
LONG = 40_000
LONG_CONTENT = lines(users(LONG), 5)
SHORT_CONTENT = lines(users(100), 5)


@pytest.fixture(params=[True, False], ids=["tokens", "no-tokens"])
def fish(request: pytest.FixtureRequest) -> Iterator[SimulatedCluster]:
    """A cluster that remembers tokens, and one that does not."""
    with SimulatedCluster(SimulatorSettings(faults=Faults(no_idempotent=not request.param))) as cluster:
        yield cluster


@pytest.fixture
def label() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(cluster="label")) as cluster:
        yield cluster


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


def statuses(life: Life, operation: int) -> dict[str, list[int]]:
    """Return a result's users by their row status."""
    found: dict[str, list[int]] = {}
    for row in life.result(operation)[1:]:
        found.setdefault(row[1], []).append(int(row[0]))
    return found


def assert_whole(life: Life, fish: SimulatedCluster, operation: Operation, rows: range) -> None:
    """Every row was applied once, and the result says so in the source's order."""
    assert operation.state is State.SUCCEEDED
    assert (operation.counts.done, operation.counts.ok) == (len(rows), len(rows))
    assert life.result(operation.id)[1:] == [[str(user), "OK", "", "0", "5"] for user in rows]
    assert count_applied(fish.state) == dict.fromkeys(rows, 1)


# --- whose turn it is


def test_operations_of_a_cluster_start_in_the_order_of_their_ids(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"label": NOWHERE}).life() as life:
            made = [
                await life.hand_in(order("inc", cluster="label"), SHORT_CONTENT)
                for _ in range(RUNNING_MAX + 3)
            ]
            ids = [operation.id for operation in made]
            for identity in ids[:RUNNING_MAX]:
                await life.reach(identity, State.PAUSED)
            waiting = ids[RUNNING_MAX:]
            assert [life.shown(each).state for each in waiting] == [State.QUEUED] * 3
            await life.act("cancel", waiting[1])
            await life.act("cancel", ids[4])
            await life.reach(waiting[0], State.PAUSED)
            assert life.shown(waiting[2]).state is State.QUEUED
            await life.act("cancel", ids[0])
            await life.reach(waiting[2], State.PAUSED)

    run(scenario)


def test_a_small_query_is_answered_while_large_modifies_run(tmp_path: Path, label: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"label": label}, rows_per_s=PACE)
        async with home.life() as life:
            inc = order("inc", cluster="label")
            large = [await life.hand_in(inc, LONG_CONTENT) for _ in range(3)]
            for operation in large:
                await life.progress(operation.id, 1)
            query = await life.hand_in(order(cluster="label"), lines(users(100)))
            assert (await life.reach(query.id)).counts.ok == 100
            for operation in large:
                assert life.shown(operation.id).state is State.RUNNING
                await life.act("cancel", operation.id)

    run(scenario)


def test_a_cluster_that_is_away_holds_up_no_other(tmp_path: Path, label: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE, "label": label}).life() as life:
            for _ in range(RUNNING_MAX + 1):
                await life.hand_in(INC, SHORT_CONTENT)
            other = await life.hand_in(order("inc", cluster="label"), SHORT_CONTENT)
            assert (await life.reach(other.id)).state is State.SUCCEEDED

    run(scenario)


# --- a person's word, by state


async def fill_up(life: Life) -> None:
    """Let so many operations run that the next one waits."""
    for _ in range(RUNNING_MAX):
        await life.hand_in(INC, SHORT_CONTENT)


async def refused(life: Life, operation: int, *actions: str) -> None:
    for action in actions:
        with pytest.raises(WrongStateError):
            await life.act(action, operation)


def test_a_queued_operation_is_paused_resumed_and_cancelled(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE}).life() as life:
            await fill_up(life)
            queued = (await life.hand_in(INC, SHORT_CONTENT)).id
            await refused(life, queued, "resume")
            paused = await life.act("pause", queued)
            assert (paused.state, paused.paused_by) == (State.PAUSED, PausedBy.PERSON)
            await refused(life, queued, "pause")
            assert (await life.act("resume", queued)).state is State.QUEUED
            cancelled = await life.act("cancel", queued)
            assert (cancelled.state, cancelled.resultname) == (State.CANCELLED, None)
            assert (cancelled.counts.done, cancelled.counts.total) == (0, 100)
            await refused(life, queued, "pause", "resume", "cancel")
            assert (await life.recorded(queued)).state is State.CANCELLED

    run(scenario)


def test_an_operation_paused_while_queued_leaves_its_turn_to_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE})
        async with home.life() as life:
            await fill_up(life)
            first, second = [(await life.hand_in(INC, SHORT_CONTENT)).id for _ in range(2)]
            await life.act("pause", first)
            await life.act("cancel", 1)
            await life.reach(second, State.PAUSED)
            assert life.shown(second).paused_by is PausedBy.CLUSTER
            assert life.shown(first).paused_by is PausedBy.PERSON
        async with home.life() as life:
            assert life.shown(first).paused_by is PausedBy.PERSON
            cancelled = await life.act("cancel", first)
            assert (cancelled.state, cancelled.resultname) == (State.CANCELLED, None)

    run(scenario)


def test_an_operation_held_by_its_cluster_can_be_cancelled_and_nothing_else(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE}).life() as life:
            held = (await life.hand_in(INC, SHORT_CONTENT)).id
            view = await life.reach(held, State.PAUSED)
            assert view.paused_by is PausedBy.CLUSTER
            await refused(life, held, "pause")
            resumed = await life.act("resume", held)
            assert (resumed.state, resumed.paused_by) == (State.PAUSED, PausedBy.CLUSTER)
            assert (await life.act("cancel", held)).state is State.CANCELLED
            assert (await life.recorded(held)).state is State.CANCELLED

    run(scenario)


def test_a_pause_before_the_cluster_answers_outlasts_it(tmp_path: Path, label: SimulatedCluster) -> None:
    async def scenario() -> None:
        label.stop_node(0)
        async with Home(tmp_path, {"label": label}).life() as life:
            inc = order("inc", cluster="label")
            waiting = (await life.hand_in(inc, SHORT_CONTENT)).id
            assert (await life.act("pause", waiting)).paused_by is PausedBy.PERSON
            label.start_node(0)
            other = (await life.hand_in(order(cluster="label"), lines(users(5)))).id
            assert (await life.reach(other)).state is State.SUCCEEDED
            assert life.shown(waiting).paused_by is PausedBy.PERSON
            await life.act("resume", waiting)
            assert_whole(life, label, await life.reach(waiting), users(100))

    run(scenario)


def test_a_running_operation_is_paused_and_goes_on(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": fish}, rows_per_s=PACE).life() as life:
            running = (await life.hand_in(INC, LONG_CONTENT)).id
            for rows in (LONG // 8, LONG // 4, LONG // 2):
                await life.progress(running, rows)
                paused = await life.act("pause", running)
                assert (paused.state, paused.paused_by) == (State.PAUSED, PausedBy.PERSON)
                assert len(count_applied(fish.state)) == paused.counts.done == paused.counts.ok
                assert (await life.recorded(running, State.PAUSED)).counts == paused.counts
                await life.act("resume", running)
            assert_whole(life, fish, await life.reach(running), users(LONG))

    run(scenario)


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_a_cancelled_operation_names_each_row(tmp_path: Path, fish: SimulatedCluster, paused: bool) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": fish}, rows_per_s=PACE).life() as life:
            running = (await life.hand_in(INC, LONG_CONTENT)).id
            await life.progress(running, LONG // 8)
            if paused:
                await life.act("pause", running)
            cancelled = await life.act("cancel", running)
            assert cancelled.state is State.CANCELLED
            assert cancelled.resultname == f"{running}-result.csv"
            found = statuses(life, running)
            assert set(found) == {"OK", "NOT_SENT"}
            assert set(count_applied(fish.state)) == set(found["OK"])
            assert cancelled.counts.done == cancelled.counts.ok == len(found["OK"])
            assert [int(row[0]) for row in life.result(running)[1:]] == list(users(LONG))
            assert (await life.recorded(running)).counts == cancelled.counts
            await refused(life, running, "pause", "resume", "cancel")

    run(scenario)


def test_an_operation_cancelled_while_its_cluster_is_lost_names_each_row(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": fish}, rows_per_s=PACE, reply_timeout_s=0.5).life() as life:
            running = (await life.hand_in(INC, LONG_CONTENT)).id
            await life.progress(running, LONG // 8)
            fish.stop_node(0)
            assert (await life.reach(running, State.PAUSED)).paused_by is PausedBy.CLUSTER
            cancelled = await life.act("cancel", running)
            assert cancelled.state is State.CANCELLED
            found = statuses(life, running)
            assert set(found) <= {"OK", "UNCERTAIN", "NOT_SENT"}
            applied = set(count_applied(fish.state))
            assert set(found["OK"]) <= applied
            assert applied <= {*found["OK"], *found.get("UNCERTAIN", [])}
            assert cancelled.counts.uncertain == len(found.get("UNCERTAIN", []))

    run(scenario)


def test_what_nobody_handed_in_cannot_be_acted_upon(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE}).life() as life:
            for action in ("pause", "resume", "cancel"):
                with pytest.raises(NotFoundError):
                    await life.act(action, 99)

    run(scenario)


def test_a_drained_cluster_parks_its_operations(tmp_path: Path, label: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"label": label}, rows_per_s=PACE)
        async with home.life() as life:
            running = (await life.hand_in(order("inc", cluster="label"), LONG_CONTENT)).id
            await life.progress(running, 1)
            assert (await life.desk.set_cluster("label", CALLER, drain=True)).state == "drained"
            parked = await life.reach(running, State.PAUSED)
            assert (parked.paused_by, "drained" in (parked.message or "")) == (PausedBy.CLUSTER, True)
        async with home.life() as life:
            assert (await life.reach(running, State.PAUSED)).paused_by is PausedBy.CLUSTER
            await life.desk.set_cluster("label", CALLER, drain=False)
            assert_whole(life, label, await life.reach(running), users(LONG))

    run(scenario)


# --- one word behind another


@asynccontextmanager
async def locked(life: Life) -> AsyncIterator[None]:
    """Let the ledger stand still."""
    with closing(sqlite3.connect(life.data.path / "eomd.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("action", ["resume", "cancel"])
def test_a_word_is_heard_while_the_ledger_is_still_told_of_the_pause(
    tmp_path: Path, label: SimulatedCluster, action: str
) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"label": label}, rows_per_s=PACE).life() as life:
            running = (await life.hand_in(order("inc", cluster="label"), LONG_CONTENT)).id
            await life.progress(running, LONG // 8)
            async with locked(life):
                pausing = asyncio.create_task(life.act("pause", running))
                await life.reach(running, State.PAUSED)
                assert not pausing.done()
                following = asyncio.create_task(life.act(action, running))
                await asyncio.sleep(0)
            await asyncio.gather(pausing, following)
            if action == "cancel":
                assert (await life.reach(running)).state is State.CANCELLED
            else:
                assert_whole(life, label, await life.reach(running), users(LONG))

    run(scenario)


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_word_right_before_the_server_stops_is_kept(tmp_path: Path, action: str) -> None:
    slow = SimulatorSettings(cluster="label", faults=Faults(latency_ms=300.0))

    async def scenario(label: SimulatedCluster) -> None:
        home = Home(tmp_path, {"label": label}, rows_per_s=PACE)
        async with home.life() as life:
            running = (await life.hand_in(order("inc", cluster="label"), LONG_CONTENT)).id
            await life.progress(running, 1)
            word = asyncio.create_task(life.act(action, running))
            await asyncio.sleep(0)
        await word
        label.stop_node(0)
        async with home.life() as life:
            if action == "pause":
                assert life.shown(running).paused_by is PausedBy.PERSON
            else:
                assert (await life.recorded(running)).state is State.CANCELLED

    with SimulatedCluster(slow) as label:
        run(lambda: scenario(label))


# --- a stop in good order, and the next start


def test_a_server_that_stops_goes_on_where_it_was(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        async with home.life() as life:
            running = (await life.hand_in(INC, LONG_CONTENT)).id
            await life.progress(running, LONG // 8)
        for part in (3, 5):
            fish.stop_node(0)
            async with home.life() as life:
                # what was done stands in the checkpoint: nothing of it is asked again
                assert life.shown(running).counts.done == len(count_applied(fish.state))
                fish.start_node(0)
                await life.progress(running, part * LONG // 8)
        async with home.life() as life:
            assert_whole(life, fish, await life.reach(running), users(LONG))

    run(scenario)


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_a_cancel_after_a_stop_in_good_order_leaves_no_row_in_doubt(
    tmp_path: Path, fish: SimulatedCluster, paused: bool
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        async with home.life() as life:
            running = (await life.hand_in(INC, LONG_CONTENT)).id
            await life.progress(running, LONG // 8)
            if paused:
                await life.act("pause", running)
        fish.stop_node(0)
        async with home.life() as life:
            await life.reach(running, State.PAUSED)
            cancelled = await life.act("cancel", running)
            found = statuses(life, running)
            assert set(found) == {"OK", "NOT_SENT"}
            assert set(found["OK"]) == set(count_applied(fish.state))
            assert cancelled.counts.uncertain == 0

    run(scenario)


def test_a_stop_that_takes_too_long_ends_no_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eomd.app.DRAIN_S_MAX", 0.3)

    async def scenario(label: SimulatedCluster) -> None:
        home = Home(tmp_path, {"label": label}, rows_per_s=PACE, reply_timeout_s=60.0)
        async with home.life() as life:
            running = (await life.hand_in(order("inc", cluster="label"), LONG_CONTENT)).id
            await life.progress(running, LONG // 8)
            label.order(mute_after=1)
            async with locked(life):
                await until(lambda: life.rooms.clusters["label"].rows_inflight, "rows in flight")
        label.order(mute_after=0)
        async with home.life() as life:
            assert_whole(life, label, await life.reach(running), users(LONG))

    with SimulatedCluster(SimulatorSettings(cluster="label")) as label:
        run(lambda: scenario(label))


def test_queued_and_paused_operations_are_found_again_in_their_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE})
        async with home.life() as life:
            await fill_up(life)
            queued = [(await life.hand_in(INC, SHORT_CONTENT)).id for _ in range(3)]
            await life.act("pause", queued[1])
        async with home.life() as life:
            await life.reach(RUNNING_MAX, State.PAUSED)
            assert life.shown(queued[1]).paused_by is PausedBy.PERSON
            await life.act("cancel", 1)
            await life.reach(queued[0], State.PAUSED)
            assert life.shown(queued[2]).state is State.QUEUED

    run(scenario)


# --- what a subscriber hears


def test_a_subscriber_hears_of_an_end_that_nobody_waited_for(tmp_path: Path, label: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"label": label}, rows_per_s=PACE).life() as life:
            operation = await life.hand_in(order("inc", cluster="label"), LONG_CONTENT)
            subscription = life.desk.subscribe(operation.id)
            heard = [view async for view in _until_end(subscription)]
            subscription.close()
            assert heard[-1].state is State.SUCCEEDED
            done = [view.counts.done for view in heard]
            assert done == sorted(done)
            assert len(set(done)) > 2
            assert (await life.desk.wait(operation.id, 0.0)).state is State.SUCCEEDED

    run(scenario)


async def _until_end(subscription):
    async for view in subscription:
        yield view
        if view.state.ended:
            return


def test_waiting_ends_with_its_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE}).life() as life:
            operation = await life.hand_in(INC, SHORT_CONTENT)
            assert not (await life.desk.wait(operation.id, 0.05)).state.ended
            waiting = asyncio.create_task(life.desk.wait(operation.id, 60.0))
            await until(lambda: not waiting.done(), "waiting")
            await life.act("cancel", operation.id)
            assert (await waiting).state is State.CANCELLED

    run(scenario)
