"""Engines for the two kinds of database, with every timeout set. Decides nothing about faults.

SQLite: WAL, synchronous=FULL, writers begin with BEGIN IMMEDIATE (a transaction that reads first and writes
later would fail at once instead of waiting for the lock). MySQL and MariaDB: PyMySQL's connect_timeout does
not cover the handshake, so read_timeout is never left out, or a frozen server would hang a thread for good.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from eomd.errors import ConfigurationError

MYSQL_CONNECTIONS = 4
#: an idle session ends on the server's side after this long, so that the locks of a client that has vanished
#: without a word (a cut network) do not stand in its own way for `wait_timeout`'s usual eight hours
IDLE_SESSION_S = 60
#: and is not used any more by us well before
RECYCLE_S = 45
#: for statements of a migration, which may rebuild a large table
MIGRATION_TIMEOUT_S = 3600.0
#: until another process has migrated
MIGRATION_WAIT_S = 60.0
#: execution option: the transaction will not write
READ_ONLY = "eomd_read_only"


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where the ledger is and how it is spoken to. Its repr shows neither address nor password."""

    #: `sqlite:////absolute/path` or `mysql+pymysql://user@host:3306/name`
    url: str = field(repr=False)
    #: None: the one in the URL, if any
    password: str | None = field(default=None, repr=False)
    #: what `define_optgroup` is called here
    table: str = "define_optgroup"
    #: IANA name; of `define_optgroup`'s two DATETIME columns
    time_zone: str = "UTC"
    #: for connecting, for each answer, and for SQLite's lock, in seconds
    timeout_s: float = 3.0


def zone_of(settings: LedgerSettings) -> tzinfo:
    """Raise ConfigurationError for a zone the machine does not know."""
    if settings.time_zone == "UTC":
        return UTC
    try:
        return ZoneInfo(settings.time_zone)
    except (LookupError, ValueError, OSError) as error:
        raise ConfigurationError(f"ledger.time_zone: no such time zone: {settings.time_zone}") from error


def connections_of(settings: LedgerSettings) -> int:
    """Say how many connections, and so threads, the ledger may use: SQLite has one writer anyway."""
    return MYSQL_CONNECTIONS if _url(settings).get_backend_name() == "mysql" else 1


def make_engine(settings: LedgerSettings, *, migrating: bool = False) -> Engine:
    """Make an engine; connects only when used. Raise ConfigurationError for a URL eomd cannot use."""
    url = _url(settings)
    options: dict[str, Any] = {
        "poolclass": QueuePool,
        "pool_size": connections_of(settings),
        "max_overflow": 0,
        "pool_recycle": RECYCLE_S,
        "hide_parameters": True,
    }
    if url.get_backend_name() == "mysql":
        return create_engine(url, connect_args=_mysql_arguments(settings.timeout_s, migrating), **options)
    engine = create_engine(
        url, connect_args={"timeout": MIGRATION_WAIT_S if migrating else settings.timeout_s}, **options
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _url(settings: LedgerSettings) -> URL:
    try:
        url = make_url(settings.url)
    except ArgumentError:
        # without `from`: SQLAlchemy's message repeats the URL, which may hold a password
        raise ConfigurationError("ledger.url: not a database URL") from None
    if url.drivername not in ("sqlite", "mysql+pymysql"):
        raise ConfigurationError("ledger.url: expected sqlite:///… or mysql+pymysql://…")
    if url.drivername == "mysql+pymysql" and not url.database:
        raise ConfigurationError("ledger.url: the name of the database is missing")
    return url if settings.password is None else url.set(password=settings.password)


def _mysql_arguments(timeout_s: float, migrating: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": timeout_s,
        "read_timeout": MIGRATION_TIMEOUT_S if migrating else timeout_s,
        "write_timeout": timeout_s,
    }
    if not migrating:
        arguments["init_command"] = _session(timeout_s)
    return arguments


def _session(timeout_s: float) -> str:
    """Let the server give up before our read_timeout does: a slow statement is not a dead server.

    The comments are code for MariaDB (M!) and for MySQL alone, which name the same limit differently.
    """
    limit_s = timeout_s * 0.8
    return (
        f"SET SESSION wait_timeout = {IDLE_SESSION_S}, innodb_lock_wait_timeout = {max(1, int(limit_s))}"
        f" /*M!100101 , max_statement_time = {limit_s:.1f} */"
        f" /*!50708 , max_execution_time = {int(limit_s * 1000)} */"
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # no transactions opened by the driver itself: _begin_sqlite opens them
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.execute("PRAGMA synchronous=FULL").close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
