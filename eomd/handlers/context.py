"""What every handler is given: the rooms below, and how this server stands."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from weakref import WeakSet

from tornado.iostream import IOStream

from eomd import __version__
from eomd.handlers.access import Access
from eomd.handlers.console_files import Console
from eomd.handlers.download_source import DownloadSource
from eomd.handlers.metrics import Metrics
from eomd.handlers.views import HealthView, ReloadView, cluster_view, format_time, incident_view
from eomd.model import UNFINISHED, Grants, NodeState
from eomd.operations.desk import Desk, Download

#: the newest, on the overview
INCIDENTS_SHOWN = 10


async def _nothing_to_reload() -> ReloadView:
    return {"taken": [], "needs_restart": [], "problems": ["the server is starting"]}


@dataclass(slots=True)
class Context:
    """One server's; lives as long as it."""

    desk: Desk
    access: Access
    metrics: Metrics
    #: writes bodies to the disk
    receiving: ThreadPoolExecutor
    upload_mb: int
    #: to each listening address, and streams of events of all, at a time
    connections_max: int
    streams_max: int
    #: makes the document at /openapi.json, encoded; takes its time once
    openapi: Callable[[], bytes]
    #: of the source this was built from
    commit: str
    #: what is sent to browsers
    console: Console
    #: reads the configuration again
    reload: Callable[[], Awaitable[ReloadView]] = _nothing_to_reload
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: set once: no new hand-ins, streams end
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    #: set while no request is being answered
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    #: set while none of them may change anything
    unchanging: asyncio.Event = field(default_factory=asyncio.Event)
    #: connections that are one too many, and are told so
    excess: WeakSet[IOStream] = field(default_factory=WeakSet)
    #: streams of events that are open
    streams: int = 0
    _active: int = 0
    _changing: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.idle.set()
        self.unchanging.set()

    def enter(self, *, changes: bool = False) -> None:
        """A request has begun, which may change something or only reads."""
        self._active += 1
        self._changing += changes
        self.idle.clear()
        if changes:
            self.unchanging.clear()

    def leave(self, *, changes: bool = False) -> None:
        """A request has ended, one way or the other."""
        self._active -= 1
        self._changing -= changes
        if not self._active:
            self.idle.set()
        if not self._changing:
            self.unchanging.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something run to its end that no request waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for what was spawned."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def download_source(self, download: Download) -> DownloadSource:
        scratch = self.desk.receiving().parent
        return DownloadSource(download, self.desk.tools.executors.serving, scratch)

    def health(self, grants: Grants | None) -> HealthView:
        """Return how the service stands; of its parts only what is granted, None: nothing."""
        components = self.desk.components()
        health: HealthView = {
            "status": self._status(components),
            "version": __version__,
            "commit": self.commit,
            "started": format_time(self.started),
        }
        if grants is not None:
            state = "draining" if self.draining.is_set() else "ready"
            server = {"state": state, "since": format_time(self.started), "requests": self._active}
            clusters = {name: s for name, s in components["clusters"].items() if grants.has_cluster(name)}
            health["components"] = {"server": server, **components, "clusters": clusters}
        return health

    def _status(self, components: dict[str, Any]) -> Literal["ok", "degraded", "down"]:
        """Return ok; degraded where a part is not well; down where nothing at all could be done."""
        ledger_up = components["ledger"]["state"] == "up"
        clusters = components["clusters"].values()
        any_up = any(state in ("up", "degraded") for state in clusters)
        if not ledger_up and not any_up:
            return "down"
        disk_short = components["disk"]["free_mb"] < 2 * components["disk"]["min_free_mb"]
        clusters_well = all(state in ("up", "drained") for state in clusters)
        well = ledger_up and clusters_well and not disk_short and not self.draining.is_set()
        well = well and not self.desk.watch.incidents_open
        return "ok" if well else "degraded"

    def overview(self, grants: Grants) -> dict[str, Any]:
        """Return what the overview shows beside the operations."""
        health = self.health(grants)
        clusters = [cluster for cluster in self.desk.clusters() if grants.has_cluster(cluster.name)]
        return {
            "clusters": [cluster_view(cluster) for cluster in clusters],
            "ledger": health["components"]["ledger"],
            "health": health,
            "incidents": [
                incident_view(each) for each in self.desk.incidents.newest(INCIDENTS_SHOWN, grants)
            ],
        }

    def show_state(self) -> None:
        """Bring the gauges up to date."""
        ledger = self.desk.ledger.state
        self.metrics.show_ledger(ledger.up, ledger.latency_ms)
        states = Counter(operation.state.value for operation in self.desk.live())
        self.metrics.show_operations([state.value for state in UNFINISHED], states)
        self.metrics.forget_nodes()
        for cluster in self.desk.clusters():
            for node in cluster.nodes:
                up = node.state is NodeState.UP
                self.metrics.show_node(cluster.name, node.address, up, node.connections, node.inflight)
