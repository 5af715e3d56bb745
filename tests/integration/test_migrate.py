"""Migrations: an empty database, tables of the old services, several processes, a cut in the middle."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from ledger_homes import NOON, MariaHome, SqliteHome, change_of, five_done, new_operation

from eomd.errors import LedgerUnavailableError, MigrationRefusedError
from eomd.model import ClusterTitle, EidDefinition, State
from eomd.storage.ledger import OperationFilter
from eomd.storage.migrate import migrate, pending_migrations
from eomd.storage.migrations import versions
from eomd.storage.schema import HEAD

#: as somebody may have made it years ago: narrow, in GBK, with columns of its own, some of ours missing
OLD_MYSQL = """CREATE TABLE define_optgroup (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    description VARCHAR(12) NOT NULL,
    executed VARCHAR(3) DEFAULT '0',
    handleres TINYINT NOT NULL,
    conf VARCHAR(2000),
    operatorid VARCHAR(20),
    operatorname CHAR(8) NOT NULL DEFAULT '',
    sourcename VARCHAR(64) NOT NULL,
    create_time DATETIME,
    last_modify_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    resultname VARCHAR(64) NOT NULL,
    priority INT NOT NULL,
    region VARCHAR(10) NOT NULL,
    seen DATETIME NOT NULL,
    kind ENUM('a', 'b') NOT NULL DEFAULT 'b'
) ENGINE=InnoDB DEFAULT CHARSET=gbk"""
OLD_SQLITE = """CREATE TABLE define_optgroup (
    id INTEGER PRIMARY KEY,
    description VARCHAR(12) NOT NULL,
    executed VARCHAR(3) DEFAULT '0',
    handleres TINYINT NOT NULL,
    conf VARCHAR(2000),
    operatorid VARCHAR(20),
    operatorname CHAR(8) NOT NULL DEFAULT '',
    sourcename VARCHAR(64) NOT NULL,
    create_time DATETIME,
    last_modify_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    resultname VARCHAR(64) NOT NULL,
    priority INT NOT NULL,
    region VARCHAR(10) NOT NULL,
    seen DATETIME NOT NULL,
    kind TEXT NOT NULL DEFAULT 'b'
)"""
OLD_COLUMNS = (
    "id, description, executed, handleres, conf, operatorid, operatorname, sourcename, create_time,"
    " last_modify_time, resultname, priority, region, seen, kind"
)
OLD_ROWS = [
    "(3, '补偿', '1', 10, '{\"cluster\": \"fish\", \"model\": \"query\"}', '7', '王', 'a.csv',"
    " '2019-05-06 07:08:09', '2019-05-06 07:08:10', 'b.csv', 5, 'north', '2019-01-01 00:00:00', 'a')",
    "(8, '', NULL, 99, '{broken', NULL, '', '', NULL, '2019-05-06 07:08:10', '', 0, '',"
    " '2019-01-01 00:00:00', 'b')",
]
UNFINISHED = (
    "(11, 'old', '0', 0, NULL, '7', '', '', NULL, '2019-05-06 07:08:10', '', 0, '',"
    " '2019-01-01 00:00:00', 'b')"
)


@pytest.fixture(params=["sqlite", "mariadb"])
def home(request, tmp_path):
    if request.param == "sqlite":
        return SqliteHome(tmp_path)
    return MariaHome(request.getfixturevalue("mariadb"))


def make_old(home, *rows):
    home.execute(OLD_MYSQL if home.kind == "mysql" else OLD_SQLITE)
    for row in rows:
        home.execute(f"INSERT INTO define_optgroup ({OLD_COLUMNS}) VALUES {row}")


def newest_revision():
    """Return it as the names of the revisions' files say."""
    files = Path(versions.__path__[0]).glob("v[0-9]*.py")
    return max(file.stem[1:5] for file in files)


def old_rows(home):
    hexed = ", ".join(f"HEX({column.strip()})" for column in OLD_COLUMNS.split(","))
    return home.execute(f"SELECT {hexed} FROM define_optgroup WHERE id IN (3, 8, 11) ORDER BY id")


def old_columns(home):
    if home.kind == "mysql":
        # without the mark of its being indexed, which is not the column's own
        rows = [row[:4] + row[5:] for row in home.execute("SHOW FULL COLUMNS FROM define_optgroup")]
    else:
        rows = [row[1:] for row in home.execute("PRAGMA table_info(define_optgroup)")]
    return [row for row in rows if row[0] in OLD_COLUMNS]


def test_an_empty_database_is_told_and_then_given_what_it_lacks(home):
    words = pending_migrations(home.settings())
    assert "create the table define_optgroup" in words
    assert "create the table eom_operation" in words
    assert pending_migrations(home.settings()) == words
    assert migrate(home.settings()) == words
    assert pending_migrations(home.settings()) == []
    assert migrate(home.settings()) == []
    assert home.column("SELECT version_num FROM eom_alembic_version") == [newest_revision()]


def test_a_ledger_that_is_up_to_date_is_known_without_alembic(tmp_path):
    assert newest_revision() == HEAD
    home = SqliteHome(tmp_path)
    migrate(home.settings())
    program = f"""
import sys
from pathlib import Path
import eomd.app
from ledger_homes import SqliteHome
from eomd.storage.migrate import migrate
assert migrate(SqliteHome(Path({str(tmp_path)!r})).settings()) == []
assert "alembic" not in sys.modules
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environ)


def test_a_ledger_of_an_earlier_version_gains_what_it_lacks(home):
    migrate(home.settings())
    home.execute(
        "DROP INDEX ix_eom_operation_change_hash_create_time" + " ON eom_operation" * (home.kind == "mysql")
    )
    home.execute("ALTER TABLE eom_operation DROP COLUMN change_hash")
    home.execute("UPDATE eom_alembic_version SET version_num = '0001'")
    words = pending_migrations(home.settings())
    assert "add to the table eom_operation the columns change_hash (nullable)" in words
    assert "create an index on eom_operation (change_hash, create_time)" in words
    assert migrate(home.settings()) == words
    assert pending_migrations(home.settings()) == []


def test_an_old_table_keeps_its_rows_and_columns_as_they_are(home):
    make_old(home, *OLD_ROWS)
    rows, columns = old_rows(home), old_columns(home)
    assert "add to the table define_optgroup the columns note, logname, status (nullable)" in (
        pending_migrations(home.settings())
    )
    migrate(home.settings())

    async def scenario(ledger):
        operation = await ledger.admit(new_operation())
        await ledger.record(change_of(operation, State.RUNNING))
        await ledger.record(change_of(operation, State.SUCCEEDED, 2, resultname="12-result.csv"))
        total, operations = await ledger.operations(OperationFilter())
        assert (total, [each.state for each in operations[1:]]) == (3, [State.FOREIGN, State.FOREIGN])

    home.run(scenario)
    assert old_rows(home) == rows
    assert old_columns(home) == columns


def test_an_operation_is_exact_however_narrow_the_old_table_is(home):
    make_old(home)

    async def scenario(ledger):
        new = new_operation(description="补偿😀" * 10, operatorname="一二三四五六七八九十")
        operation = await ledger.admit(new)
        done = change_of(
            operation, State.PARTIAL, resultname=f"{operation.id}-result.csv", counts=five_done()
        )
        await ledger.record(done)
        read = await ledger.operation(operation.id)
        assert (read.order, read.create_time) == (new.order, NOON)
        assert (read.state, read.counts) == (State.PARTIAL, five_done())
        assert await ledger.unfinished(new.installation) == []
        total, _ = await ledger.operations(OperationFilter(operatorid=7, state=State.PARTIAL, cluster="fish"))
        assert total == 1
        assert (await ledger.operations(OperationFilter(q="补")))[0] == 1
        assert (await ledger.operations(OperationFilter(q="😀😀")))[0] == 0

    home.run(scenario)
    (row,) = home.execute("SELECT status, executed, handleres, priority, region FROM define_optgroup")
    assert tuple(map(str, row)) == ("11", "1", "11", "0", "")


def test_no_id_of_an_old_row_is_given_out_again(home):
    make_old(home, *OLD_ROWS)

    async def scenario(ledger):
        assert (await ledger.admit(new_operation())).id > 8

    home.run(scenario)


def test_unfinished_rows_of_others_refuse_a_migration(home):
    make_old(home, *OLD_ROWS, UNFINISHED)
    with pytest.raises(MigrationRefusedError, match=r"1 unfinished.*ids 11.*--legacy-stopped"):
        migrate(home.settings())
    assert pending_migrations(home.settings())
    assert migrate(home.settings(), legacy_stopped=True)
    assert home.column("SELECT executed FROM define_optgroup WHERE id = 11") == ["0"]


def test_another_table_stands_side_by_side_with_the_old_one(home):
    make_old(home, UNFINISHED)
    before = old_rows(home)
    settings = home.settings(table="eom_optgroup")
    migrate(settings)

    async def main():
        async with home.ledger(table="eom_optgroup") as ledger:
            operation = await ledger.admit(new_operation())
            assert (await ledger.operations(OperationFilter())) == (1, [operation])

    asyncio.run(main())
    assert old_rows(home) == before
    assert home.column("SELECT COUNT(*) FROM eom_optgroup") == [1]


def test_rows_left_behind_do_not_refuse_what_comes_later(home):
    make_old(home, UNFINISHED)
    migrate(home.settings(), legacy_stopped=True)
    home.execute("DELETE FROM eom_alembic_version")
    migrate(home.settings())
    home.execute("DELETE FROM eom_alembic_version")
    home.execute(f"INSERT INTO define_optgroup ({OLD_COLUMNS}) VALUES {UNFINISHED.replace('11,', '12,')}")
    with pytest.raises(MigrationRefusedError, match="ids 12"):
        migrate(home.settings())


def test_a_database_up_to_date_is_not_refused(home):
    migrate(home.settings())
    home.execute("INSERT INTO define_optgroup (executed, status) VALUES (0, 0)")
    assert migrate(home.settings()) == []


def test_our_own_unfinished_operations_do_not_refuse(home):
    home.run(lambda ledger: ledger.admit(new_operation()))
    home.execute("DELETE FROM eom_alembic_version")
    assert migrate(home.settings()) == []
    assert home.column("SELECT version_num FROM eom_alembic_version") == [newest_revision()]


def test_a_migration_cut_off_in_its_middle_is_finished(home):
    migrate(home.settings())
    home.execute("DROP TABLE eom_audit")
    home.execute("DROP TABLE define_nosdata_evt")
    home.execute("DELETE FROM eom_alembic_version")
    assert set(migrate(home.settings())) >= {
        "create the table eom_audit",
        "create the table define_nosdata_evt",
    }


def test_a_ledger_without_second_looks_gains_their_columns_and_keeps_its_audit(home):
    migrate(home.settings())
    for column in ("repeats", "approval", "verifyname", "plan"):
        home.execute(f"ALTER TABLE eom_operation DROP COLUMN {column}")
    home.execute("DROP INDEX ix_eom_audit_subject" + " ON eom_audit" * (home.kind == "mysql"))
    home.execute("DROP TRIGGER eom_audit_no_update")
    home.execute("UPDATE eom_alembic_version SET version_num = '0003'")
    words = [
        "add to the table eom_operation the columns repeats, approval, verifyname (nullable)",
        "create an index on eom_audit (subject)",
        "let nobody change or remove rows of eom_audit",
        "add to the table eom_operation the columns plan (nullable)",
    ]
    assert pending_migrations(home.settings()) == words
    assert migrate(home.settings()) == words
    assert pending_migrations(home.settings()) == []


def test_a_ledger_without_indexes_for_the_history_gains_them(home):
    migrate(home.settings())
    for index, table in (
        ("ix_define_optgroup_create_time", "define_optgroup"),
        ("ix_define_optgroup_status", "define_optgroup"),
        ("ix_eom_operation_cluster", "eom_operation"),
    ):
        home.execute(f"DROP INDEX {index}" + f" ON {table}" * (home.kind == "mysql"))
    home.execute("UPDATE eom_alembic_version SET version_num = '0005'")
    words = [
        "create an index on define_optgroup (create_time)",
        "create an index on define_optgroup (status)",
        "create an index on eom_operation (cluster)",
    ]
    assert pending_migrations(home.settings()) == words
    assert migrate(home.settings()) == words
    assert pending_migrations(home.settings()) == []


def test_a_ledger_without_incidents_gains_their_table(home):
    migrate(home.settings())
    home.execute("DROP TABLE eom_incident")
    home.execute("UPDATE eom_alembic_version SET version_num = '0002'")
    words = ["create the table eom_incident", "create an index on eom_incident (installation, opened)"]
    assert pending_migrations(home.settings()) == words
    assert migrate(home.settings()) == words
    assert home.column("SELECT version_num FROM eom_alembic_version") == [newest_revision()]


def test_operations_of_one_table_are_not_taken_for_those_of_another(home):
    home.run(lambda ledger: ledger.admit(new_operation()))
    with pytest.raises(MigrationRefusedError, match=r"ledger\.table = define_optgroup"):
        migrate(home.settings(table="another"))


def test_a_table_without_operations_may_be_given_up_for_another(home):
    migrate(home.settings())
    assert "create the table another" in migrate(home.settings(table="another"))

    async def main():
        async with home.ledger(table="another") as ledger:
            await ledger.admit(new_operation())

    asyncio.run(main())


def test_a_database_of_a_newer_eomd_is_left_as_it_is(home):
    migrate(home.settings())
    home.execute("UPDATE eom_alembic_version SET version_num = '0999'")
    assert pending_migrations(home.settings()) == []
    assert migrate(home.settings()) == []
    assert home.column("SELECT version_num FROM eom_alembic_version") == ["0999"]


def test_definitions_of_the_old_services_are_adopted(home):
    home.execute(
        "CREATE TABLE define_nosdata_evt (cluster VARCHAR(20), eid INT, name VARCHAR(20), extra INT)"
    )
    home.execute(
        "INSERT INTO define_nosdata_evt VALUES ('fish', 1001, 'points', 9), ('fish', NULL, NULL, NULL)"
    )

    async def scenario(ledger):
        assert await ledger.definitions() == ([], [EidDefinition("fish", 1001, "points")])
        kept = EidDefinition("fish", 1001, "points", "", 0, 10)
        await ledger.put_definitions([ClusterTitle("fish", "捕鱼集群")], [kept])
        assert await ledger.definitions() == ([ClusterTitle("fish", "捕鱼集群")], [kept])

    home.run(scenario)
    assert home.column("SELECT extra FROM define_nosdata_evt WHERE eid = 1001") == [9]


def test_processes_that_migrate_at_once_do_not_break(home):
    code = (
        "import sys, json; from eomd.storage.migrate import migrate;"
        "from eomd.storage.engine import LedgerSettings;"
        "print(json.dumps(migrate(LedgerSettings(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, home.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(5)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 5, outputs
    done = [words for words in (json.loads(out) for out, _ in outputs) if words]
    assert len(done) == 1


def test_a_database_that_is_away_is_unavailable(home, tmp_path):
    away = {"sqlite": f"sqlite:///{tmp_path}/nowhere/x.db", "mysql": "mysql+pymysql://u@127.0.0.1:1/d"}
    with pytest.raises(LedgerUnavailableError):
        migrate(home.settings(url=away[home.kind]))
    with pytest.raises(LedgerUnavailableError):
        pending_migrations(home.settings(url=away[home.kind]))


def test_a_column_that_cannot_be_indexed_stays_without(mariadb, caplog):
    home = MariaHome(mariadb)
    home.execute("CREATE TABLE define_optgroup (id INT AUTO_INCREMENT PRIMARY KEY, operatorid TEXT)")
    with caplog.at_level(logging.WARNING):
        migrate(home.settings())
    assert "without an index" in caplog.text


def test_a_table_that_is_new_counts_its_ids_up_for_good(home):
    async def scenario(ledger):
        first = await ledger.admit(new_operation())
        home.execute("DELETE FROM define_optgroup")
        home.execute("DELETE FROM eom_operation")
        later = await ledger.admit(new_operation(create_time=NOON + timedelta(1)))
        assert later.id > first.id

    home.run(scenario)
