"""What holds one operation up and ends by itself: a cluster out of reach or drained, a disk without space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eomd.evt.cluster import Cluster
from eomd.model import PausedBy
from eomd.operations.absent import AbsentCluster

#: how long a cluster may be out of reach before its operations show as paused
UNREACHABLE_GRACE_S = 1.0


class Holds:
    """The holds of one operation, the oldest first. `changed` is called after each change."""

    def __init__(self, cluster: Cluster, changed: Callable[[], None]) -> None:
        self._cluster, self._changed = cluster, changed
        self._reasons: dict[PausedBy, str] = {}

    @property
    def first(self) -> tuple[PausedBy, str] | None:
        """Return what holds longest and why; None where nothing does."""
        return next(iter(self._reasons.items()), None)

    def set(self, by: PausedBy, reason: str | None) -> None:
        """Begin or end (reason None) a hold."""
        if self._reasons.get(by) == reason:
            return
        self._reasons.pop(by, None)
        if reason is not None:
            self._reasons[by] = reason
        self._changed()

    def clear(self) -> None:
        """Forget all holds, without a call: a person's word takes their place."""
        self._reasons.clear()

    async def watch_cluster(self) -> None:
        """Keep the cluster's hold true until cancelled."""
        moved = asyncio.Event()
        self._cluster.add_listener(moved.set)
        try:
            while True:
                if await self._usable_in_time(moved):
                    self.set(PausedBy.CLUSTER, None)
                else:
                    self.set(PausedBy.CLUSTER, self._why_unusable())
                await moved.wait()
                moved.clear()
        finally:
            self._cluster.remove_listener(moved.set)

    async def _usable_in_time(self, moved: asyncio.Event) -> bool:
        """Tell whether the cluster can be used; one that was used until now has a moment to come back."""
        unexpected = PausedBy.CLUSTER not in self._reasons and not isinstance(self._cluster, AbsentCluster)
        grace_s = UNREACHABLE_GRACE_S if unexpected else 0.0
        try:
            async with asyncio.timeout(grace_s):
                while not self._usable():
                    await moved.wait()
                    moved.clear()
        except TimeoutError:
            return False
        return True

    def _usable(self) -> bool:
        return self._cluster.reachable and not self._cluster.drained

    def _why_unusable(self) -> str:
        name = self._cluster.name
        if isinstance(self._cluster, AbsentCluster):
            return f"cluster {name} is not configured; goes on when it is"
        if self._cluster.drained:
            return f"cluster {name} is drained; goes on when it is taken back"
        return f"no node of cluster {name} can be reached; goes on by itself"
