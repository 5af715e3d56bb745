"""Looking again and again: when, how many at once, which incident follows, and what the watchdog looks at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eomd.watchdog import prober as module
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.prober import Prober
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.sight import DOWN, UNKNOWN, UP, Finding, Sight
from tests.integration.life import until
from tests.on_loop import on_loop

PERIOD_S = 0.005


class Thing:
    """Something to be looked at, as well or ill as a test says."""

    def __init__(self, subject: str = "thing") -> None:
        self.subject, self.deadline_s = subject, 30.0
        self.kinds = {DOWN: Kind.NODE_DOWN, "read_only": Kind.LEDGER_READ_ONLY}
        self.finding = Finding(UP)
        #: found first, one by one
        self.script: list[Finding] = []
        self.looks = 0
        self.closed = 0
        self.hold: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def look(self) -> Finding:
        self.looks += 1
        await self.hold()
        return self.script.pop(0) if self.script else self.finding

    def tell(self, sight: Sight) -> str:
        return f"{sight.state}: {sight.reason}"

    def close(self) -> None:
        self.closed += 1


class World:
    def __init__(self, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        self.schedule = Schedule(loop.time, loop.call_at, Random(1))
        self.incidents = Incidents(IncidentFiles(folder, folder / "spool"))
        self.prober = Prober(self.schedule, self.incidents, PERIOD_S, Random(2))
        self.turns: list[str] = []
        self.prober.add_listener(lambda probe, sight: self.turns.append(sight.state))

    def open_kinds(self) -> list[str]:
        return [incident.kind for incident in self.incidents.open_now]

    async def looked(self, thing: Thing, times: int) -> None:
        """Wait until there were so many looks more, each to its end."""
        target = thing.looks + times + 1
        await until(lambda: thing.looks >= target, "looks")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    world = World(folder)
    yield world
    await world.prober.close()
    assert len(world.schedule) == 0
    world.schedule.close()


@on_loop
async def test_what_is_wrong_twice_is_an_incident_until_it_is_well_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        thing = Thing()
        world.prober.add(thing)
        await until(lambda: world.turns == [UP], "first look")
        thing.finding = Finding(DOWN, "refused")
        await until(lambda: world.open_kinds() == ["node_down"], "incident")
        thing.finding = Finding(UP)
        await until(lambda: not world.open_kinds(), "end of the incident")
        assert world.turns == [UP, DOWN, UP]
        [incident] = world.incidents.recent(5)
        assert (incident.subject, incident.summary) == ("thing", "down: refused; up: ")


@on_loop
async def test_a_single_bad_look_is_no_incident(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        thing = Thing()
        thing.script = [Finding(UP), Finding(DOWN, "lost")] * 5
        world.prober.add(thing)
        await until(lambda: not thing.script, "all that is to be found")
        await world.looked(thing, 1)
        assert world.turns == [UP]


@on_loop
async def test_one_trouble_that_becomes_another_changes_the_incident(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        thing = Thing()
        thing.finding = Finding(DOWN, "refused")
        world.prober.add(thing)
        await until(lambda: world.open_kinds() == ["node_down"], "first trouble")
        thing.finding = Finding("read_only", "no writes")
        await until(lambda: world.open_kinds() == ["ledger_read_only"], "second trouble")
        thing.finding = Finding("draining")
        await until(lambda: world.open_kinds() == [], "a state that is no trouble")


@on_loop
async def test_a_doubtful_finding_is_looked_at_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as world:
        world.prober.period_s = 3600.0
        monkeypatch.setattr(module, "SOON_S", 0.01)
        thing = Thing()
        thing.finding = Finding(DOWN, "refused")
        world.prober.add(thing)
        await until(lambda: world.turns == [DOWN], "both looks")
        assert thing.looks == 2
        thing.finding = Finding(UP)
        world.prober.look_now("thing")
        await until(lambda: world.turns == [DOWN, UP], "a look at once")
        world.prober.look_now("nobody")


@on_loop
async def test_a_look_without_end_finds_the_thing_down(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        thing = Thing()
        thing.deadline_s = 0.01
        thing.hold = asyncio.Event().wait
        world.prober.add(thing)
        await until(lambda: world.turns == [DOWN], "down")
        sight = world.prober.sight("thing")
        assert sight is not None and sight.reason == "no answer within 0.01 s"


@on_loop
async def test_a_probe_that_breaks_says_nothing_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise RuntimeError("a fault of the dialect")

    async def well() -> None:
        return None

    async with opened(tmp_path) as world:
        thing = Thing()
        world.prober.add(thing)
        await until(lambda: world.turns == [UP], "first look")
        thing.hold = fail
        await world.looked(thing, 3)
        thing.hold = well
        await world.looked(thing, 1)
        assert world.turns == [UP]
        assert caplog.text.count("cannot be looked at") == 1


@on_loop
async def test_no_more_looks_than_allowed_are_made_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        busy = most = 0
        enough = asyncio.Event()

        async def hold() -> None:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            if busy == module.AT_ONCE_MAX:
                enough.set()
            await enough.wait()
            await asyncio.sleep(0)
            busy -= 1

        things = [Thing(f"thing {number}") for number in range(3 * module.AT_ONCE_MAX)]
        for thing in things:
            thing.hold = hold
            world.prober.add(thing)
        await until(lambda: len(world.turns) == len(things), "every first look")
        assert most == module.AT_ONCE_MAX


@on_loop
async def test_what_is_removed_is_looked_at_no_more_and_its_incidents_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        thing, other = Thing(), Thing("other")
        thing.finding = other.finding = Finding(DOWN, "refused")
        world.prober.add(thing)
        world.prober.add(other)
        await until(lambda: len(world.open_kinds()) == 2, "both incidents")
        world.prober.remove("thing", "no longer configured")
        assert [incident.subject for incident in world.incidents.open_now] == ["other"]
        looks = thing.looks
        await world.looked(other, 3)
        assert thing.looks == looks
        assert thing.closed == 1
        assert world.prober.sight("thing") is None and "thing" not in world.prober


@on_loop
async def test_a_look_under_way_ends_with_the_prober(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        thing = Thing()
        thing.hold = asyncio.Event().wait
        world.prober.add(thing)
        await until(lambda: thing.looks, "the look has begun")
    assert world.turns == [] and thing.closed == 1


@on_loop
async def test_nothing_is_believed_of_what_cannot_be_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        thing = Thing()
        thing.finding = Finding(UNKNOWN)
        world.prober.add(thing)
        await world.looked(thing, 3)
        sight: Any = world.prober.sight("thing")
        assert (sight.state, world.turns) == (UNKNOWN, [])
