"""What the database's errors mean to us: the one edge where SQLAlchemy's and the drivers' errors become ours.

Describes errors by the driver's own code and text, never by statement or parameters, so no secret gets out.
"""

from __future__ import annotations

import sqlite3
from enum import Enum

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from eomd.errors import DiskFullError, EomdError, LedgerUnavailableError


class Fault(Enum):
    """Whom an error is about, and so what may help."""

    #: the link or the whole server: a fresh connection may help; calls fail fast until a ping succeeds
    LINK = "link"
    #: somebody else's lock, or a server short of something: the same transaction may succeed
    BUSY = "busy"
    #: no space for the embedded database
    FULL = "full"
    #: tables or columns are missing
    UNMIGRATED = "unmigrated"
    #: a unique value is taken
    TAKEN = "taken"
    #: our own mistake; the same statement fails again
    OURS = "ours"


_MYSQL_LINK = frozenset(
    # no connection, or lost
    {1042, 1053, 1077, 1079, 1080, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1180, 1184}
    | {1189, 1190, 1927, *range(2000, 2100), 4031}
    # refused: too many connections, memory, host, credentials, rights, unknown database, password expired
    | {1037, 1038, 1040, 1041, 1044, 1045, 1049, 1129, 1130, 1135, 1142, 1143, 1203, 1226, 1227, 1251}
    | {1698, 1820, 1862, 3118, 3159, 3955, 4151}
    # does not take writes: read-only server, transaction or mode, a Galera node outside its cluster
    | {1047, 1290, 1792, 1836}
)
#: lock wait, deadlock, changed since read, statement killed or over its time, the server's own disk full
_MYSQL_BUSY = frozenset({3, 28, 1020, 1021, 1026, 1030, 1114, 1205, 1213, 1317, 1969, 3024})
_MYSQL_UNMIGRATED = frozenset({1054, 1146})
_DUPLICATE = frozenset({1062, 1586, "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"})

_SQLITE = {
    sqlite3.SQLITE_BUSY: Fault.LINK,
    sqlite3.SQLITE_LOCKED: Fault.LINK,
    sqlite3.SQLITE_IOERR: Fault.LINK,
    sqlite3.SQLITE_CANTOPEN: Fault.LINK,
    sqlite3.SQLITE_READONLY: Fault.LINK,
    sqlite3.SQLITE_PROTOCOL: Fault.LINK,
    sqlite3.SQLITE_NOMEM: Fault.LINK,
    sqlite3.SQLITE_PERM: Fault.LINK,
    sqlite3.SQLITE_CORRUPT: Fault.LINK,
    sqlite3.SQLITE_NOTADB: Fault.LINK,
    sqlite3.SQLITE_FULL: Fault.FULL,
}


class TakenError(EomdError):
    """A unique value is taken. The ledger explains it to its callers in their own words."""


def fault_of(error: SQLAlchemyError) -> Fault:
    """Decide what an error is about."""
    if isinstance(error, PoolTimeoutError):
        return Fault.BUSY
    if not isinstance(error, DBAPIError):
        return Fault.OURS
    if isinstance(error, IntegrityError):
        return Fault.TAKEN if _is_duplicate(error) else Fault.OURS
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_fault(error.orig)
    return _mysql_fault(error)


def describe(error: SQLAlchemyError) -> str:
    """Say what the driver said, in one line of at most 300 characters."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return str(error).splitlines()[0][:300]
    parts = [str(part) for part in error.orig.args if part not in (0, "", None)]
    text = ": ".join(parts) or type(error.orig).__name__
    return " ".join(text.split())[:300]


def ours(error: SQLAlchemyError, *, repeated: bool) -> EomdError:
    """Make one of our errors of it; the caller raises it `from` the given one."""
    fault, text = fault_of(error), describe(error)
    if fault is Fault.FULL:
        return DiskFullError(f"no space left for the ledger: {text}")
    if fault is Fault.UNMIGRATED:
        return LedgerUnavailableError(f"the ledger's tables are not there yet, run `eomd migrate`: {text}")
    if fault is Fault.TAKEN:
        return TakenError(f"the ledger has it already: {text}")
    if fault in (Fault.LINK, Fault.BUSY):
        trouble = "away" if fault is Fault.LINK else "busy"
        return LedgerUnavailableError(f"the ledger is {trouble}{', tried twice' if repeated else ''}: {text}")
    return EomdError(f"the ledger refused a statement of ours: {text}")


def _is_duplicate(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlite_errorname", _code(error)) in _DUPLICATE


def _sqlite_fault(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF) in _SQLITE:
        return _SQLITE[code & 0xFF]
    text = str(error)
    if text.startswith(("no such table", "no such column")) or "has no column named" in text:
        return Fault.UNMIGRATED
    return Fault.OURS


def _mysql_fault(error: DBAPIError) -> Fault:
    code = _code(error)
    if code in _MYSQL_BUSY:
        return Fault.BUSY
    if code in _MYSQL_UNMIGRATED:
        return Fault.UNMIGRATED
    # PyMySQL has no code of its own for a stream that is out of step or a socket already closed
    broken = isinstance(error, InterfaceError) or "sequence number" in str(error.orig)
    return Fault.LINK if code in _MYSQL_LINK or error.connection_invalidated or broken else Fault.OURS


def _code(error: DBAPIError) -> object:
    arguments = error.orig.args if error.orig is not None else ()
    return arguments[0] if arguments else None
