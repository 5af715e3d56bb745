"""Plays systemd for `eomd up`: holds the port, starts it again, wants signs of life, clears up behind it."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from tests.chaos.complaints import Complaints
from tests.world import free_port

BACKLOG = 4096
#: seconds between two looks at what is due
LOOK_S = 0.02
#: exit codes of a service that was told to stop; the signals come where a fault was quicker
CLEAN = (0, -signal.SIGTERM, -signal.SIGKILL, -signal.SIGABRT)
#: what a process becomes `eomd up` through: its socket as descriptor 3, and the names that count for its pid
_BECOME = """
import os, sys
given = int(sys.argv[1])
if given != 3:
    os.dup2(given, 3)
    os.close(given)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """What of a unit file matters here."""

    restart_s: float
    watchdog_s: float
    stop_s: float
    #: `mixed`: what the main process leaves behind is killed; `control-group`: it is asked to end first
    kill_mode: str
    #: an exit code after which it is not started again
    final: int

    @classmethod
    def read(cls, path: Path) -> UnitSettings:
        keys = dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))
        return cls(
            restart_s=_seconds(keys["RestartSec"]),
            watchdog_s=_seconds(keys["WatchdogSec"]),
            stop_s=_seconds(keys["TimeoutStopSec"]),
            kill_mode=keys["KillMode"],
            final=int(keys["RestartPreventExitStatus"]),
        )


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)(ms|s|min)?", text).groups()  # type: ignore[union-attr]
    return float(number) * {"ms": 0.001, "min": 60.0}.get(unit, 1.0)


class Unit:
    """One service and its socket."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        settings: UnitSettings,
        complaints: Complaints,
    ) -> None:
        self._settings, self._complaints = settings, complaints
        self._log = folder / "eomd.log"
        self._listener = socket.create_server(("127.0.0.1", free_port()), backlog=BACKLOG)
        self.port = int(self._listener.getsockname()[1])
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        #: stands for the service's cgroup: every process of it inherits this
        self._mark = f"EOMD_CHAOS_UNIT={folder}".encode()
        descriptor = self._listener.fileno()
        self._command = [sys.executable, "-I", "-S", "-c", _BECOME, str(descriptor), *command]
        self._environ = {
            **environ,
            "EOMD_CHAOS_UNIT": str(folder),
            "LISTEN_FDS": "1",
            "LISTEN_FDNAMES": "http",
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(int(settings.watchdog_s * 1e6)),
        }
        self._main: subprocess.Popen[bytes] | None = None
        self._thread: Thread | None = None
        self._stopping = Event()
        self._stop_due_s = self._heard_s = 0.0
        #: how often the service had to be started again, and how often it was too silent
        self.restarts = self.aborts = 0
        self.ready = Event()

    @property
    def pid(self) -> int | None:
        """The main process; None while there is none."""
        main = self._main
        return main.pid if main is not None and main.returncode is None else None

    def start(self) -> None:
        self._stopping.clear()
        self._thread = Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have it end in order, and wait for that."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None

    def close(self) -> None:
        """Kill what is left of it and let go of the port."""
        self._stopping.set()
        self._kill_all()
        if self._thread is not None:
            self._thread.join()
        self._listener.close()
        self._notify.close()

    def signal(self, number: int) -> None:
        main = self._main
        if main is not None:
            with suppress(ProcessLookupError):
                main.send_signal(number)

    def processes(self) -> list[int]:
        """Return the pids of all that the service has started and that has not ended."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                # one that has ended and is not reaped yet has no environment any more
                if self._mark in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
        return found

    def _keep(self) -> None:
        while not self._stopping.is_set():
            code = self._live()
            self._clear_up()
            if self._stopping.is_set():
                if code not in CLEAN:
                    self._complaints.add(f"eomd up ended with exit code {code} when it was told to stop")
                return
            if code == self._settings.final:
                self._complaints.add(
                    f"eomd up ended with exit code {code}, after which systemd leaves it ended"
                )
                return
            self.restarts += 1
            self._stopping.wait(self._settings.restart_s)

    def _live(self) -> int:
        """Have one main process from its start to its end; return its exit code."""
        self.ready.clear()
        with open(self._log, "ab") as log:
            self._main = subprocess.Popen(
                self._command,
                env=self._environ,
                pass_fds=[self._listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        pidfd = os.pidfd_open(self._main.pid)
        try:
            self._watch(pidfd)
        finally:
            os.close(pidfd)
        return self._main.wait()

    def _watch(self, pidfd: int) -> None:
        """Return once the process has ended, told to or not; abort it where it gives no sign of life."""
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(self._notify.fileno(), select.POLLIN)
        self._heard_s = time.monotonic()
        told = False
        while pidfd not in (events := dict(poll.poll(LOOK_S * 1000))):
            if events:
                self._hear(self._notify.recv(4096).decode().splitlines())
            if not self._stopping.is_set():
                self._want_sign_of_life()
            elif not told:
                told = True
                self._stop_due_s = time.monotonic() + self._settings.stop_s
                self.signal(signal.SIGTERM)
                self.signal(signal.SIGCONT)
            elif time.monotonic() > self._stop_due_s:
                self._complaints.add("eomd up did not end within TimeoutStopSec")
                self._kill_all()

    def _want_sign_of_life(self) -> None:
        if self.ready.is_set() and time.monotonic() - self._heard_s > self._settings.watchdog_s:
            self.aborts += 1
            self.signal(signal.SIGABRT)
            self.signal(signal.SIGCONT)
            self._heard_s = time.monotonic()

    def _hear(self, words: Sequence[str]) -> None:
        for word in words:
            name, _, value = word.partition("=")
            if name in ("READY", "WATCHDOG"):
                self._heard_s = time.monotonic()
            if name == "READY":
                self.ready.set()
            elif name == "STOPPING":
                self.ready.clear()
            elif name == "EXTEND_TIMEOUT_USEC":
                self._stop_due_s = max(self._stop_due_s, time.monotonic() + int(value) / 1e6)

    def _clear_up(self) -> None:
        if self._settings.kill_mode == "control-group":
            self._signal_all(signal.SIGTERM)
            due_s = time.monotonic() + self._settings.stop_s
            while self.processes() and time.monotonic() < due_s:
                self._stopping.wait(LOOK_S)
        if self._settings.kill_mode != "process":
            self._kill_all()

    def _kill_all(self) -> None:
        while self._signal_all(signal.SIGKILL):
            select.select([], [], [], LOOK_S)

    def _signal_all(self, number: int) -> bool:
        pids = self.processes()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(pids)
