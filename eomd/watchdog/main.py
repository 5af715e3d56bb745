"""The watchdog: holds the listening sockets, keeps the server running, ends it in order.

Small on purpose: no numpy, no handlers, no database. What it holds must survive any fault of the server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

from eomd.errors import ConfigurationError, FolderInUseError
from eomd.handover import API, HTTP, Sign
from eomd.listen import ListenAddress, close_sockets, format_bound, open_sockets, open_unix, systemd_sockets
from eomd.runtime import (
    API_SOCKET,
    SERVER_PID,
    UP_PID,
    PidFile,
    make_runtime_folder,
    remove_runtime_folder,
    running_pid,
)
from eomd.watchdog.backoff import Backoff
from eomd.watchdog.notify import notify
from eomd.watchdog.orphan import end_orphan
from eomd.watchdog.server_process import ServerProcess

log = logging.getLogger(__name__)

DRAIN_S = 30.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Charge:
    """What the watchdog is to keep running."""

    #: where sockets and pid files stand
    runtime: Path
    listen: ListenAddress
    #: the server's command line
    command: tuple[str, ...]
    environ: Mapping[str, str]
    #: first pause, longest pause
    restart_backoff_s: tuple[float, float]


class Watchdog:
    """One run of `eomd up`."""

    def __init__(self, charge: Charge, check: Callable[[], None]) -> None:
        """`check` raises ConfigurationError while the configuration would stop a new server."""
        self._charge = charge
        self._check = check
        self._backoff = Backoff(*charge.restart_backoff_s)
        self._pid_file = PidFile(charge.runtime / UP_PID)
        self._sockets: dict[str, socket] = {}
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reload = asyncio.Event()
        self._stop_signal = 0
        self._was_ready = False

    async def run(self) -> int:
        """Keep the server running until a signal says otherwise. Return the process's exit code.

        Raises ListenError where an address cannot be had, FolderInUseError for a second watchdog.
        """
        make_runtime_folder(self._charge.runtime)
        self._pid_file.acquire()
        self._hear_signals()
        try:
            await self._open_sockets()
            return await self._keep_server()
        finally:
            notify(self._charge.environ, "STOPPING=1")
            close_sockets(self._sockets)
            self._pid_file.release()
            remove_runtime_folder(self._charge.runtime)

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._hear_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _hear_stop(self, number: int) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop_signal = number
        self._stop.set()

    async def _open_sockets(self) -> None:
        """Take systemd's sockets, else open ours, once a server that outlived its watchdog has ended."""
        self._sockets = systemd_sockets(self._charge.environ)
        holder = running_pid(self._charge.runtime / SERVER_PID)
        if holder is not None:
            await self._succeed(holder)
        api = self._charge.runtime / API_SOCKET
        if HTTP not in self._sockets:
            self._sockets |= open_sockets(self._charge.listen, None)
        if API not in self._sockets:
            self._sockets[API] = open_unix(api, 0o600)

    async def _succeed(self, holder: int) -> None:
        log.warning("a server that lost its watchdog still runs as process %d: waiting for its end", holder)
        if not await end_orphan(holder, DRAIN_S):
            raise FolderInUseError(f"a server without a watchdog runs as process {holder}: end it first")

    async def _keep_server(self) -> int:
        while not self._stop.is_set():
            server = self._make_server()
            code = await self._watch(server)
            if self._stop.is_set():
                break
            if code == os.EX_CONFIG and not self._was_ready:
                return code
            if self._reload.is_set():
                continue
            pause_s = self._backoff.after_exit(server.lived_s)
            log.error("the server ended with %s: starting it again in %.1f s", _describe(code), pause_s)
            await self._rest(pause_s)
        return 0 if self._stop_signal != signal.SIGINT else 128 + signal.SIGINT

    def _make_server(self) -> ServerProcess:
        return ServerProcess(self._charge.command, self._charge.environ, self._sockets, self._hear_sign)

    async def _watch(self, server: ServerProcess) -> int:
        """Start the server and return its exit code, whoever wanted it to end."""
        self._reload.clear()
        try:
            server.start()
        except OSError as error:
            log.error("the server could not be started: %s", error)
            return os.EX_OSERR
        log.info("the server runs as process %d", server.pid)
        while not server.exited.done():
            await self._something_happened(server)
            if self._stop.is_set() or (self._reload.is_set() and self._may_reload()):
                return await server.stop(DRAIN_S, self._hurry)
        return server.exited.result()

    async def _something_happened(self, server: ServerProcess) -> None:
        orders = [asyncio.create_task(event.wait()) for event in (self._stop, self._reload)]
        waited: set[asyncio.Future[Any]] = {server.exited, *orders}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        for order in orders:
            order.cancel()

    def _may_reload(self) -> bool:
        try:
            self._check()
        except ConfigurationError as error:
            for problem in error.problems:
                log.error("the configuration is not taken over: %s", problem)
            self._reload.clear()
            return False
        return True

    async def _rest(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stop.wait()

    def _hear_sign(self, sign: Sign) -> None:
        if sign is Sign.READY:
            self._was_ready = True
            notify(self._charge.environ, "READY=1")
            log.info("ready at %s", ", ".join(format_bound(s) for n, s in self._sockets.items() if n != API))


def _describe(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
