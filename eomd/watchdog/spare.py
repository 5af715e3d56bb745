"""The standby: a process that has done a server's imports and waits to be told to serve."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from socket import socket

from eomd.handover import Sign
from eomd.watchdog.backoff import Backoff
from eomd.watchdog.configuration import Launch
from eomd.watchdog.pressure import take_sample
from eomd.watchdog.schedule import Entry, Schedule
from eomd.watchdog.server_process import ServerProcess

log = logging.getLogger(__name__)

#: pauses before another one is started
FIRST_S, LONGEST_S = 1.0, 60.0


class Spare:
    """At most one at a time. It holds nothing, so that it may be killed at any time."""

    def __init__(
        self, launch: Callable[[], Launch], sockets: Mapping[str, socket], schedule: Schedule
    ) -> None:
        """`launch`: how a server would be started now."""
        self._launch, self._sockets, self._schedule = launch, sockets, schedule
        self._backoff = Backoff(FIRST_S, LONGEST_S)
        self._server: ServerProcess | None = None
        self._again: Entry | None = None
        self._wanted = False

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server else None

    def want(self, wanted: bool) -> None:
        """Have one at hand from now on, or none."""
        self._wanted = wanted
        if not wanted:
            self.dismiss()
        elif self._again is None:
            self._have_one()

    def dismiss(self) -> None:
        """End the one that there is."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        server, self._server = self._server, None
        if server is not None:
            server.kill()

    async def prepare(self) -> bool:
        """Have one even where none is wanted otherwise; True once it waits for its order."""
        self._have_one()
        return self._server is not None and await self._server.until(Sign.WAITING)

    def take(self, launch: Launch) -> ServerProcess | None:
        """Give the standby away; None where there is none that could serve like this."""
        server, self._server = self._server, None
        if server is None or server.exited.done():
            return None
        sample = take_sample(server.pid)
        if sample is None or sample.stopped or not server.launch.is_like(launch):
            server.kill()
            return None
        # it reads its files once it serves
        server.launch = launch
        return server

    def _have_one(self) -> None:
        """Start one unless there is one that can serve."""
        launch = self._launch()
        if self._server is not None and not self._server.launch.is_like(launch):
            self.dismiss()
        self._again = None
        if self._server is not None:
            return
        server = ServerProcess(launch, self._sockets, standby=True)
        try:
            server.start()
        except OSError as error:
            log.warning("a standby could not be started: %s", error)
            self._later(0.0)
            return
        self._server = server
        server.exited.add_done_callback(lambda _: self._ended(server))

    def _ended(self, server: ServerProcess) -> None:
        if server is self._server:
            self._server = None
            self._later(server.lived_s)

    def _later(self, lived_s: float) -> None:
        if self._wanted:
            self._again = self._schedule.after(self._backoff.after_exit(lived_s), self._have_one)
