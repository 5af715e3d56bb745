"""Who keeps a process alive in `supervision.py`: supervisord, circus, and eomd's own watchdog."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.world import World, free_port

PAGE = Path(__file__).parent / "page.py"
PACKAGES = ("supervisor", "circus", "tornado", "setuptools")
#: circus' heartbeat: so many of these seconds without one are too many, together as long as eomd waits
HEARTBEAT_LOOP_S, HEARTBEAT_LOOPS = 1, 3


def make_venv(folder: Path) -> Path:
    """Make a throw-away environment with the others in it; return its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    programs = folder / "bin"
    install = [
        programs / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *PACKAGES,
    ]
    subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    return programs


class Keeper(ABC):
    """Something that is started, and starts a process that answers at `path` of `port`."""

    #: as the table names it
    name: str
    path = "/"

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Write what it is configured by and return what starts it."""

    def is_kept(self, words: Sequence[str]) -> bool:
        """Tell the process that it keeps, by its command line."""
        return str(PAGE) in words

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )

    def own(self) -> list[psutil.Process]:
        """Return its own processes, which are there beside the one it keeps."""
        assert self.process is not None
        main = psutil.Process(self.process.pid)
        return [p for p in [main, *main.children(recursive=True)] if not self.is_kept(_words(p))]

    def kept(self) -> psutil.Process | None:
        """Return the process that it keeps, if there is one now."""
        assert self.process is not None
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if self.is_kept(_words(process)):
                return process
        return None

    def stop(self) -> None:
        assert self.process is not None
        left = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        self.process.wait(60)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _environment() -> dict[str, str]:
    """Return the environment that finds the eomd of this checkout."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


class Supervisord(Keeper):
    name = "supervisord, a page"

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(folder)
        self._programs = programs

    def kept_command(self) -> str:
        return f"{self._programs / 'python'} {PAGE} --port {self.port}"

    def command(self) -> Sequence[str | Path]:
        lines = ["[supervisord]", "nodaemon=true", f"logfile={self.folder}/supervisord.log"]
        lines += [f"pidfile={self.folder}/pid", "[program:page]", f"command={self.kept_command()}"]
        lines += ["autorestart=true", "startsecs=0", f"directory={Path.cwd()}"]
        (self.folder / "supervisord.conf").write_text("\n".join(lines))
        return [self._programs / "supervisord", "-c", self.folder / "supervisord.conf"]


class Circus(Keeper):
    name = "circus, a page"
    #: circus holds the socket and hands it down
    with_socket = False
    #: the page sends heartbeats to circus' plugin
    with_heartbeat = True

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(folder)
        self._programs = programs
        self._endpoints = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
        self._heartbeat = free_port()

    def kept_command(self) -> str:
        place = "--descriptor $(circus.sockets.page)" if self.with_socket else f"--port {self.port}"
        return f"{self._programs / 'python'} {PAGE} {place} --heartbeat {self._heartbeat}"

    def command(self) -> Sequence[str | Path]:
        lines = ["[circus]", f"endpoint = {self._endpoints[0]}", f"pubsub_endpoint = {self._endpoints[1]}"]
        lines += ["[watcher:page]", f"cmd = {self.kept_command()}", "copy_env = True", "virtualenv ="]
        lines += [f"working_dir = {Path.cwd()}", f"use_sockets = {self.with_socket}"]
        if self.with_socket:
            lines += ["[socket:page]", "host = 127.0.0.1", f"port = {self.port}"]
        if self.with_heartbeat:
            lines += ["[plugin:watchdog]", "use = circus.plugins.watchdog.WatchDog"]
            lines += [f"loop_rate = {HEARTBEAT_LOOP_S}", f"max_count = {HEARTBEAT_LOOPS}"]
            lines += [f"port = {self._heartbeat}", "watchers_regex = page", "watchers_stop_signal = SIGKILL"]
        (self.folder / "circus.ini").write_text("\n".join(lines))
        return [self._programs / "circusd", self.folder / "circus.ini"]


class CircusSocket(Circus):
    name = "circus with its socket, a page"
    with_socket = True


class _KeepsEomd(Keeper):
    """Keeps `eomd serve` with one simulated cluster."""

    path = "/health"

    def prepare(self) -> World:
        """Make the world; its configuration stands then."""
        self.world = World(self.folder)
        self.world.port = self.port
        self.world.simulate("fish", 2)
        self.world.configure()
        return self.world

    def kept_command(self) -> str:
        self.prepare()
        return f"{sys.executable} -m eomd serve -c {self.world.config}"

    def is_kept(self, words: Sequence[str]) -> bool:
        return "serve" in words and "--standby" not in words

    def stop(self) -> None:
        super().stop()
        self.world.close()


class SupervisordEomd(_KeepsEomd, Supervisord):
    name = "supervisord, eomd serve"


class CircusEomd(_KeepsEomd, Circus):
    name = "circus, eomd serve"
    with_heartbeat = False


class EomdUp(_KeepsEomd):
    name = "eomd up"
    extra = ""

    def command(self) -> Sequence[str | Path]:
        world = self.prepare()
        world.config.write_text(f"{world.config.read_text()}\n{self.extra}")
        return [sys.executable, "-m", "eomd", "up", "-c", world.config]


class EomdStandby(EomdUp):
    name = "eomd up with a standby"
    extra = "[watchdog]\nstandby = true\n"
