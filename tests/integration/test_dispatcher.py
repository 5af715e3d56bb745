"""Incidents in, remedies out: in order, with deadlines, and never against a person's wish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from eomd.model import Incident
from eomd.watchdog import decisions
from eomd.watchdog import dispatcher as module
from eomd.watchdog.decisions import Plan, Step
from eomd.watchdog.dispatcher import Dispatcher
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.schedule import Schedule
from tests.integration.life import until
from tests.on_loop import on_loop


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = {
        Kind.POOL_DISAGREES: Plan((Step("small", 0), Step("great", 0.02), Step("great", 3600))),
        Kind.HEALTH: Plan((Step("nobody's", 0), Step("small", 3600))),
    }
    for kind in list(decisions.DECISIONS):
        monkeypatch.delitem(decisions.DECISIONS, kind)  # type: ignore[arg-type]
    for kind, plan in plans.items():
        monkeypatch.setitem(decisions.DECISIONS, kind, plan)  # type: ignore[arg-type]


class World:
    def __init__(self, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        self.schedule = Schedule(loop.time, loop.call_at, Random(1))
        self.incidents = Incidents(IncidentFiles(folder, folder / "spool"))
        self.veto = ""
        self.asked = 0
        self.done: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.dispatcher = Dispatcher(self.incidents, self.schedule, loop.time, self.forbid)
        self.dispatcher.register("small", self.small, 30.0)
        self.dispatcher.register("great", self.great, 30.0)

    def forbid(self, incident: Incident) -> str:
        self.asked += 1
        return self.veto

    async def small(self, incident: Incident) -> str:
        self.done.append(f"small {incident.subject}")
        await self.hold.wait()
        return "done"

    async def great(self, incident: Incident) -> str:
        self.done.append(f"great {incident.subject}")
        return "done too"

    def open(self, subject: str, kind: Kind = Kind.POOL_DISAGREES) -> None:
        self.incidents.open(kind, subject, "they differ")

    def close(self, subject: str) -> None:
        self.incidents.close(Kind.POOL_DISAGREES, subject)

    def tried(self) -> list[tuple[str, str]]:
        return [
            (each.what, each.outcome) for incident in self.incidents.recent(9) for each in incident.remedies
        ]


@asynccontextmanager
async def opened(folder: Path, before: Callable[[World], None] = lambda world: None) -> AsyncIterator[World]:
    world = World(folder)
    before(world)
    running = asyncio.create_task(world.dispatcher.run())
    await asyncio.sleep(0)
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    world.schedule.close()


@on_loop
async def test_remedies_are_tried_in_turn_until_the_incident_ends(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.open("a")
        await until(lambda: world.tried() == [("small", "done"), ("great", "done too")], "both remedies")
        assert world.done == ["small a", "great a"]
        world.close("a")
        assert len(world.schedule) == 0


@on_loop
async def test_incidents_have_their_turn_in_the_order_they_came(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.hold.clear()
        for subject in "abc":
            world.open(subject)
        await until(lambda: world.done, "the first remedy")
        assert world.dispatcher.view()["under_way"] == "small for a"
        world.incidents.open(Kind.POOL_DISAGREES, "b", "they still differ")
        world.hold.set()
        await until(lambda: len(world.done) >= 3, "the others")
        assert world.done[:3] == ["small a", "small b", "small c"]


@on_loop
async def test_what_ends_while_it_waits_is_not_remedied(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.hold.clear()
        world.open("a")
        world.open("b")
        await until(lambda: world.done, "the first remedy")
        world.close("b")
        world.close("a")
        world.open("c")
        world.hold.set()
        await until(lambda: len(world.done) >= 2, "another remedy")
        assert world.done == ["small a", "small c"]
        [[c], *_] = [incident.remedies for incident in world.incidents.open_now]
        assert c.outcome == "done"


@on_loop
async def test_an_incident_that_ends_and_comes_back_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.open("a")
        await until(lambda: len(world.done) == 2, "both remedies")
        world.close("a")
        world.open("a")
        await until(lambda: len(world.done) == 4, "both again")
        assert world.done == ["small a", "great a"] * 2


@on_loop
async def test_the_next_watchdog_goes_on_with_the_following_step(tmp_path: Path) -> None:
    async with opened(tmp_path, before=remedied_before) as world:
        await until(lambda: world.done == ["great a"], "the second step")


def remedied_before(world: World) -> None:
    world.open("a")
    world.incidents.remedied(Kind.POOL_DISAGREES, "a", "small", "done by the last watchdog")


@on_loop
async def test_a_persons_wish_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VETO_S", 0.01)
    async with opened(tmp_path) as world:
        world.veto = "a person has stopped the server"
        world.open("a")
        await until(lambda: world.asked > 2, "the wish has been asked for again")
        assert world.done == [] == world.tried()
        world.veto = ""
        await until(lambda: world.done, "the remedy, once nothing speaks against it")


@on_loop
async def test_a_remedy_that_fails_breaks_or_hangs_is_told(tmp_path: Path) -> None:
    async def fail(incident: Incident) -> str:
        raise ConnectionError("the server is away")

    async def hang(incident: Incident) -> str:
        await asyncio.Event().wait()
        return ""

    async with opened(tmp_path) as world:
        world.dispatcher.register("small", fail, 30.0)
        world.dispatcher.register("great", hang, 0.01)
        world.open("a")
        await until(lambda: len(world.tried()) == 2, "both outcomes")
        assert world.tried() == [
            ("small", "failed: the server is away"),
            ("great", "came to no end within 0.01 s"),
        ]


@on_loop
async def test_a_fault_of_a_remedy_does_not_end_the_dispatcher(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down(incident: Incident) -> str:
        raise RuntimeError("a fault of ours")

    async with opened(tmp_path) as world:
        world.dispatcher.register("small", break_down, 30.0)
        world.open("a")
        await until(lambda: world.done == ["great a"], "the next step")
        assert world.tried()[0] == ("small", "broke down, see the log")
        assert "a fault of ours" in caplog.text


@on_loop
async def test_a_remedy_that_nobody_knows_is_told_and_others_are_not_held_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.open("server", Kind.HEALTH)
        world.open("a")
        await until(lambda: world.done, "the other's remedy")
        assert ("nobody's", "nobody here can do it") in world.tried()


@on_loop
async def test_kinds_outside_of_the_table_are_left_to_others(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.open("ledger", Kind.LEDGER_DOWN)
        world.open("a")
        # both that are due within an hour
        await until(lambda: len(world.tried()) == 2, "the other's remedies")
        assert world.done == ["small a", "great a"]
