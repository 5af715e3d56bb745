"""What a ledger does when its database is slow, lost, killed, frozen, full of others, or refuses."""

import asyncio
import contextlib
import sqlite3
import threading
from contextlib import asynccontextmanager, closing

import pytest
from ledger_homes import MariaHome, SqliteHome, change_of, new_operation, until
from sql_proxy import SqlProxy

from eomd.errors import LedgerUnavailableError
from eomd.model import State
from eomd.storage.engine import make_engine
from eomd.storage.ledger import OperationFilter

DEADLINE_S = 120.0
#: so a refusal says that the database was asked; where it is known to be away it is not
ASKED = "tried twice"
#: that ask a MySQL at once
THREADS = 4


@pytest.fixture
def maria(mariadb):
    return MariaHome(mariadb)


@pytest.fixture
def sqlite(tmp_path):
    return SqliteHome(tmp_path)


async def refused(awaitable):
    """Await a refusal, which must not take for ever; return what it said."""
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(LedgerUnavailableError) as refusal:
            await awaitable
    return str(refusal.value)


@asynccontextmanager
async def proxied(home):
    proxy = await SqlProxy(home.server.port).start()
    url = home.server.url(home.database, port=proxy.port)
    try:
        # what is lost shows by its connection's end, never by a time-out
        async with home.ledger(url=url, timeout_s=30.0) as ledger:
            yield ledger, proxy
    finally:
        await proxy.stop()


async def assert_one(ledger, operation, new):
    total, operations = await ledger.operations(OperationFilter())
    assert (total, operations) == (1, [operation])
    assert operation.uuid == new.uuid


# --- doubt about a commit


@pytest.mark.parametrize("lost", ["answer", "question"])
def test_a_lost_commit_makes_one_operation(maria, lost):
    async def main():
        async with proxied(maria) as (ledger, proxy):
            new = new_operation()
            proxy.lose = lost
            operation = await ledger.admit(new)
            assert proxy.lost == 1
            await assert_one(ledger, operation, new)

    asyncio.run(main())


def test_a_commit_in_doubt_is_found_by_its_uuid_when_the_ledger_is_back(maria):
    async def main():
        async with proxied(maria) as (ledger, proxy):
            new = new_operation()
            proxy.lose, proxy.stay_away = "answer", True
            await refused(ledger.admit(new))
            proxy.stay_away = False
            await until(lambda: ledger.state.up)
            await assert_one(ledger, await ledger.operation_of_uuid(new.uuid), new)
            await assert_one(ledger, await ledger.admit(new), new)

    asyncio.run(main())


def test_a_commit_that_is_still_under_way_is_waited_for(maria):
    async def scenario(ledger):
        operation = await ledger.admit(new_operation())
        later = new_operation().uuid
        with maria.server.connect(maria.database) as somebody, somebody.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE late SELECT * FROM eom_operation")
            cursor.execute("BEGIN")
            cursor.execute(f"INSERT INTO define_optgroup (id, status) VALUES ({operation.id + 1}, 0)")
            cursor.execute(f"UPDATE late SET id = id + 1, uuid = '{later}'")
            cursor.execute("INSERT INTO eom_operation SELECT * FROM late")
            looking = asyncio.create_task(ledger.operation_of_uuid(later))
            waiting = "SELECT 1 FROM information_schema.processlist WHERE info LIKE '%LOCK IN SHARE MODE'"
            await until(lambda: maria.column(waiting))
            cursor.execute("COMMIT")
        assert (await looking).id == operation.id + 1

    maria.run(scenario)


@pytest.mark.parametrize("lost", ["answer", "question"])
def test_a_change_whose_commit_is_lost_is_written(maria, lost):
    async def main():
        async with proxied(maria) as (ledger, proxy):
            operation = await ledger.admit(new_operation())
            proxy.lose = lost
            await ledger.record(change_of(operation, State.RUNNING))
            assert proxy.lost == 1
            assert (await ledger.operation(operation.id)).state is State.RUNNING

    asyncio.run(main())


# --- lost connections


def test_connections_that_the_server_has_ended_are_not_noticed(maria):
    async def scenario(ledger):
        await asyncio.gather(*(ledger.admit(new_operation()) for _ in range(8)))
        sessions = f"SELECT id FROM information_schema.processlist WHERE db = '{maria.database}'"
        for session in maria.server.execute(sessions):
            with contextlib.suppress(Exception):
                maria.server.execute(f"KILL {session[0]}")
        await asyncio.gather(*(ledger.admit(new_operation()) for _ in range(8)))

    maria.run(scenario)


def test_a_server_killed_amid_hand_ins_has_every_acknowledged_one_once(maria):
    async def scenario(ledger):
        acknowledged, handed_in = [], []

        async def hand_in():
            while True:
                new = new_operation()
                handed_in.append(new.uuid)
                try:
                    acknowledged.append(await ledger.admit(new))
                except LedgerUnavailableError:
                    return

        callers = [asyncio.create_task(hand_in()) for _ in range(6)]
        await until(lambda: len(acknowledged) >= 30)
        maria.server.kill()
        await asyncio.gather(*callers)
        assert not ledger.state.up
        maria.server.start()
        await until(lambda: ledger.state.up)
        for operation in acknowledged:
            assert await ledger.operation(operation.id) == operation
        uuids = maria.column("SELECT uuid FROM eom_operation")
        assert len(uuids) == len(set(uuids))
        assert set(uuids) <= set(handed_in)
        assert maria.column("SELECT COUNT(*) FROM define_optgroup") == [len(uuids)]

    maria.run(scenario)


def test_a_server_that_is_not_there_is_refused_at_once_and_found_again(maria):
    async def scenario(ledger):
        edges = []
        await until(lambda: ledger.state.up)
        ledger.add_listener(lambda: edges.append(ledger.state.up))
        maria.server.kill()
        try:
            await refused(ledger.admit(new_operation()))
            assert ASKED not in await refused(ledger.operations(OperationFilter()))
            assert "Can't connect" in ledger.state.last_error
        finally:
            maria.server.start()
        await until(lambda: ledger.state.up)
        await ledger.admit(new_operation())
        assert edges == [False, True]

    maria.run(scenario)


def test_a_frozen_server_is_given_up_in_time_and_found_again(maria):
    async def scenario(ledger):
        operation = await ledger.admit(new_operation())
        maria.server.freeze()
        try:
            await refused(ledger.admit(new_operation()))
            assert ASKED not in await refused(ledger.operation(operation.id))
        finally:
            maria.server.thaw()
        await until(lambda: ledger.state.up)
        assert await ledger.operation(operation.id) == operation

    maria.run(scenario, timeout_s=3.0)


def test_callers_who_wait_behind_a_frozen_one_are_refused_with_it(maria):
    async def scenario(ledger):
        await ledger.admit(new_operation())
        maria.server.freeze()
        try:
            told = await asyncio.gather(*(refused(ledger.admit(new_operation())) for _ in range(20)))
            assert sum(ASKED in text for text in told) <= THREADS
        finally:
            maria.server.thaw()
        await until(lambda: ledger.state.up)

    maria.run(scenario, timeout_s=3.0)


def test_the_loop_turns_while_the_server_is_frozen(maria):
    async def scenario(ledger):
        await ledger.admit(new_operation())
        maria.server.freeze()
        try:
            waiting = asyncio.create_task(refused(ledger.admit(new_operation())))
            turns = 0
            while not waiting.done():
                await asyncio.sleep(0.005)
                turns += 1
            assert turns > 10
        finally:
            maria.server.thaw()

    maria.run(scenario)


# --- a server that answers, and refuses


def test_a_read_only_server_is_unavailable_until_it_takes_writes(maria):
    async def scenario(ledger):
        await ledger.admit(new_operation())
        maria.server.execute("SET GLOBAL read_only = 1")
        try:
            await refused(ledger.admit(new_operation()))
            with pytest.raises(LedgerUnavailableError):
                await ledger.ping()
            assert not ledger.state.up
            assert "read-only" in ledger.state.last_error
        finally:
            maria.server.execute("SET GLOBAL read_only = 0")
        await until(lambda: ledger.state.up)
        await ledger.admit(new_operation())

    maria.run(scenario, url=maria.server.url(maria.database, maria.user()))


def test_a_server_full_of_connections_is_unavailable_until_there_is_room(maria):
    user = maria.user()

    async def scenario(ledger):
        await ledger.admit(new_operation())
        maria.server.kill()
        maria.server.start()
        with contextlib.ExitStack() as others:
            maria.server.execute("SET GLOBAL max_connections = 10")
            with contextlib.suppress(Exception):
                for _ in range(12):
                    others.enter_context(maria.server.connect())
            await until(lambda: "Too many connections" in (ledger.state.last_error or ""))
            assert ASKED not in await refused(ledger.admit(new_operation()))
        await until(lambda: ledger.state.up)
        maria.server.execute("SET GLOBAL max_connections = 151")

    maria.run(scenario, url=maria.server.url(maria.database, user))


@pytest.mark.parametrize("fault", ["password", "database", "rights", "host"])
def test_a_refusal_says_why_and_shows_no_password(maria, fault):
    maria.run(lambda ledger: ledger.ping())
    urls = {
        "password": maria.server.url(maria.database, maria.user(password="richtig") + ":geheim"),
        "database": maria.server.url("nowhere", "root"),
        "rights": maria.server.url(maria.database, maria.user("SELECT ON {}.*", "geheim") + ":geheim"),
        "host": f"mysql+pymysql://u:geheim@127.0.0.1:1/{maria.database}",
    }
    said = {"password": "1045", "database": "1049", "rights": "1142", "host": "2003"}

    async def main():
        async with maria.ledger(migrated=False, url=urls[fault]) as ledger:
            text = await refused(ledger.admit(new_operation()))
            assert said[fault] in text
            assert said[fault] in ledger.state.last_error
            assert "geheim" not in text + ledger.state.last_error + repr(ledger.state)
            assert not ledger.state.up

    asyncio.run(main())


def test_a_lock_of_somebody_else_leaves_the_ledger_up(maria):
    async def scenario(ledger):
        operation, other = await ledger.admit_many([new_operation(), new_operation()])
        with maria.server.connect(maria.database) as somebody, somebody.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"UPDATE define_optgroup SET note = 'x' WHERE id = {operation.id}")
            text = await refused(ledger.record(change_of(operation, State.RUNNING)))
            assert "1205" in text
            assert ledger.state.up
            await ledger.record(change_of(other, State.RUNNING))
            cursor.execute("ROLLBACK")
        await ledger.record(change_of(operation, State.RUNNING))

    maria.run(scenario)


def test_a_statement_over_its_time_leaves_the_ledger_up(maria):
    slow = "ALTER TABLE define_optgroup ADD COLUMN slow INT AS (SLEEP(3)) VIRTUAL"

    async def scenario(ledger):
        await ledger.admit(new_operation())
        with contextlib.suppress(Exception):
            maria.execute(slow)
        with maria.server.connect(maria.database) as somebody, somebody.cursor() as cursor:
            cursor.execute("LOCK TABLES define_optgroup WRITE")
            text = await refused(ledger.operations(OperationFilter()))
            assert "1969" in text
            assert ledger.state.up
            cursor.execute("UNLOCK TABLES")
        assert (await ledger.operations(OperationFilter()))[0] == 1

    maria.run(scenario)


# --- SQLite


def test_a_locked_file_is_unavailable_until_it_is_free(sqlite):
    async def scenario(ledger):
        await ledger.admit(new_operation())
        with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            text = await refused(ledger.admit(new_operation()))
            assert "locked" in text
            assert ASKED not in await refused(ledger.admit(new_operation()))
            somebody.execute("ROLLBACK")
        await until(lambda: ledger.state.up)
        await ledger.admit(new_operation())

    sqlite.run(scenario, timeout_s=0.5)


def test_reading_goes_on_while_somebody_else_writes(sqlite):
    async def scenario(ledger):
        operation = await ledger.admit(new_operation())
        await ledger.ping()
        with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            assert await ledger.operation(operation.id) == operation
            somebody.execute("ROLLBACK")

    sqlite.run(scenario)


def test_a_file_that_is_no_database_is_unavailable(sqlite):
    sqlite.path.write_text("no database" * 1000)

    async def main():
        async with sqlite.ledger(migrated=False) as ledger:
            text = await refused(ledger.admit(new_operation()))
            assert "not a database" in text
            assert not ledger.state.up

    asyncio.run(main())


def test_a_folder_that_is_missing_is_unavailable(sqlite):
    async def main():
        async with sqlite.ledger(migrated=False, url=f"sqlite:///{sqlite.path}/nowhere/x.db") as ledger:
            await refused(ledger.admit(new_operation()))
            assert not ledger.state.up

    asyncio.run(main())


def test_a_commit_is_on_the_disk_before_it_is_acknowledged(sqlite):
    engine = make_engine(sqlite.settings())
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        # FULL: without it WAL does not sync at a commit
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


# --- what is left behind


@pytest.mark.parametrize("kind", ["maria", "sqlite"])
def test_a_closed_ledger_leaves_no_threads(request, kind):
    home = request.getfixturevalue(kind)

    async def main():
        async with home.ledger() as ledger:
            await asyncio.gather(*(ledger.admit(new_operation()) for _ in range(8)))
            assert any(each.name.startswith("ledger") for each in threading.enumerate())
        assert not any(each.name.startswith("ledger") for each in threading.enumerate())

    asyncio.run(main())
