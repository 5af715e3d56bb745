"""Looking at things again and again: when, how many at once, what is believed, which incident follows.

Each probe has its turn once a period, a little early or late, so that many do not come at once. Where a look
finds something else than is believed, the next one follows soon.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Protocol

from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.schedule import JITTER, Entry, Schedule
from eomd.watchdog.sight import DOWN, UNKNOWN, Finding, Sight, step

log = logging.getLogger(__name__)

AT_ONCE_MAX = 8
#: before a finding that is not believed yet is looked at again; also before the first look, at most
SOON_S = 0.5


class Probe(Protocol):
    """A way to look at one thing."""

    @property
    def subject(self) -> str:
        """What its incidents are about; unique among the probes."""

    @property
    def deadline_s(self) -> float:
        """How long a look may take; one that takes longer has found the thing down."""

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The incident that each state is; states that are none are left out."""

    async def look(self) -> Finding:
        """Look once. May be cancelled at any time."""

    def tell(self, sight: Sight) -> str:
        """Say in a sentence how it stands, for an incident's summary."""

    def close(self) -> None:
        """Let go of what is kept between looks."""


#: told of each probe whose sight has turned
Listener = Callable[[Probe, Sight], None]


@dataclass(slots=True)
class _Watched:
    probe: Probe
    sight: Sight
    next_look: Entry | None = None
    looking: asyncio.Task[None] | None = None
    #: the last look could not be made at all
    broken: bool = False


class Prober:
    """For one loop."""

    def __init__(
        self,
        schedule: Schedule,
        incidents: Incidents,
        period_s: float,
        random: Random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._schedule, self._incidents, self._random, self._now = schedule, incidents, random, now
        #: between two looks at one thing
        self.period_s = period_s
        self._clock = asyncio.get_running_loop().time
        self._watched: dict[str, _Watched] = {}
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._listeners: list[Listener] = []

    def add_listener(self, listener: Listener) -> None:
        """Call it on the loop whenever something else is believed of a probe's thing."""
        self._listeners.append(listener)

    def __contains__(self, subject: str) -> bool:
        return subject in self._watched

    def sight(self, subject: str) -> Sight | None:
        """Return what is believed of a thing."""
        watched = self._watched.get(subject)
        return watched.sight if watched else None

    def add(self, probe: Probe) -> None:
        """Look at it from now on."""
        assert probe.subject not in self._watched, "watched already"
        watched = _Watched(probe, Sight(self._now()))
        self._watched[probe.subject] = watched
        self._plan(watched, self._random.uniform(0, min(SOON_S, self.period_s)))

    def remove(self, subject: str, why: str) -> None:
        """Look at it no more, and close its incidents."""
        watched = self._watched.pop(subject)
        self._stop(watched)
        for kind in set(watched.probe.kinds.values()):
            self._incidents.close(kind, subject, why)

    def look_now(self, subject: str) -> None:
        """Look at once: there is reason to."""
        watched = self._watched.get(subject)
        if watched is not None and watched.looking is None:
            self._plan(watched, 0.0)

    async def close(self) -> None:
        """Look at nothing any more."""
        tasks = [each.looking for each in self._watched.values() if each.looking is not None]
        for watched in self._watched.values():
            self._stop(watched)
        self._watched.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop(self, watched: _Watched) -> None:
        if watched.next_look is not None:
            watched.next_look.cancel()
        if watched.looking is not None:
            watched.looking.cancel()
        watched.probe.close()

    def _plan(self, watched: _Watched, seconds: float) -> None:
        if watched.next_look is not None:
            watched.next_look.cancel()
        watched.next_look = self._schedule.after(seconds, lambda: self._begin(watched))

    def _begin(self, watched: _Watched) -> None:
        watched.next_look = None
        watched.looking = asyncio.get_running_loop().create_task(self._look(watched))

    async def _look(self, watched: _Watched) -> None:
        async with self._turns:
            finding = await _find(watched)
        watched.looking = None
        former, watched.sight = watched.sight, step(watched.sight, finding, self._now())
        # before listeners are told: one of them may ask for a look at once
        self._plan(watched, self._pause_s(watched.sight))
        if watched.sight.state != former.state:
            self._turn(watched.probe, watched.sight)

    def _pause_s(self, sight: Sight) -> float:
        if sight.strikes:
            return min(SOON_S, self.period_s)
        return self.period_s * self._random.uniform(1 - JITTER, 1 + JITTER)

    def _turn(self, probe: Probe, sight: Sight) -> None:
        log.info("%s is %s", probe.subject, sight.state)
        actual = probe.kinds.get(sight.state)
        for kind in set(probe.kinds.values()) - {actual}:
            self._incidents.close(kind, probe.subject, probe.tell(sight))
        if actual is not None:
            self._incidents.open(actual, probe.subject, probe.tell(sight))
        for listener in self._listeners:
            listener(probe, sight)


async def _find(watched: _Watched) -> Finding:
    probe = watched.probe
    try:
        async with asyncio.timeout(probe.deadline_s):
            finding = await probe.look()
    except TimeoutError:
        finding = Finding(DOWN, f"no answer within {probe.deadline_s:g} s")
    except Exception:
        # a site's own dialect, say: told once, and held against nobody
        if not watched.broken:
            log.exception("%s cannot be looked at", probe.subject)
        watched.broken = True
        return Finding(UNKNOWN)
    watched.broken = False
    return finding
