"""GET /metrics: what the server counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from eomd.model import RowStatus

REQUEST_S_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LAG_S_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class RowsCollector(Collector):
    """Rows answered by cluster and status, added up as arrays: blocks come by the hundreds a second."""

    def __init__(self) -> None:
        self._counts: dict[str, NDArray[np.int64]] = {}

    def count(self, cluster: str, status: NDArray[np.uint8]) -> None:
        """Take an answered block; status: uint8[n]."""
        counts = self._counts.setdefault(cluster, np.zeros(256, np.int64))
        counts += np.bincount(status, minlength=256)

    @property
    def total(self) -> int:
        return sum(int(counts.sum()) for counts in self._counts.values())

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("eomd_rows", "Rows answered", labels=["cluster", "status"])
        for cluster, counts in self._counts.items():
            for status in RowStatus:
                if counts[status]:
                    family.add_metric([cluster, status.name], float(counts[status]))
        yield family


class Metrics:
    """One server's counters, told by the rooms as things happen."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.rows = RowsCollector()
        registry.register(self.rows)
        self._cluster_requests = Histogram(
            "eomd_cluster_request_seconds", "From request to reply of a cluster", ["cluster"],
            buckets=REQUEST_S_BUCKETS, registry=registry,
        )  # fmt: skip
        self._http = Counter(
            "eomd_http_requests", "HTTP requests answered", ["method", "route", "code"], registry=registry
        )
        self._http_s = Histogram(
            "eomd_http_request_seconds", "From the headers of a request to the end of its answer", ["route"],
            buckets=REQUEST_S_BUCKETS, registry=registry,
        )  # fmt: skip
        self._lag = Histogram(
            "eomd_loop_lag_seconds",
            "How late the loop's timer came",
            buckets=LAG_S_BUCKETS,
            registry=registry,
        )
        self._connections = Gauge(
            "eomd_cluster_connections", "Open connections to a node", ["cluster", "node"], registry=registry
        )
        self._inflight = Gauge(
            "eomd_cluster_inflight", "Requests unanswered by a node", ["cluster", "node"], registry=registry
        )
        self._node_up = Gauge(
            "eomd_node_up", "1 while the node takes requests", ["cluster", "node"], registry=registry
        )
        self._operations = Gauge("eomd_operations", "Operations in hand", ["state"], registry=registry)
        self._ledger_up = Gauge("eomd_ledger_up", "1 while the ledger answers", registry=registry)
        self._ledger_s = Gauge(
            "eomd_ledger_roundtrip_seconds", "Of the last statement to the ledger", registry=registry
        )

    def observe_cluster(self, cluster: str, seconds: float) -> None:
        """Take the time of one request to a cluster."""
        self._cluster_requests.labels(cluster).observe(seconds)

    def observe_http(self, method: str, route: str, code: int, seconds: float) -> None:
        """Take one answered HTTP request; `route` is a path of the table, not what was asked for."""
        self._http.labels(method, route, str(code)).inc()
        self._http_s.labels(route).observe(seconds)

    def observe_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def show_node(self, cluster: str, node: str, up: bool, connections: int, inflight: int) -> None:
        self._node_up.labels(cluster, node).set(up)
        self._connections.labels(cluster, node).set(connections)
        self._inflight.labels(cluster, node).set(inflight)

    def forget_nodes(self) -> None:
        """Show only the nodes that are shown anew."""
        for gauge in (self._node_up, self._connections, self._inflight):
            gauge.clear()

    def show_operations(self, states: Sequence[str], counts: dict[str, int]) -> None:
        for state in states:
            self._operations.labels(state).set(counts.get(state, 0))

    def show_ledger(self, up: bool, latency_ms: float | None) -> None:
        self._ledger_up.set(up)
        self._ledger_s.set((latency_ms or 0.0) / 1000)

    def render(self) -> bytes:
        """Return the page."""
        return generate_latest(self.registry)
