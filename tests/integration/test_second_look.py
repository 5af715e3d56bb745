"""A canary goes first and is read back; what is through is read back where that is wished; the brake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eomd.errors import InvalidConfigError
from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Counts, Operation, PausedBy, State, Verify
from eomd.operations.guard import AHEAD_ROWS_MIN
from eomd.operations.reading import Reading
from tests.integration.http_site import CONFIG, open_site
from tests.integration.life import Home, Life, lines, order, users
from tests.journal import count_applied

CONTENT = lines(users(100), 5)
ONCE = dict.fromkeys(users(100), 1)
#: ten of whom nobody knows anything come first
UNKNOWN = range(2_000_000, 2_000_010)


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster) -> Home:
    return Home(tmp_path, {"fish": fish})


def canary(rows: int = 10, *, wait: bool = False, **changes: Any) -> Any:
    return order("inc", canary_rows=rows, canary_wait=wait, **changes)


def story(life: Life, operation: int) -> str:
    return life.data.log(operation).read_text()


def meddle(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], Awaitable[object]]) -> None:
    """Have somebody else change values just before the next ones are read back."""
    run, done = Reading.run, []

    async def after_the_deed(self: Reading, *arguments: Any) -> bool:
        if not done:
            done.append(True)
            await deed()
        return await run(self, *arguments)

    monkeypatch.setattr(Reading, "run", after_the_deed)


async def change(life: Life, who: range) -> None:
    other = await life.hand_in(order("inc"), lines(who, 1))
    await life.reach(other.id, State.SUCCEEDED)


# --- canary


def test_a_good_canary_lets_the_others_go(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(canary(), CONTENT)
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            told = story(life, operation.id)
            assert "the canary's 10 rows: 0 failed or uncertain; 10 rows were read back: all are as" in told
        assert count_applied(fish.state) == ONCE

    asyncio.run(scenario())


def test_it_is_what_is_configured_where_the_order_says_nothing(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    home = Home(tmp_path, {"fish": fish}, modify={"canary_rows": 20})

    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.reach(operation.id, State.SUCCEEDED)
            assert "the canary's 20 rows" in story(life, operation.id)
            for without in (order(), order("inc", dry_run=True)):
                operation = await life.hand_in(without, lines(users(100), None if not without.mode else 5))
                await life.reach(operation.id, State.SUCCEEDED)
                assert "canary" not in story(life, operation.id)

    asyncio.run(scenario())


@pytest.mark.parametrize("restart", [False, True], ids=["same-life", "restarted"])
@pytest.mark.parametrize("protected", [True, False], ids=["tokens", "no-tokens"])
def test_nothing_else_is_sent_before_a_person_resumes(tmp_path: Path, restart: bool, protected: bool) -> None:
    faults = Faults(no_idempotent=not protected)
    with SimulatedCluster(SimulatorSettings(faults=faults)) as fish:
        home = Home(tmp_path, {"fish": fish})

        async def scenario() -> None:
            async with home.life() as life:
                operation = await life.hand_in(canary(wait=True), CONTENT)
                waiting = await life.reach(operation.id, State.PAUSED)
                assert (waiting.paused_by, waiting.counts.done) == (PausedBy.CANARY, 10)
                assert "resume it to go on" in (waiting.message or "")
                await life.recorded(operation.id, State.PAUSED)
                assert count_applied(fish.state) == dict.fromkeys(users(10), 1)
                if not restart:
                    await life.act("resume", operation.id)
                    await life.reach(operation.id, State.SUCCEEDED)
            async with home.life() as life:
                if restart:
                    found = life.shown(operation.id)
                    assert found is not None
                    assert found.paused_by is PausedBy.CANARY
                    await life.act("resume", operation.id)
                    await life.reach(operation.id, State.SUCCEEDED)

        asyncio.run(scenario())
        assert count_applied(fish.state) == ONCE


def test_a_canary_with_failed_rows_stops_and_can_be_cancelled(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(canary(), lines([*UNKNOWN[:3], *users(97)], 5))
            stopped = await life.reach(operation.id, State.PAUSED)
            assert (stopped.paused_by, stopped.counts.failed) == (PausedBy.CANARY, 3)
            assert "3 failed or uncertain; 7 rows were read back" in (stopped.message or "")
            await life.act("cancel", operation.id)
            await life.reach(operation.id, State.CANCELLED)
            names = [cells[1] for cells in life.result(operation.id)[1:]]
            assert names == ["NO_SUCH_USER"] * 3 + ["OK"] * 7 + ["NOT_SENT"] * 90
        assert count_applied(fish.state) == dict.fromkeys(users(7), 1)

    asyncio.run(scenario())


def test_a_canary_whose_values_are_others_now_stops(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            meddle(monkeypatch, lambda: change(life, users(2)))
            operation = await life.hand_in(canary(), CONTENT)
            stopped = await life.reach(operation.id, State.PAUSED)
            assert stopped.paused_by is PausedBy.CANARY
            assert "10 rows were read back: 2 are different now" in (stopped.message or "")
            await life.act("resume", operation.id)
            await life.reach(operation.id, State.SUCCEEDED)

    asyncio.run(scenario())


def test_a_pause_while_the_canary_is_read_back_is_the_persons(
    home: Home, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            pausing: list[asyncio.Task[Operation]] = []

            async def pause() -> None:
                pausing.append(asyncio.create_task(life.act("pause", 1)))
                await asyncio.sleep(0)

            meddle(monkeypatch, pause)
            operation = await life.hand_in(canary(), CONTENT)
            paused = await life.reach(operation.id, State.PAUSED)
            await pausing[0]
            assert paused.paused_by is PausedBy.PERSON
            await life.act("resume", operation.id)
            await life.reach(operation.id, State.SUCCEEDED)
            assert "the canary's 10 rows" in story(life, operation.id)
        assert count_applied(fish.state)[users(100)[50]] == 1

    asyncio.run(scenario())


def test_waiting_for_no_canary_is_refused(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            with pytest.raises(InvalidConfigError, match="canary_wait"):
                await life.hand_in(order("inc", canary_wait=True), CONTENT)

    asyncio.run(scenario())


# --- read-back


@pytest.mark.parametrize(
    ("mode", "verify", "rows", "read"),
    [
        ("inc", Verify.ALL, 100, "100"),
        ("set", Verify.ALL, 100, "100"),
        ("dec", Verify.SAMPLE, 100, "100"),
        ("inc", Verify.SAMPLE, 5_000, "1,000"),
    ],
)
def test_what_is_as_it_was_left_is_told_in_a_sentence(
    home: Home, mode: str, verify: Verify, rows: int, read: str
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            wanted = order(mode, verify=verify, eids=(1001, 1002))
            operation = await life.hand_in(wanted, lines(users(rows), 5))
            ended = await life.reach(operation.id)
            assert ended.state is State.SUCCEEDED
            assert ended.message == f"{read} rows were read back: all are as they were left"
            recorded = await life.recorded(operation.id)
            assert (recorded.verifyname, recorded.message) == (f"{operation.id}-verify.csv", ended.message)
            report = life.data.verify(operation.id).read_text()
            assert report == "row,userid,status,1001_after,1001_now,1002_after,1002_now\n"

    asyncio.run(scenario())


def test_differences_are_listed_and_not_judged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            meddle(monkeypatch, lambda: change(life, users(2)))
            content = lines([*UNKNOWN[:1], *users(99)], 5)
            operation = await life.hand_in(order("inc", verify=Verify.ALL), content)
            ended = await life.reach(operation.id)
            assert ended.state is State.PARTIAL
            assert ended.message == "99 rows were read back: 2 are different now"
            assert life.data.verify(operation.id).read_text().splitlines()[1:] == [
                f"1,{users(2)[0]},DIFFERENT,5,6",
                f"2,{users(2)[1]},DIFFERENT,5,6",
            ]

    asyncio.run(scenario())


def test_users_with_several_rows_are_left_out(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            content = lines([*users(100), *users(10)], 5)
            operation = await life.hand_in(order("inc", verify=Verify.ALL), content)
            ended = await life.reach(operation.id, State.SUCCEEDED)
            assert ended.message == "90 rows were read back: all are as they were left"

    asyncio.run(scenario())


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_person_may_stop_a_read_back(home: Home, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            acting: list[asyncio.Task[Operation]] = []

            async def act() -> None:
                acting.append(asyncio.create_task(life.act(action, 1)))
                await asyncio.sleep(0)

            meddle(monkeypatch, act)
            await life.hand_in(order("inc", verify=Verify.ALL), CONTENT)
            stopped = await life.reach(1, State.PAUSED, State.SUCCEEDED)
            await acting[0]
            if action == "pause":
                assert (stopped.state, stopped.counts.done) == (State.PAUSED, 100)
                await life.act("resume", 1)
            ended = await life.reach(1, State.SUCCEEDED)
            assert (ended.verifyname is not None) == (action == "pause")

    asyncio.run(scenario())


def test_a_restart_begins_the_read_back_anew(
    home: Home, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            reading, released = asyncio.Event(), asyncio.Event()

            async def wait() -> None:
                reading.set()
                await released.wait()

            meddle(monkeypatch, wait)
            await life.hand_in(order("inc", verify=Verify.ALL), CONTENT)
            await reading.wait()
            # as a crash would
            aborting = asyncio.create_task(life.rooms.schedule.abort())
            await asyncio.sleep(0)
            released.set()
            await aborting
            monkeypatch.undo()
        async with home.life() as life:
            ended = await life.reach(1, State.SUCCEEDED)
            assert ended.message == "100 rows were read back: all are as they were left"
        assert count_applied(fish.state) == ONCE

    asyncio.run(scenario())


# --- brake


def bad_rows(count: int = 20_000) -> bytes:
    """Rows of which every second one fails."""
    return lines([user for pair in zip(users(count), range(2_000_000, 2_000_000 + count), strict=True)
                  for user in pair], 5)  # fmt: skip


def test_the_brake_stops_what_fails_and_a_person_lets_it_go_on(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    home = Home(tmp_path, {"fish": fish}, rows_per_s=20_000, modify={"brake_failed_share": 0.2})

    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), bad_rows())
            stopped = await life.reach(operation.id, State.PAUSED)
            assert stopped.paused_by is PausedBy.BRAKE
            assert "rows failed or are uncertain, over 20.00%" in (stopped.message or "")
            assert stopped.counts.done < 40_000
            assert (await life.recorded(operation.id, State.PAUSED)).paused_by is PausedBy.BRAKE
            home.tables["modify"] = {"brake_failed_share": 0.6}
            home.pace["rows_per_s"] = 0
            life.reconfigure(home.settings())
            await life.act("resume", operation.id)
            ended = await life.reach(operation.id, State.PARTIAL)
            assert (ended.counts.ok, ended.counts.failed) == (20_000, 20_000)

    asyncio.run(scenario())


def test_what_fails_at_once_is_held_back_in_a_small_file_too(home: Home, fish: SimulatedCluster) -> None:
    home.tables["modify"] = {"brake_failed_share": 0.2}

    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), bad_rows(1_000))
            stopped = await life.reach(operation.id, State.PAUSED, State.PARTIAL)
            assert (stopped.paused_by, stopped.counts.done) == (PausedBy.BRAKE, AHEAD_ROWS_MIN)
            await life.act("cancel", operation.id)
            assert len(await applied(life, operation.id)) == AHEAD_ROWS_MIN // 2
        assert sum(count_applied(fish.state).values()) == AHEAD_ROWS_MIN // 2

    async def applied(life: Life, operation: int) -> list[list[str]]:
        await life.reach(operation, State.CANCELLED)
        return [row for row in life.result(operation)[1:] if row[1] == "OK"]

    asyncio.run(scenario())


@pytest.mark.parametrize("protected", [True, False])
def test_a_brake_that_finds_nothing_lets_all_rows_go(tmp_path: Path, protected: bool) -> None:
    rows = users(50_000)

    async def scenario(home: Home) -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), lines([*rows, *UNKNOWN], 5))
            assert (await life.reach(operation.id)).state is State.PARTIAL

    with SimulatedCluster(SimulatorSettings(faults=Faults(no_idempotent=not protected))) as fish:
        asyncio.run(scenario(Home(tmp_path, {"fish": fish}, modify={"brake_failed_share": 0.2})))
        assert count_applied(fish.state) == dict.fromkeys(rows, 1)


def test_a_brake_that_trips_on_the_last_rows_leaves_nothing_to_resume(tmp_path: Path) -> None:
    async def scenario(home: Home) -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), lines([UNKNOWN[0]] * AHEAD_ROWS_MIN, 5))
            ended = await life.reach(operation.id, State.PARTIAL, State.PAUSED)
            assert (ended.state, ended.counts) == (State.PARTIAL, Counts(200, 200, 0, 100, 100))
            assert "rows failed or are uncertain, over 20.00%" in story(life, operation.id)

    # the first half trips it while the second, which nobody answers, is on its way
    faults = Faults(no_idempotent=True, mute_after=2)
    with SimulatedCluster(SimulatorSettings(max_rows=100, faults=faults)) as fish:
        one = {"fish": f"{fish.nodes[0].address}:1"}
        asyncio.run(scenario(Home(tmp_path, one, modify={"brake_failed_share": 0.2})))


def test_a_cluster_may_have_a_brake_of_its_own(tmp_path: Path, fish: SimulatedCluster) -> None:
    home = Home(tmp_path, {"fish": fish}, modify={"brake_failed_share": 0.2})
    home.pace["brake_failed_share"] = 0.0

    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), bad_rows(2_000))
            assert (await life.reach(operation.id)).state is State.PARTIAL

    asyncio.run(scenario())


def test_the_brake_stops_where_answers_take_long(tmp_path: Path) -> None:
    with SimulatedCluster(SimulatorSettings(faults=Faults(latency_ms=200))) as fish:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=2_000)
        home.pace["brake_latency_ms"] = 50.0

        async def scenario() -> None:
            async with home.life() as life:
                operation = await life.hand_in(order("inc"), lines(users(100_000), 5))
                stopped = await life.reach(operation.id, State.PAUSED)
                assert stopped.paused_by is PausedBy.BRAKE
                assert "ms, over 50 ms" in (stopped.message or "")
                query = await life.hand_in(order(), lines(users(5)))
                assert (await life.reach(query.id)).state is State.SUCCEEDED

        asyncio.run(scenario())


def test_over_http(tmp_path: Path, fish: SimulatedCluster) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001], "canary_rows": 1, "verify": "all"}
    with open_site(tmp_path, {"fish": fish}) as site:
        ended = site.hand_in(modify, b"100000000\n100000001\n").data
        assert (ended["state"], ended["verifyname"]) == ("succeeded", "1-verify.csv")
        report = site.get("/download?name=1-verify.csv")
        assert report.body.decode() == "row,userid,status,1001_after,1001_now\n"
        assert "players-verify.csv" in report.headers["Content-Disposition"]
        for wrong in ({"verify": "some"}, {"canary_rows": -1}, {"canary_wait": 1}):
            refused = site.hand_in({**modify, **wrong}, b"100000000\n")
            assert refused.error == "INVALID_CONFIG"
            assert [problem["field"] for problem in refused.data["problems"]] == list(wrong)
