"""The watchdog put together: sockets, the server's supervisor, the control socket and further parts.

Small on purpose: no numpy, no pydantic, no handlers. What it holds must survive any fault of the server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from socket import socket
from typing import Any, Protocol

from eomd.errors import EomdError, FolderInUseError
from eomd.handover import API, HTTP
from eomd.listen import close_sockets, format_bound, open_sockets, open_unix, parse_listen, systemd_sockets
from eomd.logs import set_up_logging
from eomd.runtime import (
    API_SOCKET,
    SERVER_PID,
    UP_PID,
    UP_SOCKET,
    PidFile,
    make_runtime_folder,
    remove_runtime_folder,
    running_pid,
)
from eomd.watchdog.charge import Charge
from eomd.watchdog.charging import load_charge
from eomd.watchdog.control import Control
from eomd.watchdog.notify import notify
from eomd.watchdog.orphan import end_orphan
from eomd.watchdog.supervisor import DRAIN_S, ServerState, Supervisor

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: before a part that broke is run again
PART_PAUSE_S = 1.0


class Part(Protocol):
    """The supervisor, or what works beside it."""

    @property
    def name(self) -> str:
        """Its key in the status."""

    async def run(self) -> object:
        """Work until cancelled."""

    def view(self) -> dict[str, object]:
        """Return how it stands, ready for JSON."""

    def take_charge(self, charge: Charge) -> None:
        """Go on with a changed configuration."""


async def keep_up(config: Path | None, environ: Mapping[str, str]) -> int:
    """Run the watchdog of this configuration to its end; return the exit code.

    Raises ConfigurationError, ListenError where an address cannot be had, FolderInUseError for a second one.
    """
    signals = Signals()
    try:
        charge = await load_charge(config, environ)
        set_up_logging(charge.log.level, charge.log.format, charge.secrets)
        code = await Watchdog(charge, environ, signals).run()
    except asyncio.CancelledError:
        # told to stop before there was anything to stop
        if not signals.stopped_by:
            raise
        code = os.EX_OK
    return 128 + signal.SIGINT if signals.stopped_by == signal.SIGINT else code


class Signals:
    """What signals do, which changes once there is something to end in order."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.stopped_by = 0
        task = asyncio.current_task()
        assert task is not None
        self.stop: Callable[[], object] = task.cancel
        self.reload: Callable[[], None] = lambda: None
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._hear_stop, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.reload())

    def _hear_stop(self, number: int) -> None:
        self.stopped_by = number
        self.stop()


class Watchdog:
    """One run of `eomd up`."""

    def __init__(self, charge: Charge, environ: Mapping[str, str], signals: Signals) -> None:
        self._charge, self._environ, self._signals = charge, environ, signals
        self._pid_file = PidFile(charge.runtime / UP_PID)
        self._sockets: dict[str, socket] = {}
        #: beside the supervisor
        self._parts: list[Part] = []

    async def run(self) -> int:
        """Keep everything running until a signal says otherwise. Return the process's exit code."""
        make_runtime_folder(self._charge.runtime)
        self._pid_file.acquire()
        try:
            await self._open_sockets()
            self._assemble()
            return await self._work()
        finally:
            notify(self._environ, "STOPPING=1")
            close_sockets(self._sockets)
            self._pid_file.release()
            remove_runtime_folder(self._charge.runtime)

    async def _open_sockets(self) -> None:
        """Take systemd's sockets, else open ours, once a server that outlived its watchdog has ended."""
        self._sockets = systemd_sockets(self._environ)
        holder = running_pid(self._charge.runtime / SERVER_PID)
        if holder is not None:
            await self._succeed(holder)
        if HTTP not in self._sockets:
            self._sockets |= open_sockets(parse_listen(self._charge.listen), None)
        if API not in self._sockets:
            self._sockets[API] = open_unix(self._charge.runtime / API_SOCKET, 0o600)

    async def _succeed(self, holder: int) -> None:
        log.warning("a server that lost its watchdog still runs as process %d: waiting for its end", holder)
        if not await end_orphan(holder, DRAIN_S):
            raise FolderInUseError(f"a server without a watchdog runs as process {holder}: end it first")

    def _assemble(self) -> None:
        """Make every part and tell each about those it needs."""
        self._supervisor = Supervisor(self._charge, self._environ, self._sockets)
        self._supervisor.add_listener(self._hear_server)
        self._control = Control(open_unix(self._charge.runtime / UP_SOCKET, 0o600))
        self._control.register("status", self._status)
        self._control.register("reload", self._reload)

    async def _work(self) -> int:
        self._signals.stop = self._supervisor.end
        self._signals.reload = self._hear_reload
        tasks = [asyncio.create_task(self._control.run())]
        tasks += [asyncio.create_task(_keep(part)) for part in self._parts]
        try:
            return await self._supervisor.run()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _hear_reload(self) -> None:
        self._reloading = asyncio.create_task(self._try_reload())

    async def _try_reload(self) -> None:
        try:
            await self._reload()
        except EomdError as error:
            for problem in str(error).splitlines():
                log.error("the configuration is not taken over: %s", problem)

    async def _reload(self) -> dict[str, Any]:
        """Read the configuration again and restart the server with it. Raises ConfigurationError."""
        self._charge = await load_charge(self._charge.source, self._environ)
        for part in self._everything:
            part.take_charge(self._charge)
        return {"outcome": await self._supervisor.restart("the configuration was read again")}

    async def _status(self) -> dict[str, Any]:
        return {part.name: part.view() for part in self._everything}

    @property
    def _everything(self) -> list[Part]:
        return [self._supervisor, *self._parts]

    def _hear_server(self, state: ServerState) -> None:
        if state is ServerState.READY:
            notify(self._environ, "READY=1")
            log.info("ready at %s", ", ".join(format_bound(s) for n, s in self._sockets.items() if n != API))


async def _keep(part: Part) -> None:
    """Run a part, and run it again should it break: one part's fault must not end the watchdog."""
    while True:
        try:
            await part.run()
            return
        except Exception:
            log.exception("the watchdog's part %s broke: running it again", part.name)
        await asyncio.sleep(PART_PAUSE_S)
