"""Looking at the ledger with a real statement, on a connection of its own each time.

The statement is the server's own: it changes nothing, and fails where nothing could be changed. A fresh
connection shows what a kept one hides: no connections left, refused credentials, a server that stands still.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from eomd.watchdog.charge import LedgerCharge
from eomd.watchdog.incidents import Kind
from eomd.watchdog.light_pymysql import connect, load
from eomd.watchdog.off_loop import OffLoop
from eomd.watchdog.sight import DOWN, UNKNOWN, UP, Finding, Sight

READ_ONLY = "read_only"
#: for connecting, and for each answer
ANSWER_S_MAX = 2.0
REASON_CHARACTERS_MAX = 300

_STATEMENT = "UPDATE eom_meta SET value = value WHERE name = ''"
#: read-only server, transaction, mode
_MYSQL_READ_ONLY = frozenset({1290, 1792, 1836})
#: answered: tables are not there yet, somebody holds a lock, the statement took too long
_MYSQL_ANSWERED = frozenset({1020, 1054, 1146, 1205, 1213, 1317, 1969, 3024})
_MYSQL_OPTIONS = frozenset({"unix_socket", "ssl_ca", "ssl_cert", "ssl_key"})
_SQLITE_ANSWERED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})

Look = Callable[[], Finding]


class LedgerProbe:
    """The ledger of a configuration."""

    subject = "ledger"
    deadline_s = 2 * ANSWER_S_MAX
    kinds: Mapping[str, Kind] = {DOWN: Kind.LEDGER_DOWN, READ_ONLY: Kind.LEDGER_READ_ONLY}

    def __init__(self, ledger: LedgerCharge) -> None:
        self._look = _mysql_look(ledger) if ledger.url.startswith("mysql") else _sqlite_look(ledger)
        self._off_loop: OffLoop[Finding] = OffLoop("ledger-probe")

    async def look(self) -> Finding:
        return await self._off_loop.run(lambda: _timed(self._look))

    def tell(self, sight: Sight) -> str:
        if sight.state == UP:
            return "the ledger answers"
        return f"the ledger is {sight.state.replace('_', '-')}: {sight.reason}"

    def close(self) -> None:
        """Nothing is kept between looks."""


def _timed(look: Look) -> Finding:
    started_s = time.monotonic()
    finding = look()
    if finding.state != UP:
        return finding
    return Finding(UP, latency_ms=(time.monotonic() - started_s) * 1000)


def _mysql_look(ledger: LedgerCharge) -> Look:
    arguments = mysql_arguments(ledger.url)

    def look() -> Finding:
        driver = load()
        try:
            password = _password(ledger)
            with (
                closing(connect(**arguments, password=password)) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(_STATEMENT)
        except OSError as error:
            # of the password's file; PyMySQL's own are not OSErrors
            return Finding(DOWN, f"{error.strerror or error}: {ledger.password_file}")
        except driver.err.MySQLError as error:
            return _judge_mysql(error)
        return Finding(UP)

    return look


def mysql_arguments(url: str) -> dict[str, Any]:
    """Return what PyMySQL is told to reach a ledger, but for the password."""
    parts = urlsplit(url)
    options = {name: value for name, value in parse_qsl(parts.query) if name in _MYSQL_OPTIONS}
    return {
        "host": parts.hostname or "localhost",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "database": unquote(parts.path[1:]),
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": ANSWER_S_MAX,
        # without it a server that stands still in the handshake would hold the thread for good
        "read_timeout": ANSWER_S_MAX,
        "write_timeout": ANSWER_S_MAX,
        **options,
    }


def _judge_mysql(error: Exception) -> Finding:
    code = error.args[0] if error.args else None
    if code in _MYSQL_ANSWERED:
        return Finding(UP)
    reason = ": ".join(str(part) for part in error.args if part not in (0, "", None)) or type(error).__name__
    reason = " ".join(reason.split())[:REASON_CHARACTERS_MAX]
    return Finding(READ_ONLY if code in _MYSQL_READ_ONLY else DOWN, reason)


def _password(ledger: LedgerCharge) -> str:
    """Read it anew each time: it may be changed while we run."""
    if ledger.password_file is None:
        return ledger.password
    return ledger.password_file.read_text(encoding="utf-8").rstrip("\r\n")


def _sqlite_look(ledger: LedgerCharge) -> Look:
    path = Path(unquote(urlsplit(ledger.url).path.removeprefix("/")))

    def look() -> Finding:
        if not path.exists() and os.access(path.parent, os.W_OK):
            # the server makes it
            return Finding(UNKNOWN)
        try:
            with closing(_open(path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_STATEMENT)
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            return _judge_sqlite(error)
        return Finding(UP)

    return look


def _open(path: Path) -> sqlite3.Connection:
    # does not wait for a lock: who holds one shows that the ledger works
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=0, isolation_level=None)


def _judge_sqlite(error: sqlite3.Error) -> Finding:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE_ANSWERED or str(error).startswith("no such table"):
        return Finding(UP)
    state = READ_ONLY if code == sqlite3.SQLITE_READONLY else DOWN
    return Finding(state, str(error)[:REASON_CHARACTERS_MAX])
