"""Watching one server: its signs are heard, its silence is judged, what it uses is measured."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import psutil

from eomd.handover import Heartbeat
from eomd.watchdog.charge import WatchdogCharge
from eomd.watchdog.excess import Excess, Resource, Usage, take_usage
from eomd.watchdog.liveness import Liveness, Look, Patience, ServerState, hear, look
from eomd.watchdog.pressure import Sample, describe, kept_share, take_sample
from eomd.watchdog.schedule import Entry, Schedule
from eomd.watchdog.server_process import ServerProcess

log = logging.getLogger(__name__)

#: between two looks at a server: often enough to notice silence in time
LOOK_S_MAX, LOOKS_PER_HANG = 0.5, 8
USAGE_S = 2.0
#: a watchdog that comes so late to its own look was kept from running itself
LATE_S = 2.0


class Owner(Protocol):
    """Who is told."""

    def state_changed(self, state: ServerState) -> None: ...

    def outgrown(self, resource: Resource, said: str) -> None:
        """A limit is exceeded for good; said again with every measurement."""

    def came_late(self, late_s: float) -> None:
        """The watchdog was kept from looking for so long."""


class Lookout:
    """From a server's start until `end`."""

    def __init__(
        self,
        server: ServerProcess,
        limits: WatchdogCharge,
        schedule: Schedule,
        clock: Callable[[], float],
        owner: Owner,
    ) -> None:
        self._server, self._clock, self._owner = server, clock, owner
        self._schedule = schedule
        self._entries: list[Entry] = []
        self._process = psutil.Process(server.pid)
        self._sample: tuple[Sample, float] | None = None
        #: the last look, and the last look or sign
        self._looked_s = self._known_s = clock()
        self.liveness = Liveness()
        self.last: Heartbeat | None = None
        self.usage: Usage | None = None
        #: what kept it from running at the last look, for people
        self.pressure = ""
        self.take_limits(limits)
        server.on_sign = self._hear

    def take_limits(self, limits: WatchdogCharge) -> None:
        """Judge by these from now on."""
        self._patience = Patience(limits.heartbeat_s, limits.hang_after_s)
        self._look_s = min(LOOK_S_MAX, limits.hang_after_s / LOOKS_PER_HANG)
        self._excess = Excess(limits.rss_limit_mb)
        self._cancel()
        self._entries = [
            self._schedule.every(self._look_s, self._look, jitter=0.0),
            self._schedule.every(USAGE_S, self._measure),
        ]

    def end(self) -> None:
        """Look no more."""
        self._cancel()
        self._server.on_sign = lambda beat: None

    def _cancel(self) -> None:
        for entry in self._entries:
            entry.cancel()

    def describe(self) -> str:
        """Return how long nothing was heard, and why that counts, for people."""
        quiet_s = self.liveness.quiet_s
        if self.liveness.stopped_s:
            return f"no sign of life for {quiet_s:.1f} s, stopped by a signal"
        said = f"no sign of life for {quiet_s:.1f} s"
        return f"{said} ({self.pressure})" if self.pressure else said

    def _hear(self, beat: Heartbeat) -> None:
        self._known_s = self._clock()
        self._sample = None
        self.last = beat
        self._become(hear(self.liveness, beat))

    def _look(self) -> None:
        now_s = self._clock()
        late_s = now_s - self._looked_s - self._look_s
        # what the watchdog slept through says nothing about the server
        elapsed_s = min(now_s - self._known_s, 2 * self._look_s)
        self._looked_s = self._known_s = now_s
        if late_s > LATE_S:
            self._owner.came_late(late_s)
        self._become(look(self.liveness, self._see(elapsed_s, now_s), self._patience))

    def _see(self, elapsed_s: float, now_s: float) -> Look:
        """Look into /proc once the server is overdue; before that its silence means nothing."""
        if self.liveness.quiet_s + elapsed_s < self._patience.heartbeat_s:
            return Look(elapsed_s)
        before, after = self._sample, take_sample(self._server.pid)
        if after is None:
            return Look(elapsed_s)
        self._sample = after, now_s
        earlier, since_s = before if before else (after, now_s - elapsed_s)
        self.pressure = describe(earlier, after, now_s - since_s)
        return Look(elapsed_s, kept_share(earlier, after, now_s - since_s), after.stopped)

    def _become(self, after: Liveness) -> None:
        before, self.liveness = self.liveness, after
        if before.state is not after.state:
            self._owner.state_changed(after.state)

    def _measure(self) -> None:
        self.usage = take_usage(self._process)
        for resource, said in (self._excess.judge(self.usage) if self.usage else {}).items():
            self._owner.outgrown(resource, said)
