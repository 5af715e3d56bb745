"""Watches a running modify's rows and answers, and has it paused where they are over a limit of its brake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eomd.evt.cap import ROWS_MAX
from eomd.evt.cluster import Cluster
from eomd.model import PausedBy
from eomd.operations.brake import ROWS_MIN, Brake, BrakeLimits
from eomd.operations.feed import Feed
from eomd.operations.rules import Rules

#: between two looks at how long answers take
LATENCY_LOOK_S = 1.0
#: rows that may be on their way before any is answered
AHEAD_ROWS_MIN = 2 * ROWS_MIN


class Guard:
    """Of one operation; `pause` is called with the reason, `wake` when more rows may be sent."""

    def __init__(
        self,
        feed: Feed,
        cluster: str,
        rules: Rules,
        pause: Callable[[PausedBy, str], None],
        wake: Callable[[], None],
    ) -> None:
        self._feed, self._cluster, self._rules = feed, cluster, rules
        self._pause, self._wake = pause, wake
        self._brake = Brake()
        #: rows that were answered when the run began
        self._begun = 0
        if feed.modifies:
            feed.settled = self._look

    def begin(self) -> None:
        """A run begins."""
        answered = self._feed.answered
        self._brake.begin(answered)
        self._begun = answered.done
        wary = self._feed.modifies and self._rules.brake_of(self._cluster).failed_share
        self._feed.ahead = AHEAD_ROWS_MIN if wary else None

    def _look(self) -> None:
        limits = self._rules.brake_of(self._cluster)
        if not limits.failed_share and self._feed.ahead is None:
            return
        counts = self._feed.answered
        reason = self._brake.judge_rows(counts, limits) if limits.failed_share else None
        if reason is not None and self._feed.counts.done < counts.total:
            # the pool may ask for more before the pause has come about
            self._feed.stopped = True
            self._pause(PausedBy.BRAKE, reason)
        elif self._feed.ahead is not None:
            self._allow(limits, counts.done - self._begun)

    def _allow(self, limits: BrakeLimits, answered: int) -> None:
        """Let as many rows be on their way as were answered: what fails at once is held back in time."""
        ahead = max(AHEAD_ROWS_MIN, answered)
        # from there on the pool itself takes no more
        self._feed.ahead = ahead if limits.failed_share and ahead < ROWS_MAX else None
        self._wake()

    async def watch(self, cluster: Cluster) -> None:
        """Look at the answers' latency until cancelled."""
        while self._feed.modifies:
            await asyncio.sleep(LATENCY_LOOK_S)
            limits = self._rules.brake_of(self._cluster)
            reason = self._brake.judge_latency(cluster.slowest_ms, limits)
            if reason is not None:
                self._pause(PausedBy.BRAKE, reason)
