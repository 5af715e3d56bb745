"""What a power cut leaves on the disk, and what the next start makes of it: no row twice, none misnamed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Operation, State
from tests.integration.life import Home, Life, lines, order, users
from tests.journal import count_applied

INC = order("inc")
PACE, ROWS = 100_000, 120_000
CONTENT = lines(users(ROWS), 5)


@pytest.fixture(params=[True, False], ids=["tokens", "no-tokens"])
def fish(request: pytest.FixtureRequest) -> Iterator[SimulatedCluster]:
    """Answers late, so that there is always something in flight."""
    faults = Faults(no_idempotent=not request.param, latency_ms=30.0, jitter_ms=30.0)
    with SimulatedCluster(SimulatorSettings(faults=faults)) as cluster:
        yield cluster


async def cut_off(
    home: Home, fish: SimulatedCluster, operation: int | None = None, *, pauses: int = 0
) -> int:
    """Run an operation, new or found, until the power goes; return its id.

    The cluster goes first: what the checkpoint says then is what a cut at this moment would have left.
    """
    async with home.life() as life:
        if operation is None:
            operation = (await life.hand_in(INC, CONTENT)).id
        shown = life.shown(operation)
        assert shown is not None
        await life.progress(operation, shown.counts.done + ROWS // 8)
        for _ in range(pauses):
            await life.act("pause", operation)
            await life.act("resume", operation)
        await life.progress(operation, shown.counts.done + ROWS // 4)
        fish.stop_node(0)
        checkpoint = life.folder(operation).checkpoint
        left = checkpoint.read_bytes()
    checkpoint.write_bytes(left)
    return operation


def assert_true(life: Life, fish: SimulatedCluster, operation: Operation) -> dict[str, int]:
    """No row was applied twice, each stands once in the result, and none claims what is not so."""
    applied = count_applied(fish.state)
    assert set(applied.values()) <= {1}
    rows = life.result(operation.id)[1:]
    assert [int(row[0]) for row in rows] == list(users(ROWS))
    named: dict[str, set[int]] = {}
    for row in rows:
        named.setdefault(row[1], set()).add(int(row[0]))
    assert named.get("OK", set()) <= set(applied)
    assert not named.get("NOT_SENT", set()) & set(applied)
    found = {status: len(members) for status, members in named.items()}
    assert set(found) <= {"OK", "UNCERTAIN", "NOT_SENT"}
    counts = operation.counts
    assert (counts.ok, counts.uncertain, counts.failed) == (found.get("OK", 0), found.get("UNCERTAIN", 0), 0)
    assert counts.done == counts.ok + counts.uncertain
    return found


@pytest.mark.parametrize("cuts", [1, 2])
def test_an_operation_goes_on_behind_a_cut(tmp_path: Path, fish: SimulatedCluster, cuts: int) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = None
        for _ in range(cuts):
            operation = await cut_off(home, fish, operation)
            fish.start_node(0)
        assert operation is not None
        async with home.life() as life:
            ended = await life.reach(operation)
            found = assert_true(life, fish, ended)
            if not fish.settings.faults.no_idempotent:
                assert (ended.state, found) == (State.SUCCEEDED, {"OK": ROWS})
            assert ended.state in (State.SUCCEEDED, State.PARTIAL)

    asyncio.run(scenario())


def test_tokens_that_come_or_go_over_a_cut_apply_nothing_twice(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = await cut_off(home, fish)
        fish.order(no_idempotent=not fish.settings.faults.no_idempotent)
        fish.start_node(0)
        async with home.life() as life:
            ended = await life.reach(operation)
            assert assert_true(life, fish, ended)["UNCERTAIN"] > 0
            assert ended.state is State.PARTIAL

    asyncio.run(scenario())


@pytest.mark.parametrize("pauses", [0, 1])
@pytest.mark.parametrize("back", [False, True], ids=["away", "back"])
def test_a_cancel_behind_a_cut_tells_doubt_from_unsent(
    tmp_path: Path, fish: SimulatedCluster, back: bool, pauses: int
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = await cut_off(home, fish, pauses=pauses)
        if back:
            fish.start_node(0)
        async with home.life() as life:
            cancelled = await life.act("cancel", operation)
            assert cancelled.state is State.CANCELLED
            assert_true(life, fish, cancelled)

    asyncio.run(scenario())


@pytest.mark.parametrize("back", [False, True], ids=["away", "back"])
def test_a_stop_in_good_order_behind_a_cut_forgets_no_doubt(
    tmp_path: Path, fish: SimulatedCluster, back: bool
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = await cut_off(home, fish)
        # little or nothing of what is in doubt is cleared up before the stop
        home.pace["rows_per_s"] = 2000
        if back:
            fish.start_node(0)
        async with home.life() as life:
            done = life.shown(operation).counts.done
            if back:
                await life.progress(operation, done + 1)
        async with home.life() as life:
            cancelled = await life.act("cancel", operation)
            assert_true(life, fish, cancelled)

    asyncio.run(scenario())
