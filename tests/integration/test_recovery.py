"""What a start makes of what an earlier life left: nothing is lost in silence, nothing goes on by mistake."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.model import Counts, EidDefinition, Operation, PausedBy, State
from tests.integration.life import CALLER, NOWHERE, Home, Life, lines, order, until, users
from tests.journal import count_applied
from tests.mariadb import MariaDb

INC = order("inc")
#: ten seconds' work, so that a slow machine stops a server on the way too
PACE, LONG = 20_000, 200_000
LONG_CONTENT = lines(users(LONG), 5)
SHORT_CONTENT = lines(users(100), 5)


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


async def stop_on_the_way(home: Home, wanted: Any = INC) -> Operation:
    """Let an operation come to some of its rows, and stop the server; the next ones work at full speed."""
    home.pace["rows_per_s"] = PACE
    async with home.life() as life:
        operation = await life.hand_in(wanted, LONG_CONTENT if wanted.mode else lines(users(LONG)))
        await life.progress(operation.id, LONG // 40)
    home.pace["rows_per_s"] = 0
    return operation


# --- folders that are gone or damaged


@pytest.mark.parametrize("mode", ["inc", None], ids=["modify", "query"])
def test_an_operation_whose_folder_is_gone_has_failed(
    tmp_path: Path, fish: SimulatedCluster, mode: str | None
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        lost = await stop_on_the_way(home, order(mode))
        shutil.rmtree(home.data.operation(lost.id).path)
        async with home.life(errors=["its files are gone"]) as life:
            failed = await life.recorded(lost.id)
            assert (failed.state, failed.resultname) == (State.FAILED, None)
            assert "folder is gone" in (failed.message or "")
            # of what may have been changed nobody knows any more; a query changed nothing
            counts = failed.counts
            assert counts.done == counts.ok + counts.failed + counts.uncertain
            assert counts.done == (LONG if mode else counts.ok)
            assert counts.uncertain == (LONG - counts.ok if mode else 0)

    asyncio.run(scenario())


def test_a_queued_operation_whose_folder_is_gone_changed_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE})
        async with home.life() as life:
            made = [await life.hand_in(INC, SHORT_CONTENT) for _ in range(17)]
        shutil.rmtree(home.data.operation(made[-1].id).path)
        async with home.life(errors=["its files are gone"]) as life:
            failed = await life.recorded(made[-1].id)
            assert (failed.state, failed.counts) == (State.FAILED, Counts(total=100))
            assert life.shown(made[0].id) is not None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: folder.manifest.unlink(),
        lambda folder: folder.manifest.write_bytes(b"\0" * 300),
        lambda folder: folder.checkpoint.unlink(),
        lambda folder: folder.checkpoint.write_bytes(b""),
        lambda folder: change(folder.checkpoint, state="flying"),
    ],
    ids=["no-manifest", "zeroed-manifest", "no-checkpoint", "empty-checkpoint", "wrong-state"],
)
def test_a_damaged_folder_ends_its_operation_and_no_other(
    tmp_path: Path, fish: SimulatedCluster, damage: Callable[[Any], None]
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        damaged = await stop_on_the_way(home)
        other = await stop_on_the_way(home, order())
        folder = home.data.operation(damaged.id)
        damage(folder)
        async with home.life(errors=["it cannot go on"]) as life:
            failed = await life.recorded(damaged.id)
            assert failed.state is State.FAILED
            assert folder.ended.exists()
            assert failed.counts.uncertain == LONG - failed.counts.ok
            assert (await life.reach(other.id)).state is State.SUCCEEDED
        async with home.life() as life:
            # it has been said once
            assert (await life.recorded(damaged.id)).state is State.FAILED

    asyncio.run(scenario())


def test_rows_that_cannot_be_read_end_their_operation(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        damaged = await stop_on_the_way(home)
        home.data.operation(damaged.id).rows.write_bytes(b"ARROW1 no more")
        async with home.life(errors=["operation failed"]) as life:
            failed = await life.reach(damaged.id)
            assert failed.state is State.FAILED
            assert (await life.recorded(damaged.id)).message == failed.message

    asyncio.run(scenario())


def test_rows_that_were_answered_are_in_the_result_of_what_failed(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    rows = users(400_000)

    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=200_000)
        async with home.life(errors=["operation failed"]) as life:
            operation = await life.hand_in(INC, lines(rows, 5))
            await life.progress(operation.id, 1)
            # what is read of it later is not there any more
            os.truncate(life.folder(operation.id).rows, 2_000_000)
            failed = await life.reach(operation.id)
            assert failed.state is State.FAILED
            found = {int(row[0]): row[1] for row in life.result(operation.id)[1:]}
            applied = count_applied(fish.state)
            assert {user for user, status in found.items() if status == "OK"} == set(applied)
            assert failed.counts.done == failed.counts.ok == len(applied)

    asyncio.run(scenario())


def test_an_answer_that_cannot_be_taken_ends_its_operation_and_leaves_its_rows_in_doubt(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    fish.order(no_idempotent=True)

    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        async with home.life(errors=["operation failed"]) as life:
            operation = await life.hand_in(INC, LONG_CONTENT)
            await life.progress(operation.id, 1)
            # the writer waits for space while it happens
            rules = life.desk.tools.rules
            rules.min_free_mb, enough = 10**9, rules.min_free_mb
            await life.reach(operation.id, State.PAUSED)
            feed = life.rooms.schedule._runners[operation.id].feed
            rows = feed.take(7)
            assert rows is not None
            nothing = np.zeros(7, np.uint8)
            feed.settle(rows.index, nothing, nothing, np.zeros((7, 2), np.int64), None)
            rules.min_free_mb = enough
            failed = await life.reach(operation.id)
            assert failed.state is State.FAILED
            lines = life.result(operation.id)[1:]
            statuses = {int(line[0]): line[1] for line in lines}
            assert all(statuses[user] == "UNCERTAIN" for user in rows.users.tolist())
            applied = set(count_applied(fish.state))
            assert {user for user, status in statuses.items() if status == "OK"} <= applied
            assert not applied & {user for user, status in statuses.items() if status == "NOT_SENT"}

    asyncio.run(scenario())


def test_what_a_newer_eomd_left_is_left_to_it(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = await stop_on_the_way(home)
        checkpoint = home.data.operation(operation.id).checkpoint
        change(checkpoint, format=2, more=1)
        async with home.life(errors=["cannot be read now"]) as life:
            assert not (await life.recorded(operation.id, State.RUNNING)).state.ended
            assert life.shown(operation.id) is None
        fields = json.loads(checkpoint.read_text())
        del fields["more"]
        checkpoint.write_text(json.dumps(fields | {"format": 1}))
        async with home.life() as life:
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
        assert count_applied(fish.state) == dict.fromkeys(users(LONG), 1)

    asyncio.run(scenario())


# --- what must not go on by itself


@pytest.mark.parametrize(
    ("mode", "days", "held"),
    [("inc", 31, True), ("inc", 29, False), (None, 31, False), ("dry", 31, False)],
    ids=["old-modify", "young-modify", "old-query", "old-dry-run"],
)
def test_a_modify_older_than_its_tokens_waits_for_a_person(
    tmp_path: Path, fish: SimulatedCluster, mode: str | None, days: int, held: bool
) -> None:
    wanted = order("inc", dry_run=True) if mode == "dry" else order(mode)

    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = await stop_on_the_way(home, wanted)
        created = datetime.now(UTC) - timedelta(days=days)
        change(home.data.operation(operation.id).manifest, create_time=created.isoformat())
        async with home.life() as life:
            if held:
                view = await life.reach(operation.id, State.PAUSED)
                assert view.paused_by is PausedBy.PERSON
                assert "30 days" in (view.message or "")
                assert (await life.recorded(operation.id, State.PAUSED)).paused_by is PausedBy.PERSON
                await life.act("resume", operation.id)
            assert (await life.reach(operation.id)).state is State.SUCCEEDED

    asyncio.run(scenario())


def test_an_old_modify_that_never_began_goes_on(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE})
        async with home.life() as life:
            operation = await life.hand_in(INC, SHORT_CONTENT)
        created = datetime.now(UTC) - timedelta(days=99)
        change(home.data.operation(operation.id).manifest, create_time=created.isoformat())
        home.clusters["fish"] = fish
        async with home.life() as life:
            assert (await life.reach(operation.id)).state is State.SUCCEEDED

    asyncio.run(scenario())


def test_an_operation_of_a_cluster_that_is_gone_waits_for_it(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        async with home.life() as life:
            waits, cancelled, stopped = [await life.hand_in(INC, LONG_CONTENT) for _ in range(3)]
            for operation in (waits, cancelled, stopped):
                await life.progress(operation.id, 1)
        del home.clusters["fish"]
        home.pace["rows_per_s"] = 0
        async with home.life() as life:
            view = await life.reach(waits.id, State.PAUSED)
            assert view.paused_by is PausedBy.CLUSTER
            assert (await life.act("cancel", cancelled.id)).state is State.CANCELLED
            await life.reach(stopped.id, State.PAUSED)
        home.clusters["fish"] = fish
        async with home.life() as life:
            assert (await life.reach(waits.id)).state is State.SUCCEEDED
            assert (await life.reach(stopped.id)).state is State.SUCCEEDED
        applied = count_applied(fish.state)
        # by the two that went on, and of the third what it had come to
        assert set(applied) == set(users(LONG))
        assert set(applied.values()) <= {2, 3}

    asyncio.run(scenario())


# --- ends that the ledger has not heard of


async def end_unheard(home: Home) -> Operation:
    """Let an operation end, then make the ledger and the folder forget that it was told."""
    async with home.life() as life:
        operation = await life.hand_in(INC, SHORT_CONTENT)
        await life.reach(operation.id)
        ended: Operation = await life.recorded(operation.id)
    home.data.operation(operation.id).ended.unlink()
    return ended


def forget_end(home: Home) -> None:
    with closing(sqlite3.connect(home.data.path / "eomd.db", isolation_level=None)) as ledger:
        ledger.execute(
            "UPDATE define_optgroup SET status = 2, executed = 0, handleres = 0, resultname = NULL"
        )


def test_an_end_that_the_ledger_has_not_heard_is_told_again(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish})
        ended = await end_unheard(home)
        forget_end(home)
        async with home.life() as life:
            told = await life.recorded(ended.id)
            assert (told.state, told.counts, told.resultname) == (ended.state, ended.counts, ended.resultname)
            assert life.folder(ended.id).ended.exists()
        assert count_applied(fish.state) == dict.fromkeys(users(100), 1)

    asyncio.run(scenario())


def test_an_end_that_the_ledger_has_forgotten_is_told_again(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish})
        ended = await end_unheard(home)
        home.data.operation(ended.id).ended.touch()
        forget_end(home)
        async with home.life() as life:
            told = await life.recorded(ended.id)
            assert (told.state, told.counts, told.resultname) == (ended.state, ended.counts, ended.resultname)
        assert count_applied(fish.state) == dict.fromkeys(users(100), 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("published", [False, True])
def test_an_end_cut_off_around_the_naming_of_its_result_is_reached_again(
    tmp_path: Path, fish: SimulatedCluster, published: bool
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish})
        ended = await end_unheard(home)
        forget_end(home)
        folder = home.data.operation(ended.id)
        change(folder.checkpoint, state="running", resultname=None)
        result = home.data.result(ended.id)
        content = result.read_bytes()
        if not published:
            result.rename(folder.partial)
        async with home.life() as life:
            again = await life.reach(ended.id)
            assert (again.state, again.counts, again.resultname) == (
                ended.state,
                ended.counts,
                ended.resultname,
            )
            assert result.read_bytes() == content
            assert not folder.partial.exists()
        assert count_applied(fish.state) == dict.fromkeys(users(100), 1)

    asyncio.run(scenario())


def test_a_failed_operation_keeps_the_result_it_had_when_it_was_cut_off(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = await stop_on_the_way(home)
        folder = home.data.operation(operation.id)
        # it failed, named its result, and the power went before it could say so
        folder.partial.rename(home.data.result(operation.id))
        content, applied = home.data.result(operation.id).read_bytes(), count_applied(fish.state)
        async with home.life(errors=["operation failed"]) as life:
            failed = await life.reach(operation.id)
            assert (failed.state, failed.resultname) == (State.FAILED, f"{operation.id}-result.csv")
            assert home.data.result(operation.id).read_bytes() == content
            assert failed.counts.done == len(applied)
        assert count_applied(fish.state) == applied

    asyncio.run(scenario())


# --- a cancel that was cut off


def test_a_cancel_that_was_cut_off_is_carried_out(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE)
        operation = await stop_on_the_way(home)
        change(home.data.operation(operation.id).checkpoint, cancelling=True)
        before = count_applied(fish.state)
        async with home.life() as life:
            cancelled = await life.reach(operation.id)
            assert cancelled.state is State.CANCELLED
            assert len(life.result(operation.id)) == LONG + 1
        assert count_applied(fish.state) == before

    asyncio.run(scenario())


# --- a ledger that comes later


def test_operations_go_on_and_end_before_the_ledger_is_there(
    tmp_path: Path, fish: SimulatedCluster, mariadb: MariaDb
) -> None:
    url = mariadb.url(mariadb.create_database())

    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE, ledger={"url": url})
        operation = await stop_on_the_way(home)
        mariadb.kill()
        async with home.life(met=False) as life:
            ended = await life.reach(operation.id)
            assert ended.state is State.SUCCEEDED
            await until(lambda: life.rooms.recorder.pending, "its states wait in the spool")
        async with home.life(met=False) as life:
            mariadb.start()
            told = await _met(life, operation.id)
            assert (told.state, told.counts) == (ended.state, ended.counts)
        assert count_applied(fish.state) == dict.fromkeys(users(LONG), 1)

    asyncio.run(scenario())


def test_a_dry_run_waits_for_the_counters_limits(
    tmp_path: Path, fish: SimulatedCluster, mariadb: MariaDb
) -> None:
    url = mariadb.url(mariadb.create_database())

    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=PACE, ledger={"url": url})
        async with home.life() as life:
            await life.desk.put_definitions([], [EidDefinition("fish", 1001, maximum=4)], CALLER)
            dry = await life.hand_in(order("inc", dry_run=True), LONG_CONTENT)
            query = await life.hand_in(order(), lines(users(LONG)))
            for operation in (dry, query):
                await life.progress(operation.id, LONG // 40)
        home.pace["rows_per_s"] = 0
        mariadb.kill()
        async with home.life(met=False) as life:
            await life.reach(query.id)
            assert life.shown(dry.id) is None
            mariadb.start()
            await _met(life, dry.id)
            assert {row[1] for row in life.result(dry.id)[1:]} == {"OUT_OF_RANGE"}

    asyncio.run(scenario())


async def _met(life: Life, operation: int) -> Operation:
    await until(lambda: not life.rooms.hand_ins.in_doubt, "the ledger is met")
    found: Operation = await life.recorded(operation)
    return found
