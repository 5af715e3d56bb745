"""How things look in answers: model → plain values for JSON, with the shapes that OpenAPI is generated from.

No I/O, no tornado. Times are RFC 3339 with offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, cast

# typing.TypedDict of Python 3.11 is refused by pydantic
from typing_extensions import TypedDict

from eomd.errors import Repeated
from eomd.evt.cluster import NodeView
from eomd.model import Counts, Incident, Operation, State
from eomd.operations.clusters import ClusterView
from eomd.operations.watch import Sight


class CountsView(TypedDict):
    total: int
    done: int
    ok: int
    failed: int
    uncertain: int


class DecisionView(TypedDict):
    approved: bool
    operatorid: int
    operatorname: str
    reason: str
    time: str


class ApprovalView(TypedDict):
    #: what it is over
    reasons: list[str]
    expires: str
    #: null until somebody has decided
    decision: DecisionView | None


class OperationView(TypedDict):
    id: int
    model: str
    mode: str | None
    cluster: str
    eids: list[int]
    note: str
    description: str
    operatorid: int
    operatorname: str
    dry_run: bool
    parent: int | None
    #: the dry run whose plan it carries out
    plan: int | None
    state: str
    status: int | None
    executed: int | None
    handleres: int | None
    paused_by: str | None
    repeats: list[int]
    #: null where no second person is needed
    approval: ApprovalView | None
    rows: CountsView
    rows_per_s: float
    eta_s: float | None
    message: str | None
    sourcename: str | None
    resultname: str | None
    logname: str | None
    #: of the read-back's report
    verifyname: str | None
    create_time: str
    last_modify_time: str


class EarlierView(TypedDict):
    """An operation that changed the same before."""

    id: int
    operatorid: int
    operatorname: str
    create_time: str


class NewOperationView(OperationView):
    """The answer to what may have made an operation."""

    #: those of `repeats`: who did it, and when
    earlier: list[EarlierView]


class OperationsView(TypedDict):
    #: null where `before` is given: nobody has counted then
    total: int | None
    page: int
    page_size: int
    items: list[OperationView]


class RowsView(TypedDict):
    #: of the rows that the filter lets through; null where nobody has counted them
    total: int | None
    columns: list[str]
    rows: list[list[str]]


class UncertainRowView(TypedDict):
    #: from 0
    row: int
    user: int
    #: as they were sent; one per EID, like all below
    amounts: list[int]
    #: null where nobody has read it before
    before: list[int] | None
    #: would-be; null where `before` is not known and it is not a set
    after: list[int] | None
    #: null where the cluster did not tell
    now: list[int] | None
    #: what became of reading it
    now_status: str | None
    #: applied, not_applied or send_again; null while it is open
    settled: str | None


class UncertainView(TypedDict):
    total: int
    #: not settled yet
    open: int
    items: list[UncertainRowView]


class FileProblemView(TypedDict):
    line: int
    column: str | None
    value: str | None
    reason: str


class UploadView(TypedDict):
    sourcename: str
    bytes: int
    rows: int
    encoding: str | None
    delimiter: str | None
    columns: list[str]
    sample: list[list[str]]
    #: the physical line, from 1, of each of them
    sample_lines: list[int]
    problems: list[FileProblemView]
    total_problems: int


class ProbeView(TypedDict):
    #: `unknown`, `up`, or what is wrong
    state: str
    since: str
    latency_ms: float | None


class NodeEntry(TypedDict):
    address: str
    #: as the node calls itself
    name: str | None
    state: str
    since: str
    latency_ms: float | None
    connections: int
    budget: int
    inflight: int
    capabilities: list[str]
    last_error: str | None
    #: as the watchdog sees it; null without a watchdog
    probe: ProbeView | None


class ClusterEntry(TypedDict):
    name: str
    title: str
    codec: str
    state: str
    rows_per_s: int
    drain: bool
    nodes: list[NodeEntry]


class ClusterTitleView(TypedDict):
    name: str
    title: str


class EidView(TypedDict):
    cluster: str
    eid: int
    name: str
    unit: str
    minimum: int | None
    maximum: int | None
    editable: bool


class DefinitionsView(TypedDict):
    clusters: list[ClusterTitleView]
    eids: list[EidView]


class TokenView(TypedDict):
    id: str
    name: str
    role: str
    created: str
    expires: str | None
    revoked: str | None
    #: of the person whose token it is; null for a service's
    operatorid: int | None
    operatorname: str
    #: what it may reach; null: whichever there are
    clusters: list[str] | None
    eids: list[int] | None


class UserView(TypedDict):
    name: str
    operatorid: int
    operatorname: str
    role: str
    #: what they may reach; null: whichever there are
    clusters: list[str] | None
    eids: list[int] | None
    created: str
    #: since when they may not log in
    disabled: str | None
    #: after too many wrong passwords
    locked_until: str | None


class SessionView(TypedDict):
    """Who is asking, whichever way."""

    #: `user li`, `token mis`
    name: str
    role: str
    operatorid: int | None
    operatorname: str
    clusters: list[str] | None
    eids: list[int] | None
    #: of a session; null without one
    expires: str | None
    #: to be sent along with changes as X-XSRF-Token; null without a session
    xsrf_token: str | None


class NewTokenView(TokenView):
    #: shown this once
    token: str


class RemedyView(TypedDict):
    what: str
    when: str
    outcome: str


class IncidentView(TypedDict):
    id: str
    kind: str
    #: what it is about: `server`, `ledger`, `fish 127.0.0.1:30717`
    subject: str
    severity: Literal["notice", "warning", "critical"]
    opened: str
    #: null while it lasts
    closed: str | None
    summary: str
    #: oldest first
    remedies: list[RemedyView]


class IncidentsView(TypedDict):
    total: int
    page: int
    page_size: int
    items: list[IncidentView]


class HealthView(TypedDict):
    status: Literal["ok", "degraded", "down"]
    version: str
    commit: str
    started: str
    #: with a token only
    components: NotRequired[dict[str, Any]]


class ReloadView(TypedDict):
    """What became of the configuration, read anew. With problems nothing of it was taken."""

    #: keys
    taken: list[str]
    #: keys
    needs_restart: list[str]
    problems: list[str]


class RootView(TypedDict):
    service: str
    version: str
    api: str
    openapi: str
    #: its address, or how it comes about
    console: str


def format_time(time: datetime) -> str:
    """Return RFC 3339 with offset; a time without one is UTC."""
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return aware.isoformat()


def counts_view(counts: Counts) -> CountsView:
    return {
        "total": counts.total,
        "done": counts.done,
        "ok": counts.ok,
        "failed": counts.failed,
        "uncertain": counts.uncertain,
    }


def operation_view(operation: Operation, rows_per_s: float = 0, eta_s: float | None = None) -> OperationView:
    """Return an operation as the API shows it. The old table's numbers of a foreign row are null."""
    order = operation.order
    numbers = operation.state.numbers if operation.state is not State.FOREIGN else (None, None, None)
    return {
        "id": operation.id,
        "model": order.model.value,
        "mode": order.mode.value if order.mode else None,
        "cluster": order.cluster,
        "eids": list(order.eids),
        "note": order.note,
        "description": order.description,
        "operatorid": order.operatorid,
        "operatorname": order.operatorname,
        "dry_run": order.dry_run,
        "parent": operation.parent,
        "plan": operation.plan,
        "state": operation.state.value,
        "status": numbers[0],
        "executed": numbers[1],
        "handleres": numbers[2],
        "paused_by": operation.paused_by.value if operation.paused_by else None,
        "repeats": list(operation.repeats),
        "approval": cast(ApprovalView, operation.approval.format()) if operation.approval else None,
        "rows": counts_view(operation.counts),
        "rows_per_s": round(rows_per_s, 1),
        "eta_s": None if eta_s is None else round(eta_s, 1),
        "message": operation.message,
        "sourcename": operation.sourcename,
        "resultname": operation.resultname,
        "logname": operation.logname,
        "verifyname": operation.verifyname,
        "create_time": format_time(operation.create_time),
        "last_modify_time": format_time(operation.last_modify_time),
    }


def earlier_view(earlier: Sequence[Repeated]) -> list[EarlierView]:
    """Return operations that changed the same before as the API shows them."""
    return [
        {
            "id": each.id,
            "operatorid": each.operatorid,
            "operatorname": each.operatorname,
            "create_time": format_time(each.create_time),
        }
        for each in earlier
    ]


def cluster_view(cluster: ClusterView) -> ClusterEntry:
    """Return a cluster with its nodes as the API shows them."""
    return {
        "name": cluster.name,
        "title": cluster.title,
        "codec": cluster.codec,
        "state": cluster.state,
        "rows_per_s": cluster.rows_per_s,
        "drain": cluster.drained,
        "nodes": [_node_view(*pair) for pair in zip(cluster.nodes, cluster.sights, strict=True)],
    }


def _node_view(node: NodeView, sight: Sight | None) -> NodeEntry:
    return {
        "address": node.address,
        "name": node.name,
        "state": node.state.value,
        "since": format_time(node.since),
        "latency_ms": None if node.latency_ms is None else round(node.latency_ms, 3),
        "connections": node.connections,
        "budget": node.budget,
        "inflight": node.inflight,
        "capabilities": list(node.capabilities),
        "last_error": node.last_error,
        "probe": None if sight is None else _probe_view(sight),
    }


def _probe_view(sight: Sight) -> ProbeView:
    return {"state": sight.state, "since": format_time(sight.since), "latency_ms": sight.latency_ms}


def incident_view(incident: Incident) -> IncidentView:
    """Return an incident as the API shows it."""
    return cast(IncidentView, incident.format())
