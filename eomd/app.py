"""The server: its rooms on one IOLoop, from start to the end of the drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer

from eomd.config import Settings
from eomd.errors import ConfigurationError, MigrationRefusedError, UnavailableError
from eomd.handlers.application import make_application
from eomd.handlers.views import ReloadView
from eomd.handover import API, Heartbeat, Sign
from eomd.heartbeat import Heart
from eomd.http_server import BoundedServer
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
_UNBOUNDED = sys.maxsize


def run(
    settings: Settings,
    sockets: Mapping[str, socket.socket],
    heartbeat: int | None,
    on_handover: Callable[[], None],
) -> int:
    """Serve on these listening sockets until a signal, or until nobody reads the heartbeat; the exit code.

    `sockets`: the one named `api` is the machine's own, each other one is HTTP. They are closed at the end.
    `on_handover` is called once this server writes nothing any more: another one may take over.
    Raises FolderInUseError while another server holds the data folder, ConfigurationError.
    """
    sys.setswitchinterval(SWITCH_S)
    data = DataFolder(settings.data_dir)
    data.lock()
    try:
        data.create()
        return asyncio.run(_run(settings, data, sockets, heartbeat, on_handover))
    finally:
        data.unlock()


async def _run(
    settings: Settings,
    data: DataFolder,
    sockets: Mapping[str, socket.socket],
    heartbeat: int | None,
    on_handover: Callable[[], None],
) -> int:
    api = sockets.get(API)
    api_socket = Path(api.getsockname()) if api else None
    rooms = furnish(settings, data, api_socket)
    exposed = not all(is_local(listener) for listener in sockets.values())
    configuration = Reconfiguration(settings, rooms, api_socket, exposed=exposed)
    server = Server(configuration, rooms, sockets, heartbeat, on_handover)
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
        on_handover: Callable[[], None] = lambda: None,
    ) -> None:
        self._configuration, self._rooms = configuration, rooms
        self._sockets, self._on_handover = sockets, on_handover
        self._heart = Heart(heartbeat, self._take_pulse, self._heartbeat_s)
        self._monitor = LoopMonitor(rooms.context.metrics.observe_lag)
        self._stopping = asyncio.Event()
        #: set once the ledger has been joined, or has been found to be away
        self._ledger_tried = asyncio.Event()
        self._exit_code = 0
        self._https: list[HTTPServer] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Start, serve, drain; return the exit code."""
        beating = asyncio.create_task(self._beat())
        try:
            await self._start()
            await self._stopping.wait()
        finally:
            await self._drain()
            beating.cancel()
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
        self._spawn(self._rooms.outbox.run())
        self._spawn(self._rooms.desk.approvals.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(LEDGER_WAIT_S):
                await self._ledger_tried.wait()
        if self._stopping.is_set():
            return
        self._listen()
        # what is there now stays: the collector need not look at it again
        gc.freeze()
        self._spawn(self._retire())
        self._heart.say(Sign.READY)
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
        context = self._rooms.context
        application = make_application(context)
        tls = self._configuration.tls
        for name, listener in self._sockets.items():
            server = BoundedServer(
                application,
                # the machine's own commands get through whatever others do
                bound=lambda own=name == API: _UNBOUNDED if own else context.connections_max,
                excess=context.excess,
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
            self._heart.say(Sign.REFUSED, str(error))
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
                await self._rooms.context.access.refresh()
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
                await self._rooms.context.access.refresh()
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

    async def _beat(self) -> None:
        """Give signs of life; end once nobody is there to read them."""
        await self._heart.beat()
        if self._heart.watched:
            logger.warning("The watchdog has gone; ending")
            self._stopping.set()

    def _heartbeat_s(self) -> float:
        return self._configuration.settings.watchdog.heartbeat_s

    def _take_pulse(self, sign: Sign) -> Heartbeat:
        sent_s = [s for c in self._rooms.clusters.values() if (s := c.oldest_sent_s) is not None]
        latency_ms = self._rooms.ledger.state.latency_ms
        return Heartbeat(
            sign,
            lag_s=round(self._monitor.take_worst(), 4),
            rows_answered=self._rooms.context.metrics.rows.total,
            oldest_s=round(asyncio.get_running_loop().time() - min(sent_s), 3) if sent_s else None,
            ledger_s=None if latency_ms is None else latency_ms / 1000,
        )

    # --- the end

    async def _drain(self) -> None:
        """Take nothing new, let what runs come to rest, hand over, answer who still waits, close all."""
        logger.info("Draining")
        self._heart.say(Sign.DRAINING)
        context = self._rooms.context
        context.draining.set()
        self._rooms.desk.begin_draining()
        for server in self._https:
            # the sockets' owner keeps them open: who connects from now on is the next server's
            if self._heart.watched:
                server.stop()
            server.conn_params.no_keep_alive = True
        deadline_s = asyncio.get_running_loop().time() + DRAIN_S_MAX
        at_rest = await self._come_to_rest(deadline_s)
        if not at_rest:
            await self._hang_up()
        await self._stop_writing()
        if at_rest:
            self._hand_over()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline_s):
                    await context.idle.wait()
        await self._hang_up()
        await self._close()
        logger.info("Ended")

    async def _come_to_rest(self, deadline_s: float) -> bool:
        """Tell whether all that changes anything has come to its end in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline_s):
                await self._rooms.schedule.drain()
                await self._rooms.context.unchanging.wait()
                await self._rooms.outbox.settle()
        await self._rooms.schedule.abort()
        return self._rooms.context.unchanging.is_set()

    async def _stop_writing(self) -> None:
        await self._rooms.desk.inbox.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._rooms.context.settle()
        await self._rooms.fleet.close()
        await self._rooms.recorder.close()

    def _hand_over(self) -> None:
        """Let another server have the data folder; what is still being answered here only reads."""
        self._rooms.data.unlock()
        self._on_handover()
        self._heart.say(Sign.HANDED_OVER)

    async def _hang_up(self) -> None:
        for server in self._https:
            server.stop()
            await server.close_all_connections()
        await self._rooms.context.settle()

    async def _close(self) -> None:
        await self._rooms.ledger.close()
        self._monitor.stop()
        self._rooms.context.receiving.shutdown()
        self._rooms.executors.close()
        gc.unfreeze()
