"""The server's life under the watchdog: started, started again, stopped in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from socket import socket
from typing import Any

from eomd.handover import Sign
from eomd.watchdog.backoff import Backoff
from eomd.watchdog.charge import Charge
from eomd.watchdog.charging import eomd_command
from eomd.watchdog.server_process import ServerProcess

log = logging.getLogger(__name__)

DRAIN_S = 30.0


class ServerState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    SLOW = "slow"
    STARVED = "starved"
    STUCK = "stuck"
    DRAINING = "draining"
    STOPPED = "stopped"


Listener = Callable[[ServerState], None]


class Supervisor:
    """Keeps one server running on the sockets it is given."""

    name = "server"

    def __init__(self, charge: Charge, environ: Mapping[str, str], sockets: Mapping[str, socket]) -> None:
        self._charge, self._environ, self._sockets = charge, environ, sockets
        self._backoff = Backoff(*charge.watchdog.restart_backoff_s)
        self._listeners: list[Listener] = []
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._restart = asyncio.Event()
        self._was_ready = False
        self._server: ServerProcess | None = None
        self.state = ServerState.STOPPED
        self.since = datetime.now(UTC)

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server and self.state is not ServerState.STOPPED else None

    def view(self) -> dict[str, object]:
        return {"state": self.state.value, "since": self.since.isoformat(), "pid": self.pid}

    def take_charge(self, charge: Charge) -> None:
        """Use this from the next start on."""
        self._charge = charge
        self._backoff = Backoff(*charge.watchdog.restart_backoff_s)

    def add_listener(self, listener: Listener) -> None:
        """Have each change of state told."""
        self._listeners.append(listener)

    def end(self) -> None:
        """Have `run` drain the server and return; a second call does not wait for it."""
        if self._ending.is_set():
            self._hurry.set()
        self._ending.set()

    async def restart(self, why: str) -> str:
        """Drain the server and start it again; return the outcome."""
        log.info("restarting the server: %s", why)
        self._restart.set()
        return "ordered"

    async def run(self) -> int:
        """Keep the server running until `end`. Return the exit code."""
        while not self._ending.is_set():
            server = self._make_server()
            code = await self._watch(server)
            self._enter(ServerState.STOPPED)
            if self._ending.is_set():
                break
            if code == os.EX_CONFIG and not self._was_ready:
                return code
            if self._restart.is_set():
                continue
            pause_s = self._backoff.after_exit(server.lived_s)
            log.error("the server ended with %s: starting it again in %.1f s", _describe(code), pause_s)
            await self._rest(pause_s)
        return os.EX_OK

    def _enter(self, state: ServerState) -> None:
        if state is not self.state:
            self.state, self.since = state, datetime.now(UTC)
            for listener in self._listeners:
                listener(state)

    def _make_server(self) -> ServerProcess:
        command = eomd_command("serve", self._charge.source)
        return ServerProcess(command, self._environ, self._sockets, self._hear_sign)

    async def _watch(self, server: ServerProcess) -> int:
        """Start the server and return its exit code, whoever wanted it to end."""
        self._restart.clear()
        try:
            server.start()
        except OSError as error:
            log.error("the server could not be started: %s", error)
            return os.EX_OSERR
        log.info("the server runs as process %d", server.pid)
        self._server = server
        self._enter(ServerState.STARTING)
        await self._something_happened(server)
        if not server.exited.done():
            self._enter(ServerState.DRAINING)
            return await server.stop(DRAIN_S, self._hurry)
        return server.exited.result()

    async def _something_happened(self, server: ServerProcess) -> None:
        orders = [asyncio.create_task(event.wait()) for event in (self._ending, self._restart)]
        waited: set[asyncio.Future[Any]] = {server.exited, *orders}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        for order in orders:
            order.cancel()

    async def _rest(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._ending.wait()

    def _hear_sign(self, sign: Sign) -> None:
        if sign is Sign.READY:
            self._was_ready = True
            self._enter(ServerState.READY)
        elif sign is Sign.DRAINING:
            self._enter(ServerState.DRAINING)


def _describe(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
