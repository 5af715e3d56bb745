"""Incidents in, remedies out: one at a time, in the order in which incidents came, each with a deadline.

What is tried stands in `decisions.py`; how, is registered here by whoever can do it. What came of it is noted
in the incident.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from eomd.errors import EomdError
from eomd.model import Incident
from eomd.watchdog.charge import Charge
from eomd.watchdog.decisions import DECISIONS, decide
from eomd.watchdog.incidents import Incidents
from eomd.watchdog.queue import SubjectQueue
from eomd.watchdog.schedule import Entry, Schedule

log = logging.getLogger(__name__)

#: after which a veto is asked for again
VETO_S = 30.0

#: does something about an incident and returns what came of it; what it raises is what came of it too
Remedy = Callable[[Incident], Awaitable[str]]
#: says why nothing may be done now; "" where something may
Veto = Callable[[Incident], str]


class _Registered(NamedTuple):
    remedy: Remedy
    deadline_s: float


@dataclass(slots=True)
class _Case:
    """What is done about one open incident."""

    #: when it was opened, or something was tried against it last
    since_s: float
    tried: int
    next_look: Entry | None = None


class Dispatcher:
    """For one loop."""

    name = "dispatcher"

    def __init__(
        self, incidents: Incidents, schedule: Schedule, clock: Callable[[], float], veto: Veto
    ) -> None:
        """`veto`: a person's wish, which wins over every remedy."""
        self._incidents, self._schedule, self._clock, self._veto = incidents, schedule, clock, veto
        self._remedies: dict[str, _Registered] = {}
        self._cases: dict[str, _Case] = {}
        self._queue: SubjectQueue[str, Incident] = SubjectQueue()
        self._wake = asyncio.Event()
        self._under_way: str | None = None
        incidents.add_listener(self._hear)

    def register(self, name: str, remedy: Remedy, deadline_s: float) -> None:
        """Let a remedy of the table be done by this."""
        self._remedies[name] = _Registered(remedy, deadline_s)

    def take_charge(self, charge: Charge) -> None:
        """Nothing of a configuration concerns it."""

    def view(self) -> dict[str, object]:
        return {"waiting": [identity for identity, _ in self._queue], "under_way": self._under_way}

    async def run(self) -> None:
        """Do what is to be done until cancelled."""
        for incident in self._incidents.open_now:
            self._hear(incident)
        while True:
            self._wake.clear()
            while (entry := self._queue.take()) is not None:
                await self._consider(entry[1])
            await self._wake.wait()

    def _hear(self, incident: Incident) -> None:
        if incident.closed is not None:
            self._forget(incident)
        elif incident.kind in DECISIONS:
            self._enqueue(incident)

    def _enqueue(self, incident: Incident) -> None:
        if not self._queue.put(incident.id, incident):
            log.error("too many incidents wait for a remedy: none is tried for %s", incident.subject)
        self._wake.set()

    def _forget(self, incident: Incident) -> None:
        self._queue.delete(incident.id)
        case = self._cases.pop(incident.id, None)
        if case is not None and case.next_look is not None:
            case.next_look.cancel()

    async def _consider(self, incident: Incident) -> None:
        case = self._cases.get(incident.id)
        if case is None:
            case = self._cases[incident.id] = _Case(self._clock(), len(incident.remedies))
        if case.next_look is not None:
            case.next_look.cancel()
        decision = decide(incident.kind, case.tried, self._clock() - case.since_s)
        if decision.remedy is None:
            return
        if decision.wait_s > 0:
            case.next_look = self._schedule.after(decision.wait_s, lambda: self._look_again(incident))
            return
        if refusal := self._veto(incident):
            log.info("no remedy for %s, %s: %s", incident.kind, incident.subject, refusal)
            case.next_look = self._schedule.after(VETO_S, lambda: self._look_again(incident))
            return
        case.tried += 1
        await self._try(incident, decision.remedy)
        case.since_s = self._clock()

    def _look_again(self, incident: Incident) -> None:
        current = self._incidents.find_open(incident.kind, incident.subject)
        if current is not None and current.id == incident.id:
            self._enqueue(current)

    async def _try(self, incident: Incident, name: str) -> None:
        registered, outcome = self._remedies.get(name), "nobody here can do it"
        if registered is not None:
            self._under_way = f"{name} for {incident.subject}"
            outcome = await _carry_out(registered, incident)
            self._under_way = None
        log.warning("remedy %s for %s, %s: %s", name, incident.kind, incident.subject, outcome)
        self._incidents.remedied(incident.kind, incident.subject, name, outcome)


async def _carry_out(registered: _Registered, incident: Incident) -> str:
    try:
        async with asyncio.timeout(registered.deadline_s):
            return await registered.remedy(incident)
    except TimeoutError:
        return f"came to no end within {registered.deadline_s:g} s"
    except (EomdError, OSError) as error:
        return f"failed: {error}"
    except Exception:
        log.exception("a remedy broke down")
        return "broke down, see the log"
