"""Servers whose watchdog was killed: they end by themselves, its successor insists and sees them off."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil

from eomd.handover import FROM


class Orphan:
    """A process that lost its watchdog. For one loop."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError where it is gone."""
        self.pid = pid
        # whatever gets this number after it, no signal of ours reaches that
        self._pidfd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._end)

    def terminate(self) -> None:
        """Tell it to drain and end; a stopped one hears that only once it goes on."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            self._signal(number)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self.exited.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.exited.set_result(None)


def find_orphans(watchdog: int) -> Iterator[Orphan]:
    """Yield what the watchdog of this pid, which is gone, had started: servers and standbys.

    A server that somebody started by hand is none of them, nor is the child of another watchdog that has the
    same pid now.
    """
    for process in psutil.process_iter():
        if _is_orphan(process, watchdog):
            with suppress(ProcessLookupError):
                yield Orphan(process.pid)


def _is_orphan(process: psutil.Process, watchdog: int) -> bool:
    try:
        return process.environ().get(FROM) == str(watchdog) and process.ppid() != watchdog
    except (psutil.Error, OSError):
        return False
