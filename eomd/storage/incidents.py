"""`eom_incident`: what the watchdog saw and did. Each call runs in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, or_, select

from eomd.model import Incident, RemedyRecord, Severity
from eomd.storage.schema import EPOCH, Schema, format_time, parse_time, storable

#: incidents that are removed in one transaction
TOGETHER = 500
#: kinds whose summaries may name any cluster: a configuration's problem, a folder of the inbox
NAME_ANYTHING = ("configuration", "inbox_unreadable")


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents, and which page of them."""

    #: None: both
    open: bool | None = None
    kind: str | None = None
    #: who asks may hear of these alone; None: of all
    clusters: frozenset[str] | None = None
    page: int = 1
    page_size: int = 20

    def lets(self, incident: Incident) -> bool:
        """Tell whether an incident is one of those wanted."""
        is_open = incident.closed is None
        wanted = self.open in (None, is_open) and self.kind in (None, incident.kind)
        return wanted and (self.clusters is None or _may_hear(incident, self.clusters))


def put(connection: Connection, schema: Schema, installation: str, incidents: Sequence[Incident]) -> None:
    """Write incidents over what stands there of them; one that has ended stays as it is."""
    table = schema.incident
    for incident in incidents:
        known = connection.execute(select(table.c.closed).where(table.c.id == incident.id)).first()
        if known is not None and known.closed is not None:
            continue
        connection.execute(delete(table).where(table.c.id == incident.id))
        connection.execute(insert(table).values(installation=installation, **_format(incident)))


def page(
    connection: Connection, schema: Schema, installation: str, wanted: IncidentFilter
) -> tuple[int, list[Incident]]:
    """Return how many incidents of an installation there are and one page of them, newest first."""
    table = schema.incident
    total = connection.execute(_select(schema, installation, wanted, func.count())).scalar_one()
    query = _select(schema, installation, wanted, table).order_by(table.c.opened.desc(), table.c.id.desc())
    query = query.limit(wanted.page_size).offset((wanted.page - 1) * wanted.page_size)
    return total, [_parse(row) for row in connection.execute(query).mappings()]


def remove(connection: Connection, schema: Schema, installation: str, before: datetime) -> int:
    """Remove at most TOGETHER incidents of an installation that ended before then; return how many."""
    table, limit = schema.incident, format_time(before)
    ended = (
        select(table.c.id)
        # one that ended before then was opened before then, which the index knows
        .where(table.c.installation == installation, table.c.opened < limit, table.c.closed < limit)
        .order_by(table.c.opened)
        .limit(TOGETHER)
    )
    ids = connection.execute(ended).scalars().all()
    connection.execute(delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def _may_hear(incident: Incident, clusters: frozenset[str]) -> bool:
    """Tell whether no other cluster is named: a node's subject begins with its cluster's name."""
    if " " in incident.subject:
        return incident.subject.partition(" ")[0] in clusters
    return incident.kind not in NAME_ANYTHING


def _heard(columns: Any, clusters: frozenset[str]) -> ColumnElement[bool]:
    """As `_may_hear`, for the ledger."""
    granted = [columns.subject.startswith(f"{name} ", autoescape=True) for name in sorted(clusters)]
    return or_(and_(columns.subject.not_like("% %"), columns.kind.not_in(NAME_ANYTHING)), *granted)


def _select(schema: Schema, installation: str, wanted: IncidentFilter, what: Any) -> Select[Any]:
    columns = schema.incident.c
    query = select(what).select_from(schema.incident).where(columns.installation == installation)
    if wanted.open is not None:
        query = query.where(columns.closed.is_(None) if wanted.open else columns.closed.is_not(None))
    if wanted.clusters is not None:
        query = query.where(_heard(columns, wanted.clusters))
    return query if wanted.kind is None else query.where(columns.kind == wanted.kind)


def _format(incident: Incident) -> dict[str, str | None]:
    return {
        "id": incident.id,
        "kind": incident.kind,
        "subject": storable(incident.subject)[:255],
        "severity": incident.severity.value,
        "opened": format_time(incident.opened),
        "closed": format_time(incident.closed) if incident.closed else None,
        "summary": storable(incident.summary),
        "remedies": json.dumps(incident.format()["remedies"]),
    }


def _parse(row: Mapping[Any, Any]) -> Incident:
    return Incident(
        id=row["id"],
        kind=row["kind"],
        subject=row["subject"],
        severity=Severity(row["severity"]),
        opened=parse_time(row["opened"]) or EPOCH,
        summary=row["summary"],
        closed=parse_time(row["closed"]),
        remedies=tuple(
            RemedyRecord(each["what"], datetime.fromisoformat(each["when"]), each["outcome"])
            for each in json.loads(row["remedies"])
        ),
    )
