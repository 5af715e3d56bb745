"""The configured clusters as people see and steer them: pace, drain, and how each node stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from eomd.durable import write_atomically
from eomd.errors import ConfigurationError, NotFoundError
from eomd.evt.cluster import Cluster, ClusterSettings, NodeView
from eomd.operations.definitions import Definitions
from eomd.operations.tools import Tools
from eomd.operations.watch import Sight, Watch


@dataclass(frozen=True, slots=True)
class ClusterView:
    name: str
    title: str
    codec: str
    #: 0 = as fast as it goes
    rows_per_s: int
    drained: bool
    #: at least one node is up
    reachable: bool
    nodes: tuple[NodeView, ...]
    #: the same nodes as the watchdog sees them, in the same order; None for what it does not know
    sights: tuple[Sight | None, ...]

    @property
    def state(self) -> str:
        """One word for health: drained, up, degraded or down."""
        if self.drained:
            return "drained"
        if not self.reachable:
            return "down"
        return "up" if all(node.state == "up" for node in self.nodes) else "degraded"


class ClusterOffice:
    """What a person set is kept in the data folder and wins over the configuration."""

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        definitions: Definitions,
        tools: Tools,
        watch: Watch,
    ) -> None:
        self._clusters, self._definitions, self._tools = clusters, definitions, tools
        self._watch = watch
        self._path = tools.data.path / "clusters.json"
        self._wishes: dict[str, dict[str, int | bool]] = {}
        self._changing = asyncio.Lock()
        #: as configured, by cluster; empty: see the ledger's
        self.titles: Mapping[str, str] = {}

    def restore(self) -> None:
        """Remember what a person set in an earlier life. Blocks; raises ConfigurationError."""
        self._wishes = _read(self._path)

    def paced(self, settings: ClusterSettings) -> ClusterSettings:
        """Return a cluster's settings with the pace that a person set."""
        pace = self._wishes.get(settings.name, {}).get("rows_per_s", settings.rows_per_s)
        return replace(settings, rows_per_s=int(pace))

    def is_drained(self, name: str) -> bool:
        """Tell whether a person wants this cluster drained."""
        return bool(self._wishes.get(name, {}).get("drain", False))

    def views(self) -> list[ClusterView]:
        return [self._view(name) for name in sorted(self._clusters)]

    def _view(self, name: str) -> ClusterView:
        cluster = self._clusters[name]
        nodes = cluster.nodes()
        title = self.titles.get(name) or self._definitions.title(name) or name
        return ClusterView(
            name=name,
            title=title,
            codec=cluster.settings.codec.name,
            rows_per_s=cluster.rows_per_s,
            drained=cluster.drained,
            reachable=cluster.reachable,
            nodes=tuple(nodes),
            sights=tuple(self._watch.node(name, node.address) for node in nodes),
        )

    def recycle(self, name: str) -> None:
        """Replace a cluster's connections. Raises NotFoundError."""
        self._find(name).recycle()

    def _find(self, name: str) -> Cluster:
        cluster = self._clusters.get(name)
        if cluster is None:
            raise NotFoundError(f"there is no cluster {name!r}")
        return cluster

    async def change(self, name: str, *, rows_per_s: int | None, drain: bool | None) -> ClusterView:
        """Change what is not None. Raises NotFoundError."""
        cluster = self._find(name)
        wish = {"rows_per_s": rows_per_s, "drain": drain}
        kept = {key: value for key, value in wish.items() if value is not None}
        loop = asyncio.get_running_loop()
        async with self._changing:
            wishes = {**self._wishes, name: self._wishes.get(name, {}) | kept}
            await loop.run_in_executor(self._tools.executors.running, partial(_keep, self._path, wishes))
            self._wishes = wishes
            if rows_per_s is not None:
                cluster.rows_per_s = rows_per_s
            if drain is not None:
                cluster.drained = drain
        return self._view(name)


def _read(path: Path) -> dict[str, dict[str, int | bool]]:
    try:
        wishes = json.loads(path.read_bytes())
        return {name: _parse_wish(wish) for name, wish in wishes.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path} is damaged: repair it, or remove it and set it again") from error


def _parse_wish(wish: dict[str, object]) -> dict[str, int | bool]:
    kinds = {"rows_per_s": int, "drain": bool}
    for key, value in wish.items():
        if type(value) is not kinds.get(key):
            raise ValueError(f"{key}: {value!r}")
    return cast(dict[str, int | bool], wish)


def _keep(path: Path, wishes: dict[str, dict[str, int | bool]]) -> None:
    write_atomically(path, json.dumps(wishes, indent=1).encode())
