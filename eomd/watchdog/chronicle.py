"""What becomes known of the server's life: diary, incidents and log, in the words that people read."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from eomd.watchdog.diary import Diary
from eomd.watchdog.excess import Resource
from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.schedule import Entry, Schedule
from eomd.watchdog.server_process import ServerProcess
from eomd.watchdog.stacks import find_place, keep_stacks, stacks_file
from eomd.watchdog.writer import Writer

log = logging.getLogger(__name__)

SUBJECT, CONFIGURATION = "server", "configuration"
#: a server that is well for so long has got over what it was restarted for
HEALTHY_S = 10.0
#: a start that takes longer is told of
UNREADY_S = 30.0

_EXCESS = {Resource.MEMORY: Kind.SERVER_MEMORY, Resource.DESCRIPTORS: Kind.SERVER_DESCRIPTORS}
#: what a new server is the remedy for
_CURED_BY_A_START = (Kind.SERVER_CRASHED, Kind.SERVER_STUCK, *_EXCESS.values())


class Chronicle:
    """Decides nothing."""

    def __init__(
        self, folder: Path, diary: Diary, incidents: Incidents, writer: Writer, schedule: Schedule
    ) -> None:
        self._folder, self._diary, self._incidents = folder, diary, incidents
        self._writer, self._schedule = writer, schedule
        self._due: Entry | None = None
        #: ends in a row that nobody ordered
        self.failures = 0
        #: of the last server, for people
        self.last_end = ""

    def started(self, server: ServerProcess, why: str) -> None:
        log.info("the server runs as process %d: %s", server.pid, why)
        self._diary.note("started", why, pid=server.pid)
        self._wait(UNREADY_S, self._unready)

    def ready(self, server: ServerProcess) -> None:
        outcome = f"serving again after {server.lived_s:.1f} s"
        self._diary.note("ready", outcome, pid=server.pid)
        for kind in _CURED_BY_A_START:
            self._incidents.remedied(kind, SUBJECT, "start", outcome)
        self._incidents.close(Kind.SERVER_UNREADY, SUBJECT)
        self._wait(HEALTHY_S, self._healthy)

    def ended(self, server: ServerProcess, code: int, pause_s: float) -> None:
        """A server ended that nobody ordered to; the next one is started after the pause."""
        self.failures += 1
        log.error("the server ended with %s: starting it again in %.1f s", _describe(code), pause_s)
        said = f"ended with {_describe(code)} after {server.lived_s:.0f} s"
        if self.failures > 1:
            said += f", {self.failures} times in a row"
        if server.stacks:
            said += self._keep_stacks(server, server.stacks)
        self._end("ended", said, server, code)
        self._incidents.open(Kind.SERVER_CRASHED, SUBJECT, said)

    def ordered(self, server: ServerProcess, why: str, code: int | None) -> None:
        """A server has ended, or leaves, as it was told to."""
        self._end("stopped", why, server, code)

    def stuck(self, server: ServerProcess, silence: str, stacks: str) -> None:
        self.failures += 1
        log.error("the server is stuck, %s: it is killed and started again", silence)
        said = f"{silence}: killed"
        if stacks:
            said += self._keep_stacks(server, stacks)
        self._end("killed", said, server, None)
        self._incidents.open(Kind.SERVER_STUCK, SUBJECT, said)

    def refused(self, problem: str, remedy: str) -> None:
        """A server did not start because of its configuration."""
        log.error("the configuration is wrong: %s; %s", problem, remedy)
        self._diary.note("refused", problem)
        self.configuration_wrong(problem, remedy)

    def configuration_wrong(self, problem: str, remedy: str) -> None:
        known = self._incidents.find_open(Kind.CONFIGURATION, CONFIGURATION)
        self._incidents.open(Kind.CONFIGURATION, CONFIGURATION, problem)
        if known is None or not known.remedies or known.remedies[-1].outcome != remedy:
            self._incidents.remedied(Kind.CONFIGURATION, CONFIGURATION, "last good configuration", remedy)

    def configuration_good(self) -> None:
        self._incidents.close(Kind.CONFIGURATION, CONFIGURATION, "the configuration is good again")

    def reloaded(self, who: str, taken: Sequence[str], waiting: Sequence[str]) -> None:
        """The configuration was read again and taken over."""
        said = f"{who}: {', '.join(taken) or 'nothing'} taken over"
        if waiting:
            said += f"; waiting for a restart: {', '.join(waiting)}"
        log.info("the configuration was read again, %s", said)
        self._diary.note("reloaded", said)

    def not_started(self, error: OSError) -> None:
        self.failures += 1
        log.error("the server could not be started: %s", error)
        self._incidents.open(Kind.SERVER_CRASHED, SUBJECT, f"could not be started: {error}")

    def starved(self, pressure: str) -> None:
        self._incidents.open(Kind.SERVER_STARVED, SUBJECT, f"the machine gives it no time: {pressure}")

    def fed(self) -> None:
        self._incidents.close(Kind.SERVER_STARVED, SUBJECT)

    def outgrown(self, resource: Resource, said: str) -> None:
        self._incidents.open(_EXCESS[resource], SUBJECT, said)

    def came_late(self, late_s: float) -> None:
        said = f"the watchdog was kept from running for {late_s:.1f} s"
        log.warning("%s: nothing is concluded from it", said)
        self._incidents.open(Kind.WATCHDOG_LATE, "watchdog", said)
        self._incidents.close(Kind.WATCHDOG_LATE, "watchdog")

    def wished(self, what: str, who: str) -> None:
        log.info("%s by %s", what, who)
        self._diary.note(what, f"ordered by {who}")

    def rest(self) -> None:
        """Nothing is awaited of the server any more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _end(self, what: str, said: str, server: ServerProcess, code: int | None) -> None:
        self.rest()
        self.last_end = said
        self._diary.note(what, said, pid=server.pid, code=code, lived_s=round(server.lived_s, 1))

    def _keep_stacks(self, server: ServerProcess, stacks: str) -> str:
        file = stacks_file(self._folder, server.pid)
        self._writer.later(keep_stacks, file, stacks)
        place = find_place(stacks)
        return f"{f' in {place}' if place else ''}; stacks in {file}"

    def _wait(self, seconds: float, what: Callable[[], None]) -> None:
        self.rest()
        self._due = self._schedule.after(seconds, what)

    def _unready(self) -> None:
        self._incidents.open(Kind.SERVER_UNREADY, SUBJECT, f"not ready {UNREADY_S:.0f} s after its start")

    def _healthy(self) -> None:
        self.failures = 0
        for kind in _CURED_BY_A_START:
            self._incidents.close(kind, SUBJECT, f"well for {HEALTHY_S:.0f} s since")


_CODES = {
    os.EX_CONFIG: "its configuration wrong (exit code 78)",
    os.EX_TEMPFAIL: "its data folder held by another process (exit code 75)",
}


def _describe(code: int) -> str:
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"signal {names.get(-code, str(-code))}"
    return _CODES.get(code, f"exit code {code}")
