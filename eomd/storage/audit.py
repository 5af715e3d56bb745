"""`eom_audit`: who did what, to what, when, from where. Entries are only ever added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from eomd.storage.schema import Schema, format_time, storable


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


def add(connection: Connection, schema: Schema, entry: AuditEntry) -> None:
    """Write an entry unless it is there."""
    table = schema.audit
    if connection.execute(select(table.c.entry).where(table.c.entry == entry.entry)).first() is None:
        connection.execute(insert(table).values(_format(entry)))


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
