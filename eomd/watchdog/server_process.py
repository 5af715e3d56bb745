"""The server as the watchdog's child: given the sockets, heard through the heartbeat pipe, ended in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from socket import socket
from typing import Any

from eomd.handover import Sign, handover_environment

log = logging.getLogger(__name__)

#: systemd's names are for the watchdog; the server is told by the handover's
_NOT_HANDED_DOWN = (
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)


class ServerProcess:
    """One life of the server. Made, started and ended once, on a running loop."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        sockets: Mapping[str, socket],
        on_sign: Callable[[Sign], None],
    ) -> None:
        self._command = command
        self._environ = {name: value for name, value in environ.items() if name not in _NOT_HANDED_DOWN}
        self._sockets = sockets
        self._on_sign = on_sign
        self._loop = asyncio.get_running_loop()
        self._started = 0.0
        self._heartbeat = -1
        self._pidfd = -1
        self._child: subprocess.Popen[bytes] | None = None
        #: the exit code, negative for a signal
        self.exited: asyncio.Future[int] = self._loop.create_future()

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    @property
    def lived_s(self) -> float:
        return time.monotonic() - self._started

    def start(self) -> None:
        """Start the process in a group of its own: Ctrl-C in a terminal reaches the watchdog alone.

        Raises OSError where no process could be made; starting another one later may succeed.
        """
        self._started = time.monotonic()
        self._heartbeat, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._child = subprocess.Popen(
                self._command,
                env={**self._environ, **handover_environment(self._sockets, writing)},
                pass_fds=[writing, *(s.fileno() for s in self._sockets.values())],
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError:
            os.close(self._heartbeat)
            raise
        finally:
            # with our copy closed, the pipe's end tells that the server is gone
            os.close(writing)
        self._pidfd = os.pidfd_open(self._child.pid)
        self._loop.add_reader(self._heartbeat, self._read_signs)
        self._loop.add_reader(self._pidfd, self._reap)

    def _read_signs(self) -> None:
        received = b""
        with suppress(BlockingIOError):
            received = os.read(self._heartbeat, 4096)
            if not received:
                self._loop.remove_reader(self._heartbeat)
        for sign in Sign:
            if sign.value in received:
                self._on_sign(sign)

    def _reap(self) -> None:
        assert self._child is not None
        # the dead leader keeps its group's number until it is waited for, so this hits nobody else
        self.kill()
        self._loop.remove_reader(self._pidfd)
        self._loop.remove_reader(self._heartbeat)
        os.close(self._pidfd)
        os.close(self._heartbeat)
        self.exited.set_result(self._child.wait())

    def kill(self) -> None:
        """Kill the whole group at once."""
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    async def stop(self, drain_s: float, hurry: asyncio.Event) -> int:
        """Let the server drain for `drain_s` or until `hurry`, then kill it. Return its exit code."""
        if self._child is not None and self._child.returncode is None:
            os.kill(self._child.pid, signal.SIGTERM)
        impatient = asyncio.create_task(hurry.wait())
        either: set[asyncio.Future[Any]] = {self.exited, impatient}
        await asyncio.wait(either, timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if not self.exited.done():
            log.warning("the server did not end by itself: killing it")
            self.kill()
        return await self.exited
