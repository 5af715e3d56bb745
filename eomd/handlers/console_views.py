"""How things look that pages show beside operations: activity, and what is told when. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

# typing.TypedDict of Python 3.11 is refused by pydantic
from typing_extensions import TypedDict

from eomd.handlers.views import format_time
from eomd.operations.activity import STEP_S, Activity, Span, Tally
from eomd.operations.clusters import ClusterView


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
