"""The clusters in use: pools made, changed and taken away while operations run.

What is new or another takes effect at once; what has to wait for answers goes on behind. Operations of other
clusters are not touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from eomd.evt.cluster import Cluster, ClusterSettings
from eomd.operations.clusters import ClusterOffice
from eomd.operations.schedule import Schedule

log = logging.getLogger(__name__)


class Fleet:
    """The only one that adds to `clusters` or takes from it; all others look names up there at each use."""

    def __init__(
        self,
        clusters: dict[str, Cluster],
        schedule: Schedule,
        office: ClusterOffice,
        observe: Callable[[str, str, float, int], None],
    ) -> None:
        """`observe` is told of every answered request: cluster, node, seconds, rows."""
        self._clusters, self._schedule, self._office, self._observe = clusters, schedule, office, observe
        self._tasks: set[asyncio.Task[None]] = set()

    def become(self, wanted: Mapping[str, ClusterSettings]) -> None:
        """Have a pool for each of these clusters and for no other."""
        for name in [name for name in self._clusters if name not in wanted]:
            self._spawn(self._remove(name, self._clusters.pop(name)))
        for name, settings in wanted.items():
            cluster = self._clusters.get(name)
            if cluster is None:
                self._add(settings)
            else:
                self._change(cluster, settings)

    def _add(self, settings: ClusterSettings) -> None:
        cluster = Cluster(self._office.paced(settings))
        cluster.on_request = partial(self._observe, settings.name)
        cluster.drained = self._office.is_drained(settings.name)
        self._clusters[settings.name] = cluster
        self._spawn(self._open(cluster))

    async def _open(self, cluster: Cluster) -> None:
        await cluster.start()
        await self._schedule.change_pool(cluster.name)

    def _change(self, cluster: Cluster, settings: ClusterSettings) -> None:
        settings = self._office.paced(settings)
        if _facts(settings) == _facts(cluster.settings):
            cluster.ask_again()
        else:
            log.info("cluster %s is configured anew", cluster.name, extra={"cluster": cluster.name})
            self._spawn(cluster.reconfigure(settings))

    async def _remove(self, name: str, cluster: Cluster) -> None:
        log.info("cluster %s is not configured any more", name, extra={"cluster": name})
        await self._schedule.change_pool(name)
        await cluster.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._look_after)

    def _look_after(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("changing a cluster broke", exc_info=error)

    async def _settle(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """End every connection. Operations must have been stopped."""
        await asyncio.gather(*(cluster.close() for cluster in self._clusters.values()))
        await self._settle()


def _facts(settings: ClusterSettings) -> tuple[object, ...]:
    # each load of a codec makes another object
    patience = settings.reply_timeout_s, settings.idle_s
    return settings.nodes, settings.codec.name, settings.origin, settings.rows_per_s, *patience
