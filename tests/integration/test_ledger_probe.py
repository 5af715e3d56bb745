"""The watchdog's look at the ledger: a real MariaDB and real files, well and with every fault."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_homes import MariaHome, SqliteHome

from eomd.watchdog import ledger_probe
from eomd.watchdog.charge import LedgerCharge
from eomd.watchdog.ledger_probe import READ_ONLY, LedgerProbe, mysql_arguments
from eomd.watchdog.sight import DOWN, UNKNOWN, UP, Finding
from tests.mariadb import MariaDb
from tests.small_disk import SmallDisk


@pytest.fixture
def maria(mariadb: MariaDb) -> Iterator[Any]:
    yield MariaHome(mariadb)
    mariadb.thaw()
    mariadb.execute("SET GLOBAL read_only = 0, max_connections = 151")


def look(probe: LedgerProbe) -> Finding:
    return asyncio.run(probe.look())


def probe_of(url: str, password: str = "", password_file: Path | None = None) -> LedgerProbe:
    return LedgerProbe(LedgerCharge(url, password_file, password))


async def migrated(ledger: Any) -> None:
    """A migrated ledger is all that is wanted."""


# --- MySQL


def test_a_database_that_takes_writes_is_up(maria: Any) -> None:
    assert look(probe_of(maria.url)).state == UP
    maria.run(migrated)
    finding = look(probe_of(maria.url))
    assert finding.state == UP
    assert finding.latency_ms is not None and finding.latency_ms > 0


def test_a_killed_database_is_down_until_it_is_back(maria: Any) -> None:
    probe = probe_of(maria.url)
    maria.server.kill()
    finding = look(probe)
    assert finding.state == DOWN
    assert "2003" in finding.reason
    maria.server.start()
    assert look(probe).state == UP


def test_a_database_that_stands_still_in_the_handshake_is_down(
    maria: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_probe, "ANSWER_S_MAX", 0.2)
    maria.server.freeze()
    finding = look(probe_of(maria.url))
    assert finding.state == DOWN
    assert "timed out" in finding.reason
    maria.server.thaw()
    assert look(probe_of(maria.url)).state == UP


def test_a_database_that_takes_no_writes_is_read_only(maria: Any) -> None:
    maria.run(migrated)
    url = maria.server.url(maria.database, user=maria.user())
    assert look(probe_of(url)).state == UP
    maria.server.execute("SET GLOBAL read_only = 1")
    finding = look(probe_of(url))
    assert (finding.state, finding.reason.split(":")[0]) == (READ_ONLY, "1290")
    maria.server.execute("SET GLOBAL read_only = 0")
    assert look(probe_of(url)).state == UP


def test_a_database_without_connections_left_is_down(maria: Any) -> None:
    maria.run(migrated)
    maria.server.execute("SET GLOBAL max_connections = 10")
    url = maria.server.url(maria.database, user=maria.user())
    with contextlib.ExitStack() as held:
        with contextlib.suppress(Exception):
            while True:
                held.enter_context(maria.server.connect())
        finding = look(probe_of(url))
        assert (finding.state, finding.reason.split(":")[0]) == (DOWN, "1040")
    maria.server.execute("SET GLOBAL max_connections = 151")
    assert look(probe_of(url)).state == UP


def test_missing_rights_are_down(maria: Any) -> None:
    maria.run(migrated)
    url = maria.server.url(maria.database, user=maria.user(rights="SELECT ON {}.*"))
    assert look(probe_of(url)).reason.startswith("1142")


def test_a_lock_that_somebody_holds_is_no_trouble_of_the_database(maria: Any) -> None:
    maria.run(migrated)
    user = maria.user()
    maria.server.execute("SET GLOBAL lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
    try:
        with maria.server.connect(maria.database) as somebody, somebody.cursor() as cursor:
            cursor.execute("LOCK TABLES eom_meta WRITE")
            assert look(probe_of(maria.server.url(maria.database, user=user))).state == UP
    finally:
        maria.server.execute("SET GLOBAL lock_wait_timeout = 86400, innodb_lock_wait_timeout = 50")


def test_a_changed_password_file_is_read_again(maria: Any, tmp_path: Path) -> None:
    maria.run(migrated)
    url = maria.server.url(maria.database, user=maria.user(password="right"))
    file = tmp_path / "password"
    probe = probe_of(url, password_file=file)
    assert "password" in look(probe).reason
    file.write_text("wrong\n")
    assert look(probe).reason.startswith("1045")
    file.write_text("right\n")
    assert look(probe).state == UP
    assert look(probe_of(url, password="right")).state == UP


def test_a_look_that_hangs_is_not_doubled_by_the_next(maria: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_probe, "ANSWER_S_MAX", 3600.0)
    probe = probe_of(maria.url)

    async def scenario() -> None:
        maria.server.freeze()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await probe.look()
        maria.server.thaw()
        assert (await probe.look()).state == UP
        sessions = maria.server.execute("SHOW GLOBAL STATUS LIKE 'Max_used_connections'")
        assert int(sessions[0][1]) < 5

    maria.server.execute("FLUSH STATUS")
    asyncio.run(scenario())


_LIGHT = """
import sys
from eomd.watchdog.light_pymysql import allow_rsa, load
auth = load()._auth
assert "cryptography" not in sys.modules
try:
    auth.sha2_rsa_encrypt(b"secret", bytes(20), b"")
except RuntimeError:
    allow_rsa()
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
key = rsa.generate_private_key(65537, 2048).public_key().public_bytes(*form)
assert load()._auth.sha2_rsa_encrypt(b"secret", bytes(range(20)), key)
"""


def test_what_rsa_needs_is_loaded_once_it_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", _LIGHT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql+pymysql://eo%40md@db.example:3307/CVS", ("db.example", 3307, "eo@md", "CVS")),
        ("mysql+pymysql://eomd@[::1]/CVS", ("::1", 3306, "eomd", "CVS")),
        ("mysql+pymysql://localhost/a%20b", ("localhost", 3306, "", "a b")),
    ],
)
def test_an_address_is_taken_apart(url: str, expected: tuple[object, ...]) -> None:
    arguments = mysql_arguments(url)
    assert tuple(arguments[name] for name in ("host", "port", "user", "database")) == expected
    assert arguments["read_timeout"] == arguments["connect_timeout"] == ledger_probe.ANSWER_S_MAX


def test_options_of_the_driver_are_passed_on() -> None:
    arguments = mysql_arguments(
        "mysql+pymysql://eomd@h/CVS?unix_socket=/run/s.sock&ssl_ca=/ca&charset=latin1"
    )
    assert (arguments["unix_socket"], arguments["ssl_ca"]) == ("/run/s.sock", "/ca")
    assert arguments["charset"] == "utf8mb4"


# --- SQLite


def test_an_sqlite_file_is_up_before_and_after_it_is_migrated(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)
    assert look(probe_of(home.url)) == Finding(UNKNOWN)
    assert not home.path.exists()
    sqlite3.connect(home.path).close()
    assert look(probe_of(home.url)).state == UP
    home.run(migrated)
    assert look(probe_of(home.url)).state == UP


def test_an_sqlite_file_that_is_being_written_is_up(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)
    home.run(migrated)
    with contextlib.closing(sqlite3.connect(home.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert look(probe_of(home.url)).state == UP
        writer.execute("ROLLBACK")


def test_a_look_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)
    home.run(migrated)
    before = home.path.read_bytes()
    look(probe_of(home.url))
    assert home.path.read_bytes() == before


def test_a_damaged_sqlite_file_is_down(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)
    home.path.write_bytes(b"no database at all" * 100)
    finding = look(probe_of(home.url))
    assert (finding.state, finding.reason) == (DOWN, "file is not a database")


def test_an_sqlite_file_whose_folder_is_gone_is_down(tmp_path: Path) -> None:
    finding = look(probe_of(f"sqlite:///{tmp_path}/gone/eomd.db"))
    assert (finding.state, finding.reason) == (DOWN, "unable to open database file")


#: SQLite follows /proc/PID/root back to this side, so it has to be on the other
_LOOK = """
import asyncio, sys
from eomd.watchdog.charge import LedgerCharge
from eomd.watchdog.ledger_probe import LedgerProbe
print(asyncio.run(LedgerProbe(LedgerCharge("sqlite:///" + sys.argv[1], None, "")).look()).state)
"""
_MAKE = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE eom_meta (name, value)')"


def test_an_sqlite_file_on_a_read_only_disk_is_read_only(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk")
    path = str(disk.folder / "eomd.db")
    try:
        disk.run(sys.executable, "-c", _MAKE, path)
        assert disk.run(sys.executable, "-c", _LOOK, path) == "up"
        disk.run("mount", "-o", "remount,ro", str(disk.folder))
        assert disk.run(sys.executable, "-c", _LOOK, path) == "read_only"
    finally:
        disk.close()
