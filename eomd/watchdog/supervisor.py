"""The server's life under the watchdog: started, watched, replaced, ended; a person's wish wins."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from socket import socket
from typing import Any

from eomd.errors import EomdError
from eomd.handover import Sign
from eomd.watchdog.backoff import SLOWEST_S, Backoff
from eomd.watchdog.charge import Charge, WatchdogCharge
from eomd.watchdog.chronicle import Chronicle
from eomd.watchdog.closed_sign import ClosedSign
from eomd.watchdog.configuration import Configuration
from eomd.watchdog.excess import Resource
from eomd.watchdog.leaving import Leaving
from eomd.watchdog.liveness import SERVING, ServerState
from eomd.watchdog.lookout import Lookout
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.server_process import ServerProcess
from eomd.watchdog.spare import Spare
from eomd.watchdog.waiting import News, first_of
from eomd.watchdog.wish import Wish
from eomd.watchdog.writer import Writer

__all__ = ["ServerState", "Supervisor"]

log = logging.getLogger(__name__)

#: what a server may take to come to rest
DRAIN_S = 30.0
#: how long a planned restart waits for a standby before it goes on without
SPARE_S = 20.0
#: between two restarts because of memory or descriptors: the first, the longest
EXCESS_S = (60.0, 3600.0)
#: how long a person who gave an order waits for what comes of it
ORDER_S = 120.0

Listener = Callable[[ServerState], None]


@dataclass(frozen=True, slots=True)
class Means:
    """What the supervisor works with."""

    configuration: Configuration
    sockets: Mapping[str, socket]
    #: sees off whatever was told to end
    leaving: Leaving
    schedule: Schedule
    clock: Callable[[], float]
    writer: Writer
    chronicle: Chronicle
    wish: Wish


class Supervisor:
    """Keeps one server serving on the sockets it is given. For one loop."""

    name = "server"

    def __init__(self, means: Means) -> None:
        self._means = means
        self._configuration, self._chronicle, self._wish = means.configuration, means.chronicle, means.wish
        self._limits = means.configuration.charge.watchdog
        self._backoff = _make_backoff(self._limits)
        self._excess = Backoff(*EXCESS_S)
        self._excess_due_s = 0.0
        self._spare = Spare(means.configuration.launch, means.sockets, means.schedule)
        self._server: ServerProcess | None = None
        self._lookout: Lookout | None = None
        self._leaving = means.leaving
        self._listeners: list[Listener] = []
        #: something is to be thought about: an order, a wish, a state
        self._disturbed = asyncio.Event()
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        #: why the server is to be replaced; "" while it is not
        self._replacing = ""
        self._outcomes = News()
        self._ever_ready = False
        self._exit_code = os.EX_OK
        self.state = ServerState.STOPPED
        self.since = datetime.now(UTC)

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server else None

    @property
    def stopped_by_person(self) -> bool:
        return self._wish.stopped

    @property
    def runs_copy(self) -> bool:
        """Whether the server runs with the last good configuration instead of the one in use."""
        return self._server is not None and self._server.launch.from_copy

    def view(self) -> dict[str, object]:
        lookout = self._lookout
        beat, usage = (lookout.last, lookout.usage) if lookout else (None, None)
        return {
            "state": self.state.value,
            "since": self.since.isoformat(timespec="seconds"),
            "pid": self.pid,
            "standby_pid": self._spare.pid,
            "leaving_pids": self._leaving.pids,
            "stopped_by_person": self._wish.since if self._wish.stopped else None,
            "failures": self._chronicle.failures,
            "last_end": self._chronicle.last_end,
            "lag_s": beat.lag_s if beat else None,
            "rows_answered": beat.rows_answered if beat else None,
            "oldest_s": beat.oldest_s if beat else None,
            "ledger_s": beat.ledger_s if beat else None,
            "rss_mb": usage.rss_mb if usage else None,
            "descriptors": usage.descriptors if usage else None,
            "last_good_configuration": self.runs_copy,
        }

    def take_charge(self, charge: Charge) -> None:
        """Go on with a changed configuration; the server itself is told by others."""
        former, self._limits = self._limits, charge.watchdog
        if former.restart_backoff_s != self._limits.restart_backoff_s:
            self._backoff = _make_backoff(self._limits)
        if former != self._limits and self._lookout is not None:
            self._lookout.take_limits(self._limits)
        self._spare.want(self._limits.standby and self.state in SERVING)

    def add_listener(self, listener: Listener) -> None:
        """Have each change of state told."""
        self._listeners.append(listener)

    # --- orders

    def end(self) -> None:
        """Have `run` drain the server and return; a second call does not wait for it."""
        if self._ending.is_set():
            self._hurry.set()
        self._ending.set()
        self._disturb()

    async def restart(self, why: str) -> str:
        """Replace the server, or start one at once where none runs; return what came of it."""
        if self._wish.stopped:
            return "left alone: a person stopped the server"
        self.replace(why)
        return await self._outcome()

    def replace(self, why: str) -> None:
        """Have another server in the place of this one, or one at once where none runs."""
        if not self._wish.stopped:
            self._replacing = why
            self._disturb()

    async def order_stop(self, who: str) -> str:
        """Stop the server on a person's wish, which is remembered; return what came of it."""
        self._chronicle.wished("stop", who)
        await self._wish_for(stopped=True)
        return await self._outcome("stopped" if self.state is ServerState.STOPPED else "")

    async def order_start(self, who: str) -> str:
        """Take the wish back; return what came of it."""
        self._chronicle.wished("start", who)
        await self._wish_for(stopped=False)
        return await self._outcome("serving already" if self.state in SERVING else "")

    async def _wish_for(self, *, stopped: bool) -> None:
        """Raises EomdError where it holds, but only until the watchdog ends."""
        try:
            await self._means.writer.now(self._wish.set, stopped=stopped)
        except OSError as error:
            raise EomdError(
                f"done, but the disk does not take it, so it is not remembered: {error}"
            ) from error
        finally:
            self._disturb()

    async def _outcome(self, known: str = "") -> str:
        """Wait for the next start or stop, unless it is known. Raises EomdError after ORDER_S."""
        if known:
            return known
        self._disturb()
        try:
            return await self._outcomes.wait(ORDER_S)
        except TimeoutError as error:
            raise EomdError(f"the server is still {self.state.value}: see eomd status") from error

    def _disturb(self) -> None:
        self._disturbed.set()

    # --- what the lookout tells

    def state_changed(self, state: ServerState) -> None:
        before = self.state
        if before is ServerState.DRAINING and state in SERVING:
            # late or silent before it has heard that it is to end: it does not serve again
            return
        self._enter(state)
        if state in SERVING and before not in SERVING:
            self._became_ready()
        if state is ServerState.STARVED and self._lookout:
            self._chronicle.starved(self._lookout.pressure)
        elif before is ServerState.STARVED or state is ServerState.READY:
            self._chronicle.fed()
        if state is ServerState.STUCK:
            self._disturb()

    def outgrown(self, resource: Resource, said: str) -> None:
        now_s = self._means.clock()
        if self.state not in SERVING or self._replacing or now_s < self._excess_due_s:
            return
        assert self._server is not None
        self._excess_due_s = now_s + self._excess.after_exit(self._server.lived_s)
        self._chronicle.outgrown(resource, said)
        self._replacing = said
        self._disturb()

    def came_late(self, late_s: float) -> None:
        self._chronicle.came_late(late_s)

    def _became_ready(self) -> None:
        assert self._server is not None
        self._ever_ready = True
        self._configuration.prove(self._server.launch, self._means.writer)
        if not self._configuration.problems:
            self._chronicle.configuration_good()
        self._chronicle.ready(self._server)
        self._spare.want(self._limits.standby)
        self._outcomes.tell(f"serving after {self._server.lived_s:.1f} s")

    def _enter(self, state: ServerState) -> None:
        if state is self.state:
            return
        self.state, self.since = state, datetime.now(UTC)
        for listener in self._listeners:
            listener(state)

    # --- the server's life

    async def run(self) -> int:
        """Keep a server running until `end`. Return the exit code."""
        while not self._ending.is_set():
            if self._wish.stopped:
                await self._stay_stopped()
                continue
            try:
                pause_s = await self._live()
            except Exception:
                # a fault of ours must not leave a server unwatched, nor end the watchdog
                log.exception("watching the server failed: it is started anew")
                pause_s = self._backoff.after_exit(0.0)
                if self._server is not None:
                    self._server.kill()
            self._server = None
            self._enter(ServerState.STOPPED)
            await self._rest(pause_s)
        self._spare.want(False)
        self._chronicle.rest()
        self._outcomes.tell("the watchdog ends")
        await self._leaving.see_off(self._hurry)
        return self._exit_code

    async def _stay_stopped(self) -> None:
        """Keep callers from waiting for a server that a person does not want."""
        self._spare.want(False)
        self._replacing = ""
        self._outcomes.tell("stopped")
        charge = self._configuration.charge
        sign = ClosedSign(self._means.sockets, charge.tls_cert, charge.tls_key)
        await sign.hang_out()
        try:
            while self._wish.stopped and not self._ending.is_set():
                await self._pause()
        finally:
            sign.take_in()

    async def _live(self) -> float:
        """Have a server from its start to its end; return the pause before the next one, in seconds."""
        why, self._replacing = self._replacing or "no server runs", ""
        try:
            server = self._begin(why)
        except OSError as error:
            self._chronicle.not_started(error)
            return self._backoff.after_exit(0.0)
        self._server = server
        self._enter(ServerState.STARTING)
        self._lookout = Lookout(server, self._limits, self._means.schedule, self._means.clock, self)
        try:
            return await self._watch(server)
        finally:
            self._lookout.end()
            self._lookout = None

    def _begin(self, why: str) -> ServerProcess:
        """Have the standby serve, else start a server. Raises OSError."""
        launch = self._configuration.launch()
        server = self._spare.take(launch)
        if server is not None:
            server.serve()
        else:
            server = ServerProcess(launch, self._means.sockets)
            server.start()
        self._chronicle.started(server, why)
        return server

    async def _watch(self, server: ServerProcess) -> float:
        """Return once another server may take its place, with the pause before that."""
        while not server.exited.done():
            if self.state is ServerState.STUCK:
                await self._put_down(server)
                return 0.0
            if self._overruled:
                await self._drain(server, "ordered to end" if self._ending.is_set() else "ordered to stop")
                return 0.0
            if self._replacing and await self._standby_waits(server):
                await self._drain(server, self._replacing)
                return 0.0
            await self._pause(server.exited)
        return self._judge(server, server.exited.result())

    async def _pause(self, *futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Wait for one of these, for something to think about, or until the time is over."""
        disturbed = asyncio.create_task(self._disturbed.wait())
        await first_of(*futures, disturbed, timeout_s=timeout_s)
        disturbed.cancel()
        self._disturbed.clear()

    @property
    def _overruled(self) -> bool:
        """Whether there is to be no server at all."""
        return self._ending.is_set() or self._wish.stopped

    async def _standby_waits(self, server: ServerProcess) -> bool:
        """Have a standby ready, if one can be had in time; False: the server cannot wait for it."""
        preparing = asyncio.create_task(self._spare.prepare())
        deadline_s = self._means.clock() + SPARE_S
        try:
            while not preparing.done() and (left_s := deadline_s - self._means.clock()) > 0:
                await self._pause(preparing, server.exited, timeout_s=left_s)
                if server.exited.done() or self._overruled or self.state is ServerState.STUCK:
                    self._disturb()
                    return False
        finally:
            preparing.cancel()
        return True

    async def _drain(self, server: ServerProcess, why: str) -> None:
        """Return once the server has let go of the data folder; it may still answer those who wait."""
        log.info("the server is to end: %s", why)
        server.terminate()
        self._enter(ServerState.DRAINING)
        at_rest = asyncio.create_task(server.until(Sign.HANDED_OVER))
        deadline_s = self._means.clock() + DRAIN_S
        while not at_rest.done() and (left_s := deadline_s - self._means.clock()) > 0:
            await self._pause(at_rest, timeout_s=left_s)
            if self._hurry.is_set() or self.state is ServerState.STUCK:
                break
        if not at_rest.done():
            at_rest.cancel()
            await self._put_down(server)
            return
        self._leaving.let(server)
        self._chronicle.ordered(server, why, server.exited.result() if server.exited.done() else None)

    async def _put_down(self, server: ServerProcess) -> None:
        """Kill a server that does not come to an end, once it has shown where it stands."""
        if self.state is ServerState.STUCK:
            assert self._lookout is not None
            silence = self._lookout.describe()
            self._chronicle.stuck(server, silence, await server.show_stacks())
        else:
            self._chronicle.ordered(server, "killed: it did not come to rest in time", None)
        server.kill()
        await server.exited

    def _judge(self, server: ServerProcess, code: int) -> float:
        """A server ended by itself; return the pause before the next one, in seconds."""
        if code == os.EX_CONFIG:
            return self._refused(server)
        pause_s = self._backoff.after_exit(server.lived_s)
        self._chronicle.ended(server, code, pause_s)
        return pause_s

    def _refused(self, server: ServerProcess) -> float:
        """A server found its configuration wrong; trying it again at once would change nothing."""
        problem = server.problem or "the server does not accept it; its log says why"
        if self._configuration.refuse(server.launch, problem):
            self._chronicle.refused(problem, "used for the start")
            return 0.0
        if not self._ever_ready and not self._configuration.has_copy:
            self._exit_code = os.EX_CONFIG
            self._ending.set()
        self._chronicle.refused(problem, f"tried again every {SLOWEST_S:.0f} s")
        return SLOWEST_S

    async def _rest(self, pause_s: float) -> None:
        """Wait before the next start, or until there is reason not to."""
        deadline_s = self._means.clock() + pause_s
        while not (self._overruled or self._replacing):
            if (left_s := deadline_s - self._means.clock()) <= 0:
                return
            await self._pause(timeout_s=left_s)


def _make_backoff(limits: WatchdogCharge) -> Backoff:
    first_s, longest_s = limits.restart_backoff_s
    return Backoff(min(first_s, SLOWEST_S), min(longest_s, SLOWEST_S))
