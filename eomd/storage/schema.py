"""The ledger's tables as SQLAlchemy Core names them when reading and writing, and how times stand in them.

Columns are deliberately untyped towards the driver (text and integers only): an adopted `define_optgroup` may
hold other types than ours, and a value of another type must be read, not refused. What the tables look like
when eomd creates them stands in `migrations/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table
from sqlalchemy.types import TypeEngine

VERSION_TABLE = "eom_alembic_version"
#: the newest of `migrations/versions/`
HEAD = "0007"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Schema:
    """Every table of the ledger, and the zone of the DATETIME columns that others read."""

    optgroup: Table
    operation: Table
    meta: Table
    tokens: Table
    users: Table
    sessions: Table
    audit: Table
    clusters: Table
    eids: Table
    incident: Table
    #: of `define_optgroup`'s two times; the `eom_` tables are in UTC
    zone: tzinfo


def make_schema(table: str, zone: tzinfo) -> Schema:
    """Name the tables; `table` is what this installation calls `define_optgroup`."""
    metadata = MetaData()
    return Schema(
        optgroup=_optgroup(table, metadata),
        operation=_operation(metadata),
        meta=Table("eom_meta", metadata, Column("name", String, primary_key=True), Column("value", String)),
        tokens=_person_of(
            _texts("eom_tokens", metadata, "id", "name", "hash", "role", "created", "expires", "revoked")
        ),
        users=_person_of(
            _texts("eom_users", metadata, "name", "password", "role", "created", "disabled", "locked_until")
        ),
        sessions=_texts("eom_sessions", metadata, "id", "user", "created", "expires", "address"),
        audit=_audit(metadata),
        clusters=_texts("define_nosdata_cluster", metadata, "name", "title"),
        eids=_eids(metadata),
        incident=_texts(
            "eom_incident",
            metadata,
            *("id", "installation", "kind", "subject", "severity", "opened", "closed", "summary", "remedies"),
        ),
        zone=zone,
    )


def _optgroup(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        *_columns(Integer, "executed", "handleres", "status"),
        Column("operatorid", BigInteger),
        *_columns(String, "description", "conf", "operatorname", "sourcename", "note"),
        *_columns(String, "create_time", "last_modify_time", "logname", "resultname"),
    )


def _operation(metadata: MetaData) -> Table:
    return Table(
        "eom_operation",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        *_columns(BigInteger, "number", "operatorid", "total", "done", "ok", "failed", "uncertain"),
        *_columns(Integer, "parent", "plan"),
        *_columns(String, "uuid", "installation", "cluster", "model", "order_json", "original_name"),
        *_columns(String, "paused_by", "message", "kind", "idempotency_key", "content_hash", "change_hash"),
        *_columns(String, "repeats", "approval", "verifyname"),
        *_columns(String, "create_time", "last_modify_time", "removed_time"),
    )


def _person_of(table: Table) -> Table:
    """Add who is behind it, and what they may reach."""
    table.append_column(Column("operatorid", BigInteger))
    for column in _columns(String, "operatorname", "clusters", "eids"):
        table.append_column(column)
    return table


def _audit(metadata: MetaData) -> Table:
    table = _texts("eom_audit", metadata, "entry", "time", "who", "action", "subject", "detail", "address")
    table.append_column(Column("id", BigInteger))
    return table


def _eids(metadata: MetaData) -> Table:
    return Table(
        "define_nosdata_evt",
        metadata,
        Column("cluster", String),
        Column("eid", BigInteger),
        *_columns(String, "name", "unit"),
        *_columns(BigInteger, "minimum", "maximum"),
        Column("editable", Integer),
    )


def _texts(name: str, metadata: MetaData, *columns: str) -> Table:
    return Table(name, metadata, *_columns(String, *columns))


def _columns(kind: type[TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    return [Column(name, kind) for name in names]


def format_time(moment: datetime, zone: tzinfo = UTC) -> str:
    """Render an aware time as the naive text both databases take for a DATETIME(6) in `zone`."""
    return moment.astimezone(zone).strftime(TIME_FORMAT)


def parse_time(value: object, zone: tzinfo = UTC) -> datetime | None:
    """Return the aware UTC time of a column in `zone`; None for NULL and for what is no time at all.

    Takes what adopted columns hold: DATETIME, TIMESTAMP, DATE, text, seconds since 1970.
    """
    try:
        return _parsed(value, zone)
    except (ValueError, OverflowError, OSError):
        return None


def _parsed(value: object, zone: tzinfo) -> datetime | None:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    elif isinstance(value, int | float) and value > 0:
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def storable(text: str) -> str:
    """Replace lone surrogates (of a file name that is not UTF-8): no database takes them."""
    return text.encode("utf-8", "replace").decode()
