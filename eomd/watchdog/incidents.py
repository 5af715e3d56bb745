"""The incidents: which are open, which were; every change on its way to the disk and to whoever listens.

At most one incident of a kind is open per subject. What is written where says `incident_files.py`; it is
written off the loop, and again where the disk took nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from eomd.model import Incident, RemedyRecord
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.kinds import KINDS, Kind

__all__ = ["Incidents", "Kind"]

log = logging.getLogger(__name__)

OPEN_MAX = 1000
#: ended ones that are remembered
ENDED_MAX = 200
#: of one incident; the oldest are forgotten
REMEDIES_MAX = 20
#: before a disk that took nothing is tried again
RETRY_S = 1.0
TEXT_CHARACTERS_MAX = 500

Listener = Callable[[Incident], None]


class Incidents:
    """For one loop; changes come from anywhere on it. Making it reads what the last watchdog left."""

    def __init__(self, files: IncidentFiles, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._files, self._now = files, now
        self._open: dict[tuple[str, str], Incident] = {}
        self._ended: dict[str, Incident] = {}
        #: changes that are not on the disk yet, by incident: the latest stands for those before it
        self._unwritten: dict[str, Incident] = {}
        self._wake = asyncio.Event()
        self._failing = False
        self._listeners: list[Listener] = []
        self._spool_listeners: list[Callable[[], None]] = []
        for incident in sorted(files.load(), key=_opened):
            self._place(incident)

    @property
    def open_now(self) -> list[Incident]:
        """The open ones, oldest first."""
        return sorted(self._open.values(), key=_opened)

    def recent(self, count: int) -> list[Incident]:
        """Return the newest, open or ended, newest first."""
        known = [*self._open.values(), *self._ended.values()]
        return sorted(known, key=_opened, reverse=True)[:count]

    def find_open(self, kind: str, subject: str) -> Incident | None:
        return self._open.get((kind, subject))

    def add_listener(self, listener: Listener) -> None:
        """Call it on the loop with every incident that was opened, changed or closed."""
        self._listeners.append(listener)

    def add_spool_listener(self, listener: Callable[[], None]) -> None:
        """Call it on the loop after something new has come into the spool."""
        self._spool_listeners.append(listener)

    def open(self, kind: Kind, subject: str, summary: str) -> None:
        """Say that something is wrong. A repetition updates the summary of the incident that is open."""
        summary = summary[:TEXT_CHARACTERS_MAX]
        former = self._open.get((kind, subject))
        if former is None:
            self._begin(kind, subject, summary)
        elif former.summary != summary:
            self._change(replace(former, summary=summary))

    def _begin(self, kind: Kind, subject: str, summary: str) -> None:
        if len(self._open) >= OPEN_MAX:
            log.error("%d incidents are open; not noted: %s, %s: %s", OPEN_MAX, kind, subject, summary)
            return
        log.warning("incident %s, %s: %s", kind, subject, summary)
        identity, severity = secrets.token_hex(8), KINDS[kind].severity
        self._change(Incident(identity, kind.value, subject, severity, self._now(), summary))

    def close(self, kind: Kind, subject: str, summary: str = "") -> None:
        """Say that it is well again, and how that came. Nothing happens where no incident is open."""
        former = self._open.get((kind, subject))
        if former is None:
            return
        log.info("incident %s, %s is over%s", kind, subject, f": {summary}" if summary else "")
        story = f"{former.summary}; {summary}" if summary else former.summary
        # the clock may have been set back meanwhile
        closed = max(self._now(), former.opened)
        self._change(replace(former, closed=closed, summary=story[:TEXT_CHARACTERS_MAX]))

    def remedied(self, kind: str, subject: str, what: str, outcome: str) -> None:
        """Note what was tried against the open incident and what came of it."""
        former = self._open.get((kind, subject))
        if former is None:
            return
        record = RemedyRecord(what, self._now(), outcome[:TEXT_CHARACTERS_MAX])
        self._change(replace(former, remedies=(*former.remedies, record)[-REMEDIES_MAX:]))

    async def run(self) -> None:
        """Bring changes to the disk until cancelled; then bring there what is left."""
        with ThreadPoolExecutor(1, thread_name_prefix="incidents") as executor:
            try:
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    await self._write(executor)
            finally:
                # behind what the thread may be writing now
                with suppress(OSError):
                    executor.submit(self._files.keep, self._known(), list(self._unwritten.values())).result()

    def _change(self, incident: Incident) -> None:
        self._place(incident)
        self._unwritten[incident.id] = incident
        while len(self._unwritten) > OPEN_MAX + ENDED_MAX:
            del self._unwritten[next(iter(self._unwritten))]
        self._wake.set()
        for listener in self._listeners:
            listener(incident)

    def _place(self, incident: Incident) -> None:
        key = incident.kind, incident.subject
        if incident.closed is None:
            self._open[key] = incident
            return
        self._open.pop(key, None)
        self._ended[incident.id] = incident
        while len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    def _known(self) -> list[Incident]:
        return [*self._ended.values(), *self._open.values()]

    async def _write(self, executor: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        changed = list(self._unwritten.values())
        try:
            await loop.run_in_executor(executor, self._files.keep, self._known(), changed)
        except OSError as error:
            if not self._failing:
                log.error("incidents cannot be kept on the disk, and wait: %s", error)
            self._failing = True
            loop.call_later(RETRY_S, self._wake.set)
            return
        self._failing = False
        for incident in changed:
            if self._unwritten.get(incident.id) is incident:
                del self._unwritten[incident.id]
        for listener in self._spool_listeners:
            listener()


def _opened(incident: Incident) -> tuple[datetime, str]:
    return incident.opened, incident.id
