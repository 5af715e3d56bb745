"""Hand-ins, whatever happens between their folder and their operation: none runs that was refused."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sql_proxy import SqlProxy

from eomd.errors import InvalidFileError, KeyReusedError, LedgerUnavailableError, QueueFullError
from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.model import Mode, Operation, State
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.files import OperationFolder
from tests.integration.life import NOWHERE, Home, Life, lines, order, until, users
from tests.journal import count_applied
from tests.mariadb import MariaDb

CONTENT = lines(users(50), 5)
INC = order("inc")


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


def assert_applied(fish: SimulatedCluster, times: int) -> None:
    applied = count_applied(fish.state)
    assert applied == (dict.fromkeys(users(50), times) if times else {})


async def staged(life: Life) -> OperationFolder:
    """Wait until a hand-in has written its folder; from then on it waits for the ledger."""

    def look() -> OperationFolder | None:
        found = life.data.staged()
        return found[0][1] if found and found[0][1].manifest.exists() else None

    folder: OperationFolder = await until(look, "a staged folder")
    return folder


async def repeat(life: Life, key: str) -> tuple[Operation, bool]:
    """Hand in again and again until the ledger is there and met."""
    while True:
        try:
            return await life.offer(INC, CONTENT, key=key)
        except LedgerUnavailableError:
            await asyncio.sleep(0.005)


# --- a commit that nobody confirmed


@pytest.mark.parametrize("restart", [False, True], ids=["same-life", "restarted"])
@pytest.mark.parametrize("lose", ["answer", "question"])
def test_a_hand_in_in_doubt_is_settled_before_its_key_is_used_again(
    tmp_path: Path, mariadb: MariaDb, fish: SimulatedCluster, lose: str, restart: bool
) -> None:
    database = mariadb.create_database()

    async def scenario() -> None:
        proxy = await SqlProxy(mariadb.port).start()
        proxy.behind = b"INSERT INTO eom_operation"
        home = Home(tmp_path, {"fish": fish}, ledger={"url": mariadb.url(database, port=proxy.port)})
        async with home.life() as life:
            proxy.lose, proxy.stay_away = lose, True
            with pytest.raises(LedgerUnavailableError):
                await life.hand_in(INC, CONTENT, key="k")
            assert [folder.abandoned.exists() for _, folder in life.data.staged()] == [True]
            with pytest.raises(LedgerUnavailableError):
                await life.hand_in(INC, CONTENT, key="k")
            if not restart:
                proxy.stay_away = False
                await check(life)
        if restart:
            proxy.stay_away = False
            async with home.life() as life:
                await check(life)
        await proxy.stop()

    def statuses() -> list[int]:
        rows = mariadb.execute("SELECT status FROM define_optgroup ORDER BY status", database=database)
        return [row[0] for row in rows]

    async def check(life: Life) -> None:
        operation, created = await repeat(life, "k")
        assert created
        assert (await life.reach(operation.id)).state is State.SUCCEEDED
        assert life.data.staged() == []
        assert_applied(fish, 1)
        wanted = [10, 21] if lose == "answer" else [10]
        await until(lambda: statuses() == wanted, "the ledger knows both ends")

    asyncio.run(scenario())


def test_a_key_in_doubt_is_not_answered_with_what_was_refused(
    tmp_path: Path, mariadb: MariaDb, fish: SimulatedCluster
) -> None:
    database = mariadb.create_database()

    async def scenario() -> None:
        proxy = await SqlProxy(mariadb.port).start()
        proxy.behind = b"INSERT INTO eom_operation"
        home = Home(tmp_path, {"fish": fish}, ledger={"url": mariadb.url(database, port=proxy.port)})
        async with home.life() as life:
            proxy.lose, proxy.stay_away = "answer", True
            with pytest.raises(LedgerUnavailableError):
                await life.hand_in(INC, CONTENT, key="k")
            with closing(mariadb.connect(database)) as other, other.cursor() as cursor:
                # who settles the doubt waits for this; who merely looks the key up does not
                cursor.execute("BEGIN")
                cursor.execute("SELECT id FROM eom_operation FOR UPDATE")
                proxy.stay_away = False
                await until(lambda: life.rooms.ledger.state.up, "the ledger is back")
                with pytest.raises(LedgerUnavailableError):
                    await life.hand_in(INC, CONTENT, key="k")
                assert life.rooms.ledger.state.up
            _, created = await repeat(life, "k")
            assert created
        await proxy.stop()

    asyncio.run(scenario())


def test_who_is_refused_because_the_folder_could_not_be_named_never_runs(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish})
        async with home.life() as life:
            in_the_way = life.folder(1).path / "something"
            in_the_way.mkdir(parents=True)
            with pytest.raises(OSError, match="not empty"):
                await life.hand_in(INC, CONTENT, key="k")
            operation, created = await repeat(life, "k")
            assert created
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            assert (await life.recorded(1)).state is State.CANCELLED
            assert life.data.staged() == []
        async with home.life(errors=["manifest.json is missing"]) as life:
            assert (await life.recorded(1)).state is State.CANCELLED
        assert_applied(fish, 1)

    asyncio.run(scenario())


def test_a_look_at_the_ledger_leaves_a_hand_in_under_way_alone(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish})
        async with home.life() as life:
            with closing(sqlite3.connect(life.data.path / "eomd.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                handing_in = asyncio.create_task(life.hand_in(INC, CONTENT))
                await staged(life)
                looking = asyncio.create_task(life.rooms.recovery.meet_ledger())
                other.execute("ROLLBACK")
            operation = await handing_in
            await looking
            await life.rooms.recovery.meet_ledger()
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            assert (await life.recorded(operation.id)).state is State.SUCCEEDED
        assert_applied(fish, 1)

    asyncio.run(scenario())


def test_a_hand_in_cut_off_before_the_ledger_is_dropped(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish})
        async with home.life() as life:
            pass
        home.data.stage("11111111-1111-4111-8111-111111111111").source.write_bytes(CONTENT)
        async with home.life() as life:
            assert life.data.staged() == []
            assert list(life.data.operations.iterdir()) == []

    asyncio.run(scenario())


def test_a_hand_in_cut_off_after_the_ledger_is_completed(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE})
        async with home.life() as life:
            operation = await life.hand_in(INC, CONTENT)
        # as if the folder's new name had never reached the disk
        folder = life.folder(operation.id)
        Checkpoint(State.QUEUED).save(folder.checkpoint)
        folder.path.rename(life.data.operations / f".staging-{operation.uuid}")
        life.data.source(operation.id).rename(life.data.operations / f".staging-{operation.uuid}/source.csv")
        home.clusters["fish"] = fish
        async with home.life() as life:
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            assert life.data.source(operation.id).read_bytes() == CONTENT
        assert_applied(fish, 1)

    asyncio.run(scenario())


def test_the_ledger_is_looked_into_each_time_it_comes_back(
    tmp_path: Path, mariadb: MariaDb, fish: SimulatedCluster
) -> None:
    url = mariadb.url(mariadb.create_database())

    async def scenario() -> None:
        async with Home(tmp_path, {"fish": fish}, ledger={"url": url}).life() as life:
            life.data.stage("11111111-1111-4111-8111-111111111111").abandon()
            assert len(life.data.staged()) == 1
            mariadb.kill()
            await until(lambda: not life.rooms.ledger.state.up, "the ledger is missed")
            mariadb.start()
            await until(lambda: not life.rooms.hand_ins.in_doubt, "the ledger is met again")
            assert life.data.staged() == []
            operation = await life.hand_in(INC, CONTENT)
            assert (await life.reach(operation.id)).state is State.SUCCEEDED

    asyncio.run(scenario())


# --- keys


def test_a_key_makes_one_operation_however_often_it_comes(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish})
        async with home.life() as life:
            together = await asyncio.gather(*(life.offer(INC, CONTENT, key="k") for _ in range(5)))
            assert [created for _, created in together].count(True) == 1
            first = together[0][0].id
            assert {operation.id for operation, _ in together} == {first}
            await life.reach(first)
        async with home.life() as life:
            operation, created = await life.offer(INC, CONTENT, key="k")
            assert (operation.id, operation.state, created) == (first, State.SUCCEEDED, False)
        assert_applied(fish, 1)

    asyncio.run(scenario())


def test_a_key_stands_for_its_content_and_its_operator(tmp_path: Path) -> None:
    others = [
        (INC, lines(users(51), 5)),
        (INC, lines(users(50), 6)),
        (order("dec"), CONTENT),
        (order("inc", eids=(1002,)), CONTENT),
        (order("inc", description="x"), CONTENT),
        (order(), lines(users(50))),
    ]

    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE}).life() as life:
            first = await life.hand_in(INC, CONTENT, key="k")
            for wanted, content in others:
                with pytest.raises(KeyReusedError):
                    await life.hand_in(wanted, content, key="k")
            colleague, created = await life.offer(order("inc", operatorid=8), CONTENT, key="k")
            assert created
            assert colleague.id != first.id
            assert life.data.staged() == []
            assert list(life.data.uploading.iterdir()) == []

    asyncio.run(scenario())


def test_a_refused_file_uses_no_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": NOWHERE}).life() as life:
            for _ in range(2):
                with pytest.raises(InvalidFileError):
                    await life.hand_in(INC, b"userid,amount\n1,x\n", key="k")
            together = [life.offer(INC, b"userid,amount\n1,x\n", key="k") for _ in range(3)]
            outcomes = await asyncio.gather(*together, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {InvalidFileError}
            _, created = await life.offer(INC, CONTENT, key="k")
            assert created
            assert len(list(life.data.operations.iterdir())) == 1

    asyncio.run(scenario())


# --- limits, and what is written down


def test_a_full_queue_takes_the_next_when_one_has_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE}, limits={"queued_operations": 2})
        async with home.life() as life:
            held = []
            with pytest.raises(QueueFullError):
                while True:
                    held.append(await life.hand_in(INC, CONTENT))
            assert (life.rooms.schedule.queued, life.rooms.schedule.running) == (2, 16)
            await life.act("cancel", held[-1].id)
            await life.hand_in(INC, CONTENT)
            with pytest.raises(QueueFullError):
                await life.hand_in(INC, CONTENT)

    asyncio.run(scenario())


def test_words_that_no_encoding_has_are_kept_over_a_restart(tmp_path: Path) -> None:
    wanted = order("set", description="a\ud800b 停服", operatorname="\udfff", amount=-5, dry_run=True)

    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE})
        async with home.life() as life:
            operation = await life.hand_in(wanted, lines(users(3)), name="玩家 1.csv")
        async with home.life() as life:
            shown = life.shown(operation.id)
            assert shown is not None
            assert (shown.order, shown.original_name) == (wanted, "玩家 1.csv")
            assert shown.order.mode is Mode.SET
            assert (shown.uuid, shown.number) == (operation.uuid, operation.number)

    asyncio.run(scenario())
