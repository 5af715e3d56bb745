"""Watches a running modify's rows and answers, and has it paused where they are over a limit of its brake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eomd.evt.cluster import Cluster
from eomd.model import PausedBy
from eomd.operations.brake import Brake
from eomd.operations.feed import Feed
from eomd.operations.rules import Rules

#: between two looks at how long answers take
LATENCY_LOOK_S = 1.0


class Guard:
    """Of one operation; `pause` is called with the reason."""

    def __init__(
        self, feed: Feed, cluster: str, rules: Rules, pause: Callable[[PausedBy, str], None]
    ) -> None:
        self._feed, self._cluster, self._rules, self._pause = feed, cluster, rules, pause
        self._brake = Brake()
        if feed.modifies:
            feed.settled = self._look

    def begin(self) -> None:
        """A run begins."""
        self._brake.begin(self._feed.answered)

    def _look(self) -> None:
        limits = self._rules.brake_of(self._cluster)
        if not limits.failed_share:
            return
        counts = self._feed.answered
        reason = self._brake.judge_rows(counts, limits)
        if reason is not None and self._feed.counts.done < counts.total:
            self._pause(PausedBy.BRAKE, reason)

    async def watch(self, cluster: Cluster) -> None:
        """Look at the answers' latency until cancelled."""
        while self._feed.modifies:
            await asyncio.sleep(LATENCY_LOOK_S)
            limits = self._rules.brake_of(self._cluster)
            reason = self._brake.judge_latency(cluster.slowest_ms, limits)
            if reason is not None:
                self._pause(PausedBy.BRAKE, reason)
