"""A server as the watchdog's child: given sockets, heard through pipes, made to show its stacks, ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import socket

from eomd.handover import (
    LINE_BYTES_MAX,
    STANDBY,
    Heartbeat,
    Sign,
    handover_environment,
    order_to_serve,
)
from eomd.watchdog.configuration import Launch
from eomd.watchdog.waiting import first_of

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
STACKS_BYTES_MAX = 256 * 1024
#: for the first line of the stacks, and for each further one
FIRST_STACK_S, NEXT_STACK_S = 1.0, 0.1

OnSign = Callable[[Heartbeat], None]


class ServerProcess:
    """One life of a server, or of a standby that becomes one. Started and ended once, on a running loop."""

    def __init__(self, launch: Launch, sockets: Mapping[str, socket], *, standby: bool = False) -> None:
        self.launch = launch
        self._sockets, self._standby = sockets, standby
        self._loop = asyncio.get_running_loop()
        self._started = 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._orders = -1
        self._readers: dict[int, Callable[[bytes], None]] = {}
        self._torn = b""
        self._stacks = b""
        self._stacks_came = asyncio.Event()
        self._heard: dict[Sign, asyncio.Future[None]] = {}
        #: called with every sign of life
        self.on_sign: OnSign = lambda beat: None
        #: why the server says it will not start
        self.problem = ""
        #: the exit code, negative for a signal
        self.exited: asyncio.Future[int] = self._loop.create_future()

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    @property
    def lived_s(self) -> float:
        """Since its start, or since a standby was told to serve."""
        return time.monotonic() - self._started

    @property
    def stacks(self) -> str:
        """What it has shown of its stacks: asked for, or at a crash."""
        return self._stacks.decode(errors="replace")

    def start(self) -> None:
        """Start the process in a group of its own: Ctrl-C in a terminal reaches the watchdog alone.

        Raises OSError where no process could be made; starting another one later may succeed.
        """
        self._started = time.monotonic()
        opened: list[int] = []
        try:
            heartbeat, beating = _pipe(opened)
            stacks, dumping = _pipe(opened)
            awaiting, orders = _pipe(opened) if self._standby else (None, -1)
            handed = handover_environment(self._sockets, beating, stacks=dumping, orders=awaiting)
            passed = [end for end in (beating, dumping, awaiting) if end is not None]
            self._child = subprocess.Popen(
                [*self.launch.command, *([STANDBY] if self._standby else [])],
                env={**_for_servers(self.launch.environ), **handed},
                pass_fds=[*passed, *(s.fileno() for s in self._sockets.values())],
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError:
            for end in opened:
                os.close(end)
            raise
        # with our copies closed, a pipe's end tells that the server is gone
        for end in passed:
            os.close(end)
        self._orders = orders
        self._pidfd = os.pidfd_open(self._child.pid)
        self._readers = {heartbeat: self._take_signs, stacks: self._take_stacks}
        for end in self._readers:
            os.set_blocking(end, False)
            self._loop.add_reader(end, self._read, end)
        self._loop.add_reader(self._pidfd, self._reap)

    def serve(self) -> None:
        """Order a standby to serve. One that has just ended shows that by `exited`."""
        self._started = time.monotonic()
        with suppress(OSError):
            order_to_serve(self._orders)
        self._close_orders()

    def dismiss(self) -> None:
        """Let a standby end."""
        self._close_orders()

    async def until(self, sign: Sign) -> bool:
        """Wait until the server gives this sign; False where it ends before."""
        heard = self._heard.setdefault(sign, self._loop.create_future())
        await first_of(heard, self.exited)
        return heard.done()

    async def show_stacks(self) -> str:
        """Have the stacks of all threads written and return them; a stopped process is continued for it."""
        already = len(self._stacks)
        for number in (signal.SIGUSR1, signal.SIGCONT):
            self._signal(number)
        patience_s = FIRST_STACK_S
        while not self.exited.done() and await self._stacks_within(patience_s):
            patience_s = NEXT_STACK_S
        return self._stacks[already:].decode(errors="replace")

    async def stop(self, drain_s: float, hurry: asyncio.Event) -> int:
        """Let the server drain for `drain_s` or until `hurry`, then kill it. Return its exit code."""
        self._signal(signal.SIGTERM)
        impatient = asyncio.create_task(hurry.wait())
        await first_of(self.exited, impatient, timeout_s=drain_s)
        impatient.cancel()
        if not self.exited.done():
            log.warning("process %d did not end by itself: killing it", self.pid)
            self.kill()
        return await self.exited

    def terminate(self) -> None:
        """Tell it to drain and end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole group at once."""
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.returncode is None:
            os.kill(self._child.pid, number)

    async def _stacks_within(self, seconds: float) -> bool:
        self._stacks_came.clear()
        came = asyncio.create_task(self._stacks_came.wait())
        await first_of(came, self.exited, timeout_s=seconds)
        came.cancel()
        return self._stacks_came.is_set()

    def _read(self, end: int) -> None:
        received = b""
        with suppress(BlockingIOError):
            received = os.read(end, 64 * 1024)
            if not received:
                self._loop.remove_reader(end)
        self._readers[end](received)

    def _take_signs(self, received: bytes) -> None:
        *lines, self._torn = (self._torn + received).split(b"\n")
        self._torn = self._torn[-LINE_BYTES_MAX:]
        for line in lines:
            try:
                beat = Heartbeat.parse(line)
            except ValueError as error:
                log.warning("process %d: %s", self.pid, error)
                continue
            self.problem = beat.problem or self.problem
            heard = self._heard.setdefault(beat.sign, self._loop.create_future())
            if not heard.done():
                heard.set_result(None)
            self.on_sign(beat)

    def _take_stacks(self, received: bytes) -> None:
        self._stacks = (self._stacks + received)[:STACKS_BYTES_MAX]
        if received:
            self._stacks_came.set()

    def _reap(self) -> None:
        assert self._child is not None
        # the dead leader keeps its group's number until it is waited for, so this hits nobody else
        self.kill()
        for end in self._readers:
            # what it said last may still be in the pipe
            self._read(end)
            self._loop.remove_reader(end)
            os.close(end)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._close_orders()
        self.exited.set_result(self._child.wait())

    def _close_orders(self) -> None:
        if self._orders >= 0:
            os.close(self._orders)
            self._orders = -1


def _pipe(opened: list[int]) -> tuple[int, int]:
    """Return (read end, write end)."""
    ends = os.pipe2(os.O_CLOEXEC)
    opened += ends
    return ends


def _for_servers(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _NOT_HANDED_DOWN}
