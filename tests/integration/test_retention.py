"""What is old is removed and said to be; what has not ended, or is kept for good, stays."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eomd.errors import GoneError, InvalidFileError, NotFoundError
from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.incident_spool import INCIDENTS, IncidentSpool
from eomd.model import Incident, Operation, Severity, State
from eomd.storage import incidents as storage_incidents
from eomd.storage.ledger import IncidentFilter
from tests.integration.life import CALLER, NOWHERE, Home, Life, lines, order, until, users

CONTENT = lines(users(100), 5)
INC = order("inc")


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


def after(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def home(folder: Path, fish: SimulatedCluster, files_days: int, log_days: int) -> Home:
    clusters = {"fish": fish, "label": NOWHERE}
    return Home(folder, clusters, retention={"files_days": files_days, "log_days": log_days})


async def ended(life: Life) -> Operation:
    return await end(life, await life.hand_in(INC, CONTENT))


async def end(life: Life, operation: Operation) -> Operation:
    """Wait until an operation has ended and everybody knows."""
    await life.reach(operation.id)
    known = await life.recorded(operation.id)
    await until(life.folder(operation.id).ended.exists, "the mark of an end that is known")
    return known


def names(operation: Operation) -> list[str]:
    found = [operation.sourcename, operation.resultname, operation.logname]
    return [name for name in found if name]


async def there(life: Life, operation: Operation) -> list[bool]:
    """Tell of source, result and log whether each can be fetched; one that is gone says since when."""
    found = []
    for name in names(operation):
        try:
            await life.desk.open_download(name, CALLER)
        except GoneError as error:
            assert error.removed is not None
            found.append(False)
        else:
            found.append(True)
    return found


def test_files_of_what_ended_long_ago_are_removed(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 180, 0).life() as life:
            old = await ended(life)
            await life.desk.summary(old.id)
            assert await life.desk.retention.retire(after(179)) == 0
            assert await there(life, old) == [True, True, True]
            assert await life.desk.retention.retire(after(181)) == 1
            assert await there(life, old) == [False, False, False]
            assert not life.folder(old.id).path.exists()
            # the board has shown it until now, and would not know
            assert (await life.view(old.id)).removed_time is not None
            with pytest.raises(GoneError):
                await life.desk.summary(old.id)
            assert await life.desk.retention.retire(after(181)) == 0
            new = await ended(life)
            assert new.id == old.id + 1
            assert await there(life, new) == [True, True, True]

    asyncio.run(scenario())


def test_zero_days_are_for_good(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 0, 0).life() as life:
            old = await ended(life)
            used, unused = await upload(life), await upload(life)
            await hand_in_upload(life, used)
            assert await life.desk.retention.retire(after(40_000)) == 0
            assert await there(life, old) == [True, True, True]
            assert is_there(life, used)
            assert not is_there(life, unused)

    asyncio.run(scenario())


def test_a_log_goes_before_the_other_files(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 0, 30).life() as life:
            old = await ended(life)
            await life.desk.retention.retire(after(29))
            assert await there(life, old) == [True, True, True]
            await life.desk.retention.retire(after(31))
            assert await there_or_missing(life, old) == [True, True, False]
            assert (await life.view(old.id)).removed_time is None

    asyncio.run(scenario())


async def there_or_missing(life: Life, operation: Operation) -> list[bool]:
    """As `there`; the clock of the downloads has not gone on, so that a log may be just not there."""
    found = []
    for name in names(operation):
        try:
            await life.desk.open_download(name, CALLER)
        except (GoneError, NotFoundError):
            found.append(False)
        else:
            found.append(True)
    return found


def test_a_log_that_was_removed_is_gone_and_not_unknown(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        settled = home(tmp_path, fish, 0, 30)
        async with settled.life() as life:
            old = await ended(life)
        with closing(sqlite3.connect(settled.data.path / "eomd.db", isolation_level=None)) as ledger:
            for table in ("define_optgroup", "eom_operation"):
                ledger.execute(f"UPDATE {table} SET last_modify_time = '2020-01-01 00:00:00.000000'")
        settled.data.log(old.id).unlink()
        async with settled.life() as life:
            assert await there(life, old) == [True, True, False]

    asyncio.run(scenario())


def test_nothing_of_what_has_not_ended_is_removed(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 1, 1).life() as life:
            waiting = await life.hand_in(order("inc", cluster="label"), CONTENT)
            paused = await life.hand_in(order("inc", cluster="label"), CONTENT)
            await life.act("pause", paused.id)
            old = await ended(life)
            assert await life.desk.retention.retire(after(1000)) == 1
            for operation in (waiting, paused):
                assert await there(life, operation) == [True, True]
                assert life.folder(operation.id).rows.exists()
            assert not life.folder(old.id).path.exists()
            assert (await life.act("cancel", waiting.id)).state is State.CANCELLED

    asyncio.run(scenario())


def test_what_has_not_ended_here_stays_whatever_the_ledger_says(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 1, 1).life() as life:
            running = await life.hand_in(order("inc", cluster="label"), CONTENT)
            await life.reach(running.id, State.PAUSED)
            old = await ended(life)
            with closing(sqlite3.connect(life.data.path / "eomd.db", isolation_level=None)) as ledger:
                ledger.execute(
                    "UPDATE define_optgroup SET status = 10, executed = 1 WHERE id = ?", (running.id,)
                )
            assert await life.desk.retention.retire(after(1000)) == 1
            assert life.folder(running.id).rows.exists()
            assert life.data.source(running.id).exists()
            assert not life.folder(old.id).path.exists()

    asyncio.run(scenario())


def test_many_operations_are_removed_in_one_go(
    tmp_path: Path, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eomd.storage.operation_reads.EXPIRED_MAX", 2)

    async def scenario() -> None:
        async with home(tmp_path, fish, 1, 0).life() as life:
            for _ in range(5):
                await ended(life)
            assert await life.desk.retention.retire(after(2)) == 5
            left = [path.name for path in life.data.files.iterdir()]
            assert left == []

    asyncio.run(scenario())


# --- uploads


async def upload(life: Life, content: bytes = CONTENT) -> str:
    path = life.desk.receiving()
    path.write_bytes(content)
    return str((await life.desk.upload(path, "玩家.csv"))["sourcename"])


async def hand_in_upload(life: Life, name: str) -> Operation:
    operation, _ = await life.desk.hand_in_upload(INC, name, key=None, caller=CALLER)
    return operation


def is_there(life: Life, name: str) -> bool:
    path = life.data.upload(name)
    assert path is not None
    assert path.exists() == path.with_suffix(".json").exists()
    return path.exists()


def test_an_upload_that_nobody_used_goes_after_a_day(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 10, 0).life() as life:
            used, unused = await upload(life), await upload(life)
            refused = await upload(life, b"userid,amount\n1,x\n")
            operations = [await hand_in_upload(life, used) for _ in range(2)]
            with pytest.raises(InvalidFileError):
                await hand_in_upload(life, refused)
            await life.desk.retention.retire(after(0.9))
            assert [is_there(life, name) for name in (used, unused, refused)] == [True] * 3
            await life.desk.retention.retire(after(1.1))
            assert [is_there(life, name) for name in (used, unused, refused)] == [True, False, False]
            with pytest.raises(NotFoundError):
                await hand_in_upload(life, unused)
            for operation in operations:
                await end(life, operation)
            await life.desk.retention.retire(after(11))
            assert not is_there(life, used)

    asyncio.run(scenario())


def test_an_operation_keeps_its_source_when_the_upload_goes(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 0, 0).life() as life:
            name = await upload(life)
            operation = await hand_in_upload(life, name)
            path = life.data.upload(name)
            assert path is not None
            path.unlink()
            assert operation.original_name == "玩家.csv"
            assert life.data.source(operation.id).read_bytes() == CONTENT
            assert (await life.reach(operation.id)).state is State.SUCCEEDED

    asyncio.run(scenario())


def test_an_upload_of_which_nothing_is_known_counts_as_unused(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 10, 0).life() as life:
            name = await upload(life)
            await hand_in_upload(life, name)
            path = life.data.upload(name)
            assert path is not None
            path.with_suffix(".json").write_bytes(b"{")
            await life.desk.retention.retire(after(1.1))
            assert not is_there(life, name)

    asyncio.run(scenario())


def incident(number: int, opened: datetime, closed: datetime | None) -> Incident:
    return Incident(
        f"{number:016x}", "node_down", "fish a:1", Severity.WARNING, opened, "connection refused", closed
    )


async def incidents(life: Life) -> list[int]:
    _, items = await life.desk.incidents.page(IncidentFilter(page_size=200))
    return sorted(int(each.id, 16) for each in items)


def test_incidents_that_ended_long_ago_are_removed(
    tmp_path: Path, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # several blocks
    monkeypatch.setattr(storage_incidents, "TOGETHER", 7)

    async def scenario() -> None:
        async with home(tmp_path, fish, 180, 0).life() as life:
            spool = IncidentSpool(life.data.spool / INCIDENTS)
            day = timedelta(days=1)
            start = after(0)
            old = [incident(number, start - 9 * day, start - 2 * day) for number in range(30)]
            new = [incident(100, start - 9 * day, start), incident(101, start - 9 * day, None)]
            spool.put([*old, *new])
            assert await incidents(life) == [*range(30), 100, 101]
            await life.desk.retention.retire(after(177.9))
            assert await incidents(life) == [*range(30), 100, 101]
            await life.desk.retention.retire(after(178.1))
            assert await incidents(life) == [100, 101]
            await life.desk.retention.retire(after(1000))
            assert await incidents(life) == [101]

    asyncio.run(scenario())


def test_incidents_of_another_installation_are_its_own(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 1, 0).life() as life:
            await life.rooms.ledger.put_incidents("another", [incident(1, after(-9), after(-8))])
            await life.desk.retention.retire()
            total, _ = await life.rooms.ledger.incidents("another", IncidentFilter())
            assert total == 1

    asyncio.run(scenario())


def test_incidents_are_kept_for_good_where_files_are(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 0, 1).life() as life:
            IncidentSpool(life.data.spool / INCIDENTS).put([incident(1, after(-900), after(-800))])
            assert await incidents(life) == [1]
            await life.desk.retention.retire()
            assert await incidents(life) == [1]

    asyncio.run(scenario())


def test_what_was_removed_is_not_told_from_memory(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home(tmp_path, fish, 1, 0).life() as life:
            IncidentSpool(life.data.spool / INCIDENTS).put([incident(1, after(-9), after(-8))])
            assert await incidents(life) == [1]
            await life.desk.retention.retire()
            life.rooms.ledger._link._trouble = "away"
            assert await incidents(life) == []
            life.rooms.ledger._link._trouble = None

    asyncio.run(scenario())
