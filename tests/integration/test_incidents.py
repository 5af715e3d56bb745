"""Incidents: opened once per kind and subject, remembered over restarts, written in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eomd import incident_spool
from eomd.model import Incident, Severity
from eomd.watchdog import incidents as module
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents, Kind
from tests.integration.life import until
from tests.on_loop import on_loop

START = datetime(2025, 1, 1, tzinfo=UTC)


class World:
    """One data folder; watchdogs that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spool = folder / "watchdog", folder / "spool" / "incidents"
        self.now = START

    def make(self) -> Incidents:
        return Incidents(IncidentFiles(self.folder, self.spool), lambda: self.now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Incidents]:
        incidents = self.make()
        task = asyncio.create_task(incidents.run())
        await asyncio.sleep(0)
        yield incidents
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def spooled(self) -> list[Incident]:
        return [
            Incident.parse(fields)
            for path in sorted(self.spool.glob("*.json"))
            for fields in json.loads(path.read_bytes())
        ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def short_pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    yield


def test_an_incident_is_opened_once_and_its_summary_kept_up_to_date(world: World) -> None:
    incidents = world.make()
    seen: list[Incident] = []
    incidents.add_listener(seen.append)
    incidents.open(Kind.LEDGER_DOWN, "ledger", "connection refused")
    incidents.open(Kind.LEDGER_DOWN, "ledger", "connection refused")
    incidents.open(Kind.LEDGER_DOWN, "ledger", "no answer")
    [only] = incidents.open_now
    assert only.summary == "no answer"
    assert only.opened == START
    assert only.severity is Severity.CRITICAL
    assert [each.summary for each in seen] == ["connection refused", "no answer"]
    assert len({each.id for each in seen}) == 1


def test_subjects_and_kinds_are_kept_apart(world: World) -> None:
    incidents = world.make()
    incidents.open(Kind.NODE_DOWN, "fish a:1", "refused")
    incidents.open(Kind.NODE_DOWN, "fish b:1", "refused")
    incidents.open(Kind.POOL_DISAGREES, "fish a:1", "the pool says up")
    incidents.close(Kind.NODE_DOWN, "fish a:1")
    left = {(each.kind, each.subject) for each in incidents.open_now}
    assert left == {("node_down", "fish b:1"), ("pool_disagrees", "fish a:1")}
    assert incidents.find_open("node_down", "fish a:1") is None
    assert incidents.find_open("node_down", "fish b:1") is not None


def test_a_closed_incident_says_how_it_ended_and_a_new_one_is_another(world: World) -> None:
    incidents = world.make()
    incidents.open(Kind.NODE_DOWN, "fish a:1", "refused")
    world.now += timedelta(seconds=5)
    incidents.close(Kind.NODE_DOWN, "fish a:1", "answers again")
    incidents.open(Kind.NODE_DOWN, "fish a:1", "refused again")
    newest, former = incidents.recent(10)
    assert former.closed == START + timedelta(seconds=5)
    assert former.summary == "refused; answers again"
    assert newest.id != former.id and newest.closed is None


def test_closing_and_remedying_what_is_not_open_changes_nothing(world: World) -> None:
    incidents = world.make()
    seen: list[Incident] = []
    incidents.add_listener(seen.append)
    incidents.close(Kind.HEALTH, "server")
    incidents.remedied(Kind.HEALTH, "server", "restart", "done")
    assert seen == [] and incidents.recent(10) == []


def test_an_incident_never_ends_before_it_began(world: World) -> None:
    incidents = world.make()
    incidents.open(Kind.CLOCK_JUMPED, "clock", "set back by an hour")
    world.now -= timedelta(hours=1)
    incidents.close(Kind.CLOCK_JUMPED, "clock")
    [only] = incidents.recent(1)
    assert only.closed == only.opened


def test_remedies_are_kept_oldest_first_and_bounded(world: World) -> None:
    incidents = world.make()
    incidents.open(Kind.HEALTH, "server", "no answer")
    for number in range(module.REMEDIES_MAX + 5):
        incidents.remedied(Kind.HEALTH, "server", "restart", f"{number}")
    [only] = incidents.open_now
    assert [each.outcome for each in only.remedies] == [
        str(number) for number in range(5, module.REMEDIES_MAX + 5)
    ]


def test_more_open_incidents_than_there_is_room_for_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "OPEN_MAX", 2)
    incidents = world.make()
    for number in range(3):
        incidents.open(Kind.NODE_DOWN, f"fish a:{number}", "refused")
    assert len(incidents.open_now) == 2
    assert "not noted: node_down, fish a:2" in caplog.text


def test_ended_incidents_are_forgotten_oldest_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENDED_MAX", 2)
    incidents = world.make()
    for number in range(4):
        world.now += timedelta(seconds=1)
        incidents.open(Kind.NODE_DOWN, f"fish a:{number}", "refused")
        incidents.close(Kind.NODE_DOWN, f"fish a:{number}")
    assert [each.subject for each in incidents.recent(10)] == ["fish a:3", "fish a:2"]


@on_loop
async def test_changes_reach_the_spool_in_order_and_whole(world: World) -> None:
    async with world.running() as incidents:
        told = 0

        def count() -> None:
            nonlocal told
            told += 1

        incidents.add_spool_listener(count)
        incidents.open(Kind.LEDGER_DOWN, "ledger", "refused")
        await until(lambda: told == 1, "first file")
        incidents.remedied(Kind.LEDGER_DOWN, "ledger", "tell", "told")
        await until(lambda: told == 2, "second file")
        incidents.close(Kind.LEDGER_DOWN, "ledger", "answers")
        await until(lambda: told == 3, "third file")
    states = [(len(each.remedies), each.closed is None) for each in world.spooled()]
    assert states[:3] == [(0, True), (1, True), (1, False)]
    assert min(path.name for path in world.spool.iterdir()) == "000000000001.json"


@on_loop
async def test_what_was_open_is_open_for_the_next_watchdog(world: World) -> None:
    async with world.running() as incidents:
        incidents.open(Kind.NODE_DOWN, "fish a:1", "refused")
        incidents.open(Kind.NODE_DOWN, "fish b:1", "refused")
        incidents.close(Kind.NODE_DOWN, "fish b:1")
        before = incidents.recent(10)
    async with world.running() as incidents:
        assert incidents.recent(10) == before
        incidents.open(Kind.NODE_DOWN, "fish a:1", "refused")
        assert incidents.recent(10) == before


@on_loop
async def test_a_stop_loses_no_change(world: World) -> None:
    """The change is made and the watchdog stopped before the loop has had a turn."""
    async with world.running() as incidents:
        incidents.open(Kind.HEALTH, "server", "no answer")
    assert [each.kind for each in world.spooled()] == ["health"]
    assert len(world.make().open_now) == 1


@on_loop
async def test_numbers_go_on_behind_what_the_server_has_not_taken(world: World) -> None:
    for number in range(3):
        async with world.running() as incidents:
            incidents.open(Kind.NODE_DOWN, f"fish a:{number}", "refused")
    assert [each.subject for each in world.spooled()] == ["fish a:0", "fish a:1", "fish a:2"]


@on_loop
async def test_a_disk_that_takes_nothing_is_tried_again(
    world: World, short_pause: None, caplog: pytest.LogCaptureFixture
) -> None:
    world.spool.parent.mkdir(parents=True)
    world.spool.write_text("in the way of the folder")
    async with world.running() as incidents:
        incidents.open(Kind.DISK_LOW, "disk", "full")
        await until(lambda: "cannot be kept" in caplog.text, "the trouble is logged")
        incidents.open(Kind.DISK_LOW, "disk", "fuller")
        world.spool.unlink()
        await until(lambda: world.spool.is_dir() and world.spooled(), "the change is written")
    assert world.spooled()[-1].summary == "fuller"
    assert caplog.text.count("cannot be kept") == 1


@on_loop
async def test_a_server_that_takes_nothing_for_long_does_not_fill_the_disk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_spool, "WAITING_MAX", 3)
    for number in range(6):
        async with world.running() as incidents:
            incidents.open(Kind.NODE_DOWN, f"fish a:{number}", "refused")
    assert [each.subject for each in world.spooled()] == ["fish a:3", "fish a:4", "fish a:5"]


def test_a_memory_that_cannot_be_read_is_told_and_begun_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.folder.mkdir(parents=True)
    (world.folder / "incidents.json").write_text('[{"id": 1}]')
    assert world.make().recent(10) == []
    assert "cannot be read" in caplog.text
