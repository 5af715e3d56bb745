"""What the watchdog sees: told by it every few seconds, shown beside what the server sees, acted on at once.

Without a watchdog, or once its word is old, nothing here says anything, and the server goes by its own eyes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from eomd.evt.cluster import Cluster
from eomd.model import NodeState
from eomd.storage.ledger import Ledger

#: the watchdog tells every 5 s; what is older than this no longer counts
NEWS_S_MAX = 16.0
UP = "up"


@dataclass(frozen=True, slots=True)
class Sight:
    """Something as a probe of the watchdog sees it."""

    #: `unknown` until it has been seen; `up`, or what is wrong with it
    state: str
    since: datetime
    latency_ms: float | None = None
    #: what the last look that found it wrong has met
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NodeSight(Sight):
    cluster: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class WatchNews:
    """The watchdog's word."""

    ledger: Sight | None = None
    disk: Sight | None = None
    #: the machine's
    clock: dict[str, Any] | None = None
    nodes: tuple[NodeSight, ...] = ()
    inbox: dict[str, Any] | None = None
    #: the server itself, as the watchdog sees it
    server: dict[str, Any] | None = None
    #: open incidents that are more than a notice
    incidents_open: int = 0


@dataclass(slots=True)
class Watch:
    """For one loop."""

    clusters: Mapping[str, Cluster]
    ledger: Ledger
    clock: Callable[[], float] = time.monotonic
    _news: WatchNews = field(default_factory=WatchNews)
    _heard_s: float | None = None
    #: since when there is one, or none
    _since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _nodes: dict[tuple[str, str], NodeSight] = field(default_factory=dict)

    @property
    def present(self) -> bool:
        """Whether a watchdog has spoken of late."""
        return self._heard_s is not None and self.clock() - self._heard_s <= NEWS_S_MAX

    @property
    def incidents_open(self) -> int:
        return self._news.incidents_open if self.present else 0

    @property
    def ledger_state(self) -> str | None:
        """The ledger as the watchdog sees it."""
        sight = self._news.ledger if self.present else None
        return sight.state if sight else None

    def node(self, cluster: str, address: str) -> Sight | None:
        """Return a node as the watchdog sees it."""
        return self._nodes.get((cluster, address)) if self.present else None

    def hear(self, news: WatchNews) -> dict[str, Any]:
        """Take the watchdog's word; return how the server sees the same things."""
        if not self.present:
            self._since = datetime.now(UTC)
        former, self._news, self._heard_s = self._news, news, self.clock()
        self._nodes = {(node.cluster, node.address): node for node in news.nodes}
        if news.ledger is not None and _turned(former.ledger, news.ledger):
            self.ledger.hear(up=news.ledger.state == UP, trouble=news.ledger.error or news.ledger.state)
        ledger = self.ledger.state
        return {
            "ledger": UP if ledger.up else "down",
            "ledger_error": ledger.last_error,
            "nodes": self._compare_nodes(),
        }

    def _compare_nodes(self) -> list[dict[str, Any]]:
        """Return every node's state; have those tried again that only the pool has given up."""
        compared = []
        for name, cluster in self.clusters.items():
            for node in cluster.nodes():
                compared.append(
                    {
                        "cluster": name,
                        "address": node.address,
                        "state": node.state.value,
                        "failing": node.failing,
                        "error": node.last_error,
                    }
                )
                seen = self._nodes.get((name, node.address))
                if seen is not None and seen.state == UP and node.state is not NodeState.UP:
                    cluster.try_again(node.address)
        return compared

    def components(self) -> dict[str, Any]:
        """Return the watchdog's part of /health."""
        if not self.present:
            return {"watchdog": {"state": "absent", "since": self._absent_since.isoformat()}}
        news = self._news
        watchdog = {
            "state": "present",
            "since": self._since.isoformat(),
            "incidents_open": news.incidents_open,
            "server": news.server,
        }
        told = {"watchdog": watchdog, "inbox": news.inbox, "clock": news.clock}
        return {name: part for name, part in told.items() if part is not None}

    @property
    def disk(self) -> Sight | None:
        """The data folder's file system as the watchdog sees it."""
        return self._news.disk if self.present else None

    @property
    def _absent_since(self) -> datetime:
        """The last word's time; the server's start where there was none."""
        if self._heard_s is None:
            return self._since
        return datetime.now(UTC) - timedelta(seconds=self.clock() - self._heard_s)


def _turned(former: Sight | None, now: Sight) -> bool:
    """Tell whether what is known has changed: the same word again is no news."""
    return now.state != "unknown" and (former is None or former.state != now.state)
