"""`eom_audit`: who did what, to what, when, from where. Entries are only ever added."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, insert, select

from eomd.storage.schema import EPOCH, Schema, format_time, parse_time, storable


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed."""

    time: datetime
    who: str
    action: str
    subject: str
    #: JSON; never a credential
    detail: Mapping[str, Any]
    address: str
    #: unique, so that an entry whose commit was in doubt is not written twice
    entry: str = field(default_factory=lambda: uuid4().hex)
    #: the ledger's, rising; 0 before it is written
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries."""

    #: about this operation
    operation: int | None = None
    #: a part of who did it
    who: str | None = None
    action: str | None = None
    #: from ≤ time < to
    from_: datetime | None = None
    to: datetime | None = None
    #: older than the entry of this id
    before: int | None = None
    limit: int = 50


def add(connection: Connection, schema: Schema, entries: Sequence[AuditEntry]) -> None:
    """Write those entries that are not there."""
    table = schema.audit
    wanted = [entry.entry for entry in entries]
    there = set(connection.execute(select(table.c.entry).where(table.c.entry.in_(wanted))).scalars())
    if missing := [_format(entry) for entry in entries if entry.entry not in there]:
        connection.execute(insert(table), missing)


def of_subject(connection: Connection, schema: Schema, subject: str) -> list[AuditEntry]:
    """Return what was done to a subject, oldest first."""
    table = schema.audit
    query = select(table).where(table.c.subject == subject).order_by(table.c.time)
    return [_parse(row) for row in connection.execute(query).mappings()]


def newest(connection: Connection, schema: Schema, wanted: AuditFilter) -> list[AuditEntry]:
    """Return entries, newest first."""
    table = schema.audit
    query = select(table).where(*_conditions(table.c, wanted)).order_by(table.c.id.desc())
    return [_parse(row) for row in connection.execute(query.limit(wanted.limit)).mappings()]


def _conditions(columns: Any, wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.operation is not None:
        yield columns.subject == f"operation {wanted.operation}"
    if wanted.who is not None:
        yield columns.who.contains(wanted.who, autoescape=True)
    if wanted.action is not None:
        yield columns.action == wanted.action
    if wanted.from_ is not None:
        yield columns.time >= format_time(wanted.from_)
    if wanted.to is not None:
        yield columns.time < format_time(wanted.to)
    if wanted.before is not None:
        yield columns.id < wanted.before


def _parse(row: Mapping[Any, Any]) -> AuditEntry:
    return AuditEntry(
        time=parse_time(row["time"]) or EPOCH,
        who=row["who"],
        action=row["action"],
        subject=row["subject"],
        detail=json.loads(row["detail"]),
        address=row["address"],
        entry=row["entry"],
        id=row["id"],
    )


def _format(entry: AuditEntry) -> dict[str, str]:
    return {
        "entry": entry.entry,
        "time": format_time(entry.time),
        "who": storable(entry.who)[:255],
        "action": entry.action,
        "subject": storable(entry.subject)[:255],
        "detail": json.dumps(entry.detail),
        "address": entry.address,
    }
