"""A disk without a byte left, in every state: operations wait for space, lose nothing, never fail of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eomd.errors import DiskFullError, UnavailableError
from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Operation, PausedBy, State, may_become
from tests.integration.life import Home, Life, lines, order, until, users
from tests.journal import count_applied

INC = order("inc")
PACE, LONG = 20_000, 30_000
CONTENT = lines(users(LONG), 5)


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


@pytest.fixture
def plain_fish() -> Iterator[SimulatedCluster]:
    """A cluster without tokens: its results are written in small pieces."""
    with SimulatedCluster(SimulatorSettings(faults=Faults(no_idempotent=True))) as cluster:
        yield cluster


class Disk:
    """A small disk of its own. Needs root, as every machine that runs these tests has."""

    def __init__(self, path: Path) -> None:
        self.path, self._filler = path, path / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", path], check=True)

    def fill(self) -> None:
        """Leave not a byte."""
        with open(self._filler, "ab", buffering=0) as filler:
            for size in (2**20, 2**12, 1):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue
        assert os.statvfs(self.path).f_bavail == 0

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    disk = Disk(path)
    yield disk
    disk.close()


@asynccontextmanager
async def running(disk: Disk, home: Home, **more: bool) -> AsyncIterator[tuple[Life, int]]:
    """Give a life with an operation on its way."""
    async with home.life(**more) as life:
        operation = await life.hand_in(INC, CONTENT)
        await life.progress(operation.id, LONG // 8)
        try:
            yield life, operation.id
        finally:
            disk.free()


async def assert_done(life: Life, fish: SimulatedCluster, operation: int) -> None:
    ended: Operation = await life.reach(operation)
    assert ended.state is State.SUCCEEDED, ended.message
    assert life.result(operation)[1:] == [[str(user), "OK", "", "0", "5"] for user in users(LONG)]
    assert count_applied(fish.state) == dict.fromkeys(users(LONG), 1)
    assert (await life.recorded(operation)).counts == ended.counts
    await until(life.folder(operation).ended.exists, "the mark of an end that is known")


def test_a_full_disk_holds_an_operation_until_there_is_space(disk: Disk, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with running(disk, Home(disk.path, {"fish": fish}, rows_per_s=PACE)) as (life, operation):
            disk.fill()
            held = await life.reach(operation, State.PAUSED)
            assert held.paused_by is PausedBy.DISK
            with pytest.raises(DiskFullError):
                await life.hand_in(INC, b"")
            disk.free()
            await assert_done(life, fish, operation)

    asyncio.run(scenario())


def test_what_is_answered_is_written_and_ends_although_its_cluster_has_gone(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": fish}, rows_per_s=PACE).life() as life:
            tools, told, states = life.desk.tools, life.desk.tools.changed, []

            def note(operation: Operation) -> None:
                states.append((operation.state, operation.paused_by))
                told(operation)

            tools.changed = note
            operation = (await life.hand_in(INC, CONTENT)).id
            rules, enough_mb = tools.rules, tools.rules.min_free_mb
            rules.min_free_mb = 1 << 40
            await life.progress(operation, LONG)
            await life.reach(operation, State.PAUSED)
            for number in range(len(fish.nodes)):
                fish.stop_node(number)
            holds = life.desk.schedule._runners[operation]._holds
            await until(lambda: len(holds._reasons) == 2, "the cluster holds it too")
            rules.min_free_mb = enough_mb
            await assert_done(life, fish, operation)
            assert states[-2:] == [(State.PAUSED, PausedBy.CLUSTER), (State.SUCCEEDED, None)]
            assert may_become(State.PAUSED, State.SUCCEEDED)

    asyncio.run(scenario())


def test_a_pause_on_a_full_disk_is_a_pause(disk: Disk, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with running(disk, Home(disk.path, {"fish": fish}, rows_per_s=PACE)) as (life, operation):
            disk.fill()
            paused = await life.act("pause", operation)
            assert (paused.state, paused.paused_by) == (State.PAUSED, PausedBy.PERSON)
            disk.free()
            await life.act("resume", operation)
            await assert_done(life, fish, operation)

    asyncio.run(scenario())


@pytest.mark.parametrize("held", [False, True], ids=["at-once", "held"])
def test_a_cancel_on_a_full_disk_is_carried_out_when_there_is_space(
    disk: Disk, plain_fish: SimulatedCluster, held: bool
) -> None:
    fish = plain_fish

    async def scenario() -> None:
        home = Home(disk.path, {"fish": fish}, rows_per_s=PACE // 4)
        async with running(disk, home) as (life, operation):
            disk.fill()
            if held:
                await life.reach(operation, State.PAUSED)
            cancelling = asyncio.create_task(life.act("cancel", operation))
            # it has told the runner when it waits
            await asyncio.sleep(0)
            await life.reach(operation, State.PAUSED)
            disk.free()
            await cancelling
            cancelled = await life.reach(operation)
            assert cancelled.state is State.CANCELLED
            ok = {int(row[0]) for row in life.result(operation)[1:] if row[1] == "OK"}
            assert ok == set(count_applied(fish.state))
            assert cancelled.counts.ok == len(ok)
            assert len(life.result(operation)) == LONG + 1

    asyncio.run(scenario())


def test_a_server_that_stops_on_a_full_disk_goes_on_later(disk: Disk, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(disk.path, {"fish": fish}, rows_per_s=PACE)
        async with home.life() as life:
            operation = (await life.hand_in(INC, CONTENT)).id
            await life.progress(operation, LONG // 8)
            disk.fill()
        async with home.life(met=False) as life:
            assert not (await life.reach(operation, State.RUNNING, State.PAUSED)).state.ended
            disk.free()
            await assert_done(life, fish, operation)

    asyncio.run(scenario())


def test_a_server_starts_on_a_full_disk_and_meets_its_ledger_later(
    disk: Disk, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        home = Home(disk.path, {"fish": fish})
        home.data.create()
        home.data.origin()
        disk.fill()
        async with home.life(met=False) as life:
            with pytest.raises(UnavailableError):
                await life.desk.check_intake()
            disk.free()
            await until(lambda: not life.rooms.hand_ins.in_doubt, "the ledger is met")
            operation = await life.hand_in(INC, CONTENT)
            await assert_done(life, fish, operation.id)

    asyncio.run(scenario())


def test_an_end_stays_an_end_though_its_mark_finds_no_room(disk: Disk, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(disk.path, {"fish": fish})
        async with home.life() as life:
            tools, told = life.desk.tools, life.desk.tools.changed

            def fill_at_the_end(operation: Operation) -> None:
                if operation.state.ended:
                    disk.fill()
                told(operation)

            tools.changed = fill_at_the_end
            operation = await life.hand_in(INC, CONTENT)
            ended = await life.reach(operation.id)
            assert ended.state is State.SUCCEEDED
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    while life.shown(operation.id).state.ended:
                        await asyncio.sleep(0.01)
            disk.free()
            await assert_done(life, fish, operation.id)

    asyncio.run(scenario())
