"""Faults of eomd's own processes."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from eomd.watchdog.kinds import Kind
from tests.chaos.fault import Fault, IncidentFault


class _ServerFault(IncidentFault):
    """Something that another server has to come for."""

    subject = "server"
    passing = True
    number: int

    def begin(self) -> None:
        self._pid = self.system.eyes.server_pid()
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, self.number)

    def healed(self) -> bool:
        return self.system.eyes.server_pid() not in (None, self._pid) and self.system.eyes.serves()


class ServerKilled(_ServerFault):
    name = "server killed"
    kinds = (Kind.SERVER_CRASHED,)
    number = signal.SIGKILL


class ServerFrozen(_ServerFault):
    name = "server frozen"
    kinds = (Kind.SERVER_STUCK,)
    number = signal.SIGSTOP


class _UnitFault(Fault):
    """Something that systemd has to see to; noticed when it does."""

    subject = "watchdog"
    passing = True

    def inject(self) -> None:
        self._pid, self._server = self.system.unit.pid, self.system.eyes.server_pid()
        self.begin()

    def begin(self) -> None:
        """Put it on."""
        raise NotImplementedError

    def noticed(self) -> bool:
        return self.system.unit.pid != self._pid

    def healed(self) -> bool:
        eyes = self.system.eyes
        return self.noticed() and eyes.server_pid() not in (None, self._server) and eyes.serves()


class WatchdogKilled(_UnitFault):
    name = "watchdog killed"

    def begin(self) -> None:
        self.system.unit.signal(signal.SIGKILL)


class WatchdogFrozen(_UnitFault):
    name = "watchdog frozen"

    def begin(self) -> None:
        self.system.unit.signal(signal.SIGSTOP)


class Restarted(_UnitFault):
    name = "SIGTERM, started again"

    def begin(self) -> None:
        self.system.unit.stop()
        self.system.unit.start()
