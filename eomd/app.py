"""The server: its rooms on one IOLoop, from start to the end of the drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer

from eomd.config import Settings
from eomd.errors import ConfigurationError, MigrationRefusedError, UnavailableError
from eomd.handlers.application import make_application
from eomd.handlers.views import ReloadView
from eomd.handover import API, Sign, give_sign
from eomd.listen import is_local
from eomd.loop_monitor import LoopMonitor
from eomd.reconfigure import Reconfiguration
from eomd.rooms import Rooms, furnish
from eomd.storage.files import DataFolder

logger = logging.getLogger(__name__)

EXIT_BROKEN = 1
EXIT_CONFIGURATION = 78
#: how long an executor's thread may keep the loop's thread waiting for the interpreter
SWITCH_S = 0.001
#: for what runs: requests being answered, operations between two requests
DRAIN_S_MAX = 20.0
#: how long the start waits for the ledger before it goes on without
LEDGER_WAIT_S = 5.0
LEDGER_PAUSE_S = 1.0
#: between two looks at tokens and definitions that somebody may have changed in the ledger
REFRESH_S = 30.0
RETENTION_S = 3600.0
HEADER_BYTES_MAX = 32 * 1024
#: a connection without a request, or with half of one's headers
IDLE_S_MAX = 75.0


def run(settings: Settings, sockets: Mapping[str, socket.socket], heartbeat: int | None) -> int:
    """Serve on these listening sockets until a signal, or until nobody reads the heartbeat; the exit code.

    `sockets`: the one named `api` is the machine's own, each other one is HTTP. They are closed at the end.
    Raises FolderInUseError while another server holds the data folder, ConfigurationError.
    """
    sys.setswitchinterval(SWITCH_S)
    data = DataFolder(settings.data_dir)
    data.lock()
    try:
        data.create()
        return asyncio.run(_run(settings, data, sockets, heartbeat))
    finally:
        data.unlock()


async def _run(
    settings: Settings, data: DataFolder, sockets: Mapping[str, socket.socket], heartbeat: int | None
) -> int:
    api = sockets.get(API)
    api_socket = Path(api.getsockname()) if api else None
    rooms = furnish(settings, data, api_socket)
    exposed = not all(is_local(listener) for listener in sockets.values())
    configuration = Reconfiguration(settings, rooms, api_socket, exposed=exposed)
    server = Server(configuration, rooms, sockets, heartbeat)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    return await server.run()


class Server:
    """One life of the server."""

    def __init__(
        self,
        configuration: Reconfiguration,
        rooms: Rooms,
        sockets: Mapping[str, socket.socket],
        heartbeat: int | None,
    ) -> None:
        self._configuration, self._rooms = configuration, rooms
        self._sockets, self._heartbeat = sockets, heartbeat
        self._monitor = LoopMonitor(rooms.context.metrics.observe_lag)
        self._stopping = asyncio.Event()
        #: set once the ledger has been joined, or has been found to be away
        self._ledger_tried = asyncio.Event()
        self._exit_code = 0
        self._https: list[HTTPServer] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Start, serve, drain; return the exit code."""
        try:
            await self._start()
            await self._stopping.wait()
        finally:
            await self._drain()
        return self._exit_code

    def stop(self) -> None:
        """Have `run` drain and end."""
        self._stopping.set()

    async def _start(self) -> None:
        self._monitor.start()
        self._configuration.start()
        await self._rooms.recorder.open()
        await self._rooms.recovery.resume()
        self._spawn(self._join_ledger())
        self._spawn(self._rooms.incidents.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(LEDGER_WAIT_S):
                await self._ledger_tried.wait()
        if self._stopping.is_set():
            return
        self._listen()
        # what is there now stays: the collector need not look at it again
        gc.freeze()
        self._spawn(self._retire())
        if self._heartbeat is not None:
            give_sign(self._heartbeat, Sign.READY)
            self._spawn(self._beat(self._heartbeat))
        logger.info("Ready")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._look_after)
        self._tasks.append(task)

    def _look_after(self, task: asyncio.Task[None]) -> None:
        """End the server where one of its tasks broke: half a server helps nobody."""
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A task of the server broke", exc_info=error)
            self._exit_code = EXIT_BROKEN
            self._stopping.set()
            self._ledger_tried.set()

    def _listen(self) -> None:
        application = make_application(self._rooms.context)
        tls = self._configuration.tls
        for name, listener in self._sockets.items():
            server = HTTPServer(
                application,
                ssl_options=None if name == API else tls,
                max_header_size=HEADER_BYTES_MAX,
                idle_connection_timeout=IDLE_S_MAX,
            )
            listener.setblocking(False)
            server.add_socket(listener)
            self._https.append(server)
        self._configuration.on_certificate = self._use_certificate
        self._rooms.context.reload = self._reload

    async def _reload(self) -> ReloadView:
        outcome = await self._configuration.reload()
        return {
            "taken": outcome.taken,
            "needs_restart": outcome.needs_restart,
            "problems": outcome.problems,
        }

    def _use_certificate(self, tls: ssl.SSLContext) -> None:
        """Meet new connections with another certificate; those there are keep theirs."""
        for server in self._https:
            if server.ssl_options is not None:
                server.ssl_options = tls

    # --- the ledger

    async def _join_ledger(self) -> None:
        """Get the tables right as soon as the ledger answers; look into it whenever hand-ins are in doubt."""
        try:
            await self._prepare_tables()
        except (MigrationRefusedError, ConfigurationError) as error:
            logger.error("The ledger cannot be used: %s", error)
            self._exit_code = EXIT_CONFIGURATION
            self._stopping.set()
            self._ledger_tried.set()
            return
        await self._rooms.ledger.open()
        self._spawn(self._refresh())
        while True:
            await self._rooms.hand_ins.wait_for_doubt()
            await self._meet_ledger()
            self._ledger_tried.set()

    async def _prepare_tables(self) -> None:
        while True:
            try:
                if self._configuration.settings.ledger.auto_migrate:
                    await self._rooms.ledger.migrate()
                elif await self._rooms.ledger.pending_migrations():
                    raise ConfigurationError("the ledger's tables are not up to date: run eomd migrate")
            except UnavailableError as error:
                if not self._ledger_tried.is_set():
                    logger.warning("Starting without the ledger: %s", error)
                    self._ledger_tried.set()
                await asyncio.sleep(LEDGER_PAUSE_S)
            else:
                return

    async def _meet_ledger(self) -> None:
        """Ask the ledger, as soon as it answers, what must be known before hand-ins are taken."""
        while True:
            try:
                await self._rooms.ledger.ping()
                await self._rooms.definitions.refresh()
                await self._rooms.context.access.tokens.refresh()
                await self._rooms.hand_ins.settle(self._rooms.recovery.meet_ledger)
            except UnavailableError:
                self._ledger_tried.set()
                await asyncio.sleep(LEDGER_PAUSE_S)
            else:
                return

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            with suppress(UnavailableError):
                await self._rooms.context.access.tokens.refresh()
                await self._rooms.definitions.refresh()

    async def _retire(self) -> None:
        while True:
            await asyncio.sleep(RETENTION_S)
            try:
                await self._rooms.retention.retire()
            except UnavailableError as error:
                logger.info("Retention waits: %s", error)
            except OSError as error:
                logger.error("Retention failed: %s", error)

    # --- the watchdog

    async def _beat(self, heartbeat: int) -> None:
        """Give a sign of life; end once nobody is there to read it."""
        while give_sign(heartbeat):
            await asyncio.sleep(self._configuration.settings.watchdog.heartbeat_s)
        logger.warning("The watchdog has gone; ending")
        self._stopping.set()

    # --- the end

    async def _drain(self) -> None:
        """Take nothing new, let what runs come to a stop, close everything."""
        logger.info("Draining")
        if self._heartbeat is not None:
            give_sign(self._heartbeat, Sign.DRAINING)
        context = self._rooms.context
        context.draining.set()
        self._rooms.desk.begin_draining()
        for server in self._https:
            # the sockets' owner keeps them open: who connects from now on is the next server's
            if self._heartbeat is not None:
                server.stop()
            server.conn_params.no_keep_alive = True
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S_MAX):
                await self._rooms.schedule.drain()
                await context.idle.wait()
        await self._rooms.schedule.abort()
        await self._close()
        logger.info("Ended")

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._https:
            server.stop()
            await server.close_all_connections()
        context = self._rooms.context
        await context.settle()
        await self._rooms.fleet.close()
        await self._rooms.recorder.close()
        await self._rooms.ledger.close()
        self._monitor.stop()
        context.receiving.shutdown()
        self._rooms.executors.close()
        gc.unfreeze()
