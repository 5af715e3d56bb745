"""How things look that pages show beside operations: activity, and what is told when. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np

# typing.TypedDict of Python 3.11 is refused by pydantic
from typing_extensions import TypedDict

from eomd.handlers.views import CountsView, counts_view, format_time
from eomd.model import Grants
from eomd.operations.activity import STEP_S, Activity, Span, Tally
from eomd.operations.approval import ApprovalRules
from eomd.operations.clusters import ClusterView
from eomd.operations.timeline import Event
from eomd.storage.ledger import AuditEntry


class SeriesView(TypedDict):
    """A number per point; null where it is not known."""

    #: null before the server's start
    rows_per_s: list[float | None]
    #: mean of the requests answered then; null where there were none
    latency_ms: list[float | None]


class NodeSeries(SeriesView):
    address: str


class ClusterSeries(SeriesView):
    name: str
    nodes: list[NodeSeries]


class ActivityView(SeriesView):
    #: between two points
    step_s: int
    #: the beginning of the first point; the last one ends `points` steps later
    start: str
    points: int
    clusters: list[ClusterSeries]


def activity_view(
    activity: Activity, clusters: list[ClusterView], points: int, now: datetime
) -> ActivityView:
    """Return what these clusters did in the newest whole steps, one by one and all together."""
    span = activity.span(points)
    names = [cluster.name for cluster in clusters]
    start = now - timedelta(seconds=span.ago_s + points * STEP_S)
    return {
        "step_s": STEP_S,
        "start": format_time(start.astimezone(UTC)),
        "points": points,
        **_series(activity.of_clusters(names, span), span),
        "clusters": [_cluster(activity, cluster, span) for cluster in clusters],
    }


def _cluster(activity: Activity, cluster: ClusterView, span: Span) -> ClusterSeries:
    name, addresses = cluster.name, [node.address for node in cluster.nodes]
    nodes: list[NodeSeries] = [
        {"address": address, **_series(activity.of_node(name, address, span), span)} for address in addresses
    ]
    return {"name": name, **_series(activity.of_cluster(name, span), span), "nodes": nodes}


def _series(tally: Tally, span: Span) -> SeriesView:
    rows: list[float | None] = np.round(tally.rows / STEP_S, 1).tolist()
    rows[: span.unknown] = [None] * span.unknown
    answered = tally.requests > 0
    mean_ms = np.round(1000 * tally.seconds / np.maximum(tally.requests, 1), 3)
    latency = [ms if any_ else None for ms, any_ in zip(mean_ms.tolist(), answered.tolist(), strict=True)]
    return {"rows_per_s": rows, "latency_ms": latency}


class ApprovalRulesView(TypedDict):
    """Limits over which a modify waits for a second person; 0 and nothing: no such limit."""

    #: whether there is any
    on: bool
    rows: int
    total_amount: int
    largest_amount: int
    #: of these the caller's alone
    clusters: list[str]
    eids: list[int]
    #: `20:00-08:00`, in `time_zone`
    hours: list[str]
    time_zone: str
    expires_hours: int


def approval_view(rules: ApprovalRules, grants: Grants) -> ApprovalRulesView:
    """Return the rules as they stand."""
    return {
        "on": rules.on,
        "rows": rules.rows,
        "total_amount": rules.total_amount,
        "largest_amount": rules.largest_amount,
        "clusters": [name for name in rules.clusters if grants.has_cluster(name)],
        "eids": [eid for eid in rules.eids if not grants.missing_eids([eid])],
        "hours": [f"{begin:%H:%M}-{end:%H:%M}" for begin, end in rules.hours],
        "time_zone": str(rules.zone),
        "expires_hours": round(rules.expires.total_seconds() / 3600),
    }


class RecipeView(TypedDict):
    """What files of a folder of the inbox are handed in with."""

    #: of the folder
    name: str
    cluster: str
    model: str
    eids: list[int]
    mode: str | None
    amount: int | None
    duplicates: str | None
    dry_run: bool
    only_if_unchanged: bool
    confirm_repeat: bool
    canary_rows: int
    canary_wait: bool
    verify: str
    description: str
    #: null: as `[inbox]` says
    operatorid: int | None
    operatorname: str | None


class RecipesView(TypedDict):
    #: whether dropped files are taken at all
    enabled: bool
    #: of the inbox
    path: str
    recipes: list[RecipeView]


def recipe_view(name: str, recipe: Mapping[str, Any]) -> RecipeView:
    return cast(RecipeView, {"name": name, **recipe})


class AuditEntryView(TypedDict):
    id: int
    time: str
    #: `user li`, `token mis for operator 7 (Li)`, `uid 0`
    who: str
    action: str
    #: `operation 12`, `user li`
    subject: str
    detail: dict[str, Any]
    address: str


class AuditView(TypedDict):
    #: newest first
    items: list[AuditEntryView]
    #: what to ask for the next page with; null: there is none
    before: int | None


def audit_view(entry: AuditEntry) -> AuditEntryView:
    return {
        "id": entry.id,
        "time": format_time(entry.time),
        "who": entry.who,
        "action": entry.action,
        "subject": entry.subject,
        "detail": dict(entry.detail),
        "address": entry.address,
    }


class DiaryEntryView(TypedDict):
    at: str
    #: `started`, `ready`, `ended`, `stopped`, `killed`, `refused`, `reloaded`, or what a person ordered
    what: str
    why: str
    #: of the server's process
    pid: int | None
    #: its exit code; below 0 a signal's number
    code: int | None
    lived_s: float | None


def diary_view(entry: Mapping[str, Any]) -> DiaryEntryView:
    return {
        "at": str(entry.get("at", "")),
        "what": str(entry.get("what", "")),
        "why": str(entry.get("why", "")),
        "pid": entry.get("pid"),
        "code": entry.get("code"),
        "lived_s": entry.get("lived_s"),
    }


class EventView(TypedDict):
    time: str
    #: a state that was entered, an act of somebody's (`hand_in`, `pause`, `approve`, `undo` …), or `note`
    what: str
    #: of an act
    who: str | None
    #: why, in words
    text: str | None
    #: what paused it, as `paused_by`
    by: str | None
    #: as they stood then
    rows: CountsView | None
    #: the parent it came of, or the child that came of it
    related: int | None


class TimelineView(TypedDict):
    #: oldest first
    items: list[EventView]


def event_view(event: Event) -> EventView:
    return {
        "time": format_time(event.time),
        "what": event.what,
        "who": event.who,
        "text": event.text,
        "by": event.by,
        "rows": None if event.counts is None else counts_view(event.counts),
        "related": event.related,
    }
