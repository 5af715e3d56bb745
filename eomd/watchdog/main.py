"""The watchdog put together: the server's supervisor, the control socket, systemd, and further parts.

Small on purpose: no numpy, no pydantic, no handlers. What it holds must survive any fault of the server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from eomd import __version__
from eomd.errors import ConfigurationError, EomdError, ListenError
from eomd.handover import API
from eomd.listen import format_bound, open_unix
from eomd.logs import set_up_logging
from eomd.model import Incident
from eomd.runtime import (
    API_SOCKET,
    UP_PID,
    UP_SOCKET,
    PidFile,
    make_runtime_folder,
    read_pid,
    remove_runtime_folder,
)
from eomd.watchdog.charge import Charge
from eomd.watchdog.chronicle import Chronicle
from eomd.watchdog.config_watch import ConfigWatch
from eomd.watchdog.configuration import Configuration
from eomd.watchdog.control import Control
from eomd.watchdog.diary import Diary
from eomd.watchdog.dispatcher import Dispatcher
from eomd.watchdog.doors import Doors
from eomd.watchdog.files import make_folder
from eomd.watchdog.inbox import Inbox
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.leaving import Leaving
from eomd.watchdog.liveness import SERVING
from eomd.watchdog.notify import Notifier
from eomd.watchdog.probes import Probes
from eomd.watchdog.remedies import register_remedies
from eomd.watchdog.reporter import Reporter
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.server_link import ServerLink
from eomd.watchdog.state_file import StateFile
from eomd.watchdog.supervisor import Means, ServerState, Supervisor
from eomd.watchdog.wish import Wish
from eomd.watchdog.writer import Writer

log = logging.getLogger(__name__)

#: how long a thread may keep the loop's thread waiting for the interpreter
SWITCH_S = 0.001
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: before a part that broke is run again
PART_PAUSE_S = 1.0
#: while starting or ending, systemd is asked for more time so often, and for so much
EXTEND_EVERY_S, EXTEND_S = 5.0, 30.0


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
        configuration = await Configuration.open(config, environ)
        charge = configuration.charge
        set_up_logging(charge.log.level, charge.log.format, charge.secrets)
        code = await Watchdog(configuration, signals).run()
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

    def __init__(self, configuration: Configuration, signals: Signals) -> None:
        self._configuration, self._signals = configuration, signals
        self._charge = configuration.charge
        self._ledger = self._charge.ledger
        self._notifier = Notifier(configuration.environ)
        #: beside the supervisor
        self._parts: list[Part] = []
        self._told_ready = False
        #: the server that was last said to be ready
        self._announced: int | None = None
        self._since = datetime.now(UTC)

    async def run(self) -> int:
        """Keep everything running until a signal says otherwise. Return the process's exit code."""
        runtime = self._charge.runtime
        # what a thread computes (a look at fifty thousand names) must not keep the loop waiting
        sys.setswitchinterval(SWITCH_S)
        make_runtime_folder(runtime)
        former = read_pid(runtime / UP_PID)
        pid_file = PidFile(runtime / UP_PID)
        pid_file.acquire()
        try:
            make_folder(self._charge.data_dir, self._charge.folder)
            async with AsyncExitStack() as stack:
                self._assemble(stack)
                # what runs beside has begun, so that it also ends in order
                await asyncio.sleep(0)
                self._feed_systemd()
                await self._open_doors(former)
                return await self._work(stack)
        finally:
            pid_file.release()
            remove_runtime_folder(runtime)

    def _assemble(self, stack: AsyncExitStack) -> None:
        """Make everything, and have it taken down in the opposite order."""
        loop = asyncio.get_running_loop()
        charge = self._charge
        writer = Writer()
        stack.callback(writer.close)
        self._schedule = Schedule(loop.time, loop.call_at, Random())
        stack.callback(self._schedule.close)
        self._incidents = Incidents(IncidentFiles(charge.folder, charge.data_dir / "spool" / "incidents"))
        _run_beside(stack, self._incidents.run())
        leaving = Leaving(self._schedule)
        self._doors = Doors(charge, self._configuration.environ, leaving)
        stack.callback(self._doors.close)
        diary = Diary(charge.folder, writer, lambda: self._charge.files_days)
        self._chronicle = Chronicle(charge.folder, diary, self._incidents, writer, self._schedule)
        self._supervisor = Supervisor(
            Means(
                configuration=self._configuration,
                sockets=self._doors.sockets,
                leaving=leaving,
                schedule=self._schedule,
                clock=loop.time,
                writer=writer,
                chronicle=self._chronicle,
                wish=Wish(charge.folder),
            )
        )
        self._supervisor.add_listener(self._hear_server)
        inbox = Inbox(charge, self._incidents, self._make_link(stack), self._schedule)
        self._supervisor.add_listener(inbox.hear_server)
        self._parts.append(inbox)
        self._config_watch = ConfigWatch(
            self._configuration,
            self._supervisor,
            self._make_link(stack),
            self._chronicle,
            writer,
            self._hand_on,
        )
        self._parts.append(self._config_watch)
        self._add_eyes(stack, inbox.view)
        self._state_file = StateFile(charge.folder, self._view, writer, self._schedule)
        stack.callback(self._state_file.end)

    def _add_eyes(self, stack: AsyncExitStack, view_inbox: Callable[[], dict[str, object]]) -> None:
        """Add what looks at everything, tells the server of it, and remedies what it can."""
        clock = asyncio.get_running_loop().time
        link = self._make_link(stack)
        probes = Probes(self._charge, self._schedule, self._incidents, link, self._should_answer)
        views = {"server": self._supervisor.view, "inbox": view_inbox}
        reporter = Reporter(link, probes, self._incidents, clock, self._should_answer, views)
        dispatcher = Dispatcher(self._incidents, self._schedule, clock, self._veto)
        register_remedies(dispatcher, link, self._supervisor.restart)
        self._parts += [probes, reporter, dispatcher]
        self._supervisor.add_listener(lambda state: probes.server_turned())
        self._supervisor.add_listener(lambda state: reporter.tell_soon())
        probes.add_listener(lambda probe, sight: self._state_file.write_soon())
        self._incidents.add_listener(lambda incident: self._state_file.write_soon())

    def _make_link(self, stack: AsyncExitStack) -> ServerLink:
        """Return one more way to the server: no part waits for its turn behind another's long calls."""
        link = ServerLink(self._charge.runtime / API_SOCKET)
        stack.push_async_callback(link.close)
        return link

    def _should_answer(self) -> bool:
        """Tell whether a server runs that nothing keeps from answering."""
        return self._supervisor.state in (ServerState.READY, ServerState.SLOW)

    def _veto(self, incident: Incident) -> str:
        return "a person has stopped the server" if self._supervisor.stopped_by_person else ""

    async def _open_doors(self, former: int | None) -> None:
        """Get the listening sockets, also from a watchdog that was killed. Raises ListenError."""
        try:
            await self._doors.open(former)
        except ListenError as error:
            self._incidents.open(Kind.PORT_TAKEN, self._charge.listen, str(error))
            self._notifier.status(str(error))
            raise
        self._incidents.close(Kind.PORT_TAKEN, self._charge.listen)

    async def _work(self, stack: AsyncExitStack) -> int:
        self._signals.stop = self._end
        self._signals.reload = self._hear_reload
        if self._supervisor.stopped_by_person:
            self._notifier.status("stopped by a person: eomd start starts it again")
            self._tell_ready()
        _run_beside(stack, self._make_control(stack).run())
        for part in self._parts:
            _run_beside(stack, _keep(part))
        return await self._supervisor.run()

    def _make_control(self, stack: AsyncExitStack) -> Control:
        listener = open_unix(self._charge.runtime / UP_SOCKET, 0o600)
        stack.callback(listener.close)
        control = Control(listener)
        control.register("status", self._status)
        control.register("stop", self._stop_server)
        control.register("start", self._start_server)
        control.register("restart", self._restart_server)
        control.register("reload", self._reload)
        return control

    def _end(self) -> None:
        self._notifier.stopping()
        self._extend()
        self._supervisor.end()

    # --- orders

    async def _status(self, who: str) -> dict[str, Any]:
        return self._view()

    async def _stop_server(self, who: str) -> dict[str, Any]:
        return {"outcome": await self._supervisor.order_stop(who)}

    async def _start_server(self, who: str) -> dict[str, Any]:
        return {"outcome": await self._supervisor.order_start(who)}

    async def _restart_server(self, who: str) -> dict[str, Any]:
        return {"outcome": await self._supervisor.restart(f"ordered by {who}")}

    def _hear_reload(self) -> None:
        self._reloading = asyncio.create_task(self._try_reload())

    async def _try_reload(self) -> None:
        try:
            await self._reload("SIGHUP")
        except ConfigurationError:
            # it is told where it is found
            return
        except EomdError as error:
            log.error("the configuration could not be read: %s", error)

    async def _reload(self, who: str) -> dict[str, Any]:
        """Read the configuration again and take it over. Raises ConfigurationError, EomdError."""
        # while starting or ending, READY would not be true
        if not self._told_ready:
            return await self._config_watch.reload(who)
        self._notifier.reloading()
        try:
            return await self._config_watch.reload(who)
        finally:
            if not self._signals.stopped_by:
                self._notifier.ready()

    def _hand_on(self) -> None:
        """Let every part go on with the configuration as it is now."""
        charge = self._configuration.charge
        if charge.log != self._charge.log:
            set_up_logging(charge.log.level, charge.log.format, charge.secrets)
        self._charge = charge
        self._supervisor.take_charge(charge)
        for part in self._parts:
            part.take_charge(self._in_force)

    @property
    def _in_force(self) -> Charge:
        """The configuration with the ledger that the server knows, who takes another one with its start."""
        return replace(self._charge, ledger=self._ledger)

    # --- how everything stands

    @property
    def _everything(self) -> list[Part]:
        return [self._supervisor, *self._parts]

    def _view(self) -> dict[str, Any]:
        own = {"pid": os.getpid(), "since": self._since.isoformat(timespec="seconds"), "version": __version__}
        incidents = [incident.format() for incident in self._incidents.open_now]
        parts = {part.name: part.view() for part in self._everything}
        return {"watchdog": own, **parts, "incidents": incidents}

    def _hear_server(self, state: ServerState) -> None:
        pid = self._supervisor.pid
        self._notifier.status(f"the server is {state.value}" + (f", process {pid}" if pid else ""))
        self._state_file.write()
        if state is ServerState.STARTING and self._ledger != self._charge.ledger:
            self._ledger = self._charge.ledger
            for part in self._parts:
                part.take_charge(self._in_force)
        if state in SERVING and not self._told_ready:
            self._tell_ready()
        if state in SERVING and pid != self._announced:
            self._announced = pid
            log.info(
                "ready at %s", ", ".join(format_bound(s) for n, s in self._doors.sockets.items() if n != API)
            )

    def _tell_ready(self) -> None:
        self._told_ready = True
        self._notifier.ready()

    def _feed_systemd(self) -> None:
        """Tell systemd that the loop runs, and that a start or an end takes its time."""
        if self._notifier.watchdog_s is not None:
            self._schedule.every(self._notifier.watchdog_s, self._notifier.alive, jitter=0.0)
        self._schedule.every(EXTEND_EVERY_S, self._extend)
        self._extend()

    def _extend(self) -> None:
        self._notifier.flush()
        if not self._told_ready or self._signals.stopped_by:
            self._notifier.extend(EXTEND_S)


def _run_beside(stack: AsyncExitStack, work: Any) -> None:
    """Run it until the stack is taken down."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


async def _keep(part: Part) -> None:
    """Run a part, and run it again should it break: one part's fault must not end the watchdog."""
    while True:
        try:
            await part.run()
            return
        except Exception:
            log.exception("the watchdog's part %s broke: running it again", part.name)
        await asyncio.sleep(PART_PAUSE_S)
