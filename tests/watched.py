"""A world whose server is under a watchdog: its processes, and what the watchdog says of them."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from eomd.watchdog.diary import read_diary
from eomd.watchdog.liveness import SERVING
from tests.world import DEADLINE_S, World, wait_until, write_users


def tree(world: World) -> list[psutil.Process]:
    """Return whatever still runs on this world's configuration or a copy of it, simulators aside."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "evtsim" not in words and any(word.startswith(f"{world.folder}/") for word in words):
            found.append(process)
    return found


def children_of(world: World, *, standby: bool) -> list[psutil.Process]:
    """Return the watchdog's children that serve, or that wait for the order to."""
    assert world.server is not None
    found = []
    for child in psutil.Process(world.server.process.pid).children():
        with suppress(psutil.Error):
            words = child.cmdline()
            if "serve" in words and ("--standby" in words) is standby:
                found.append(child)
    return found


def server_of(world: World) -> psutil.Process:
    found: list[psutil.Process] = wait_until(
        lambda: len(s := children_of(world, standby=False)) == 1 and s, "one server"
    )
    return found[0]


def another_server(world: World, than: psutil.Process) -> psutil.Process:
    """Return the server that has taken the place of this one, once it serves and answers."""

    def new() -> psutil.Process | None:
        state = state_of(world)
        others = [s for s in children_of(world, standby=False) if s.pid != than.pid]
        return next((s for s in others if s.pid == state["pid"] and state["state"] in SERVING), None)

    found: psutil.Process = wait_until(new, "another server")
    wait_until(world._answers, "the new server answers")
    return found


def kill_server(world: World) -> None:
    """Kill the server, and wait until another one serves."""
    server = server_of(world)
    server.kill()
    another_server(world, server)


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended, also where nobody has buried it."""
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def folder_of(world: World) -> Path:
    return world.data / "watchdog"


def state_of(world: World) -> dict[str, Any]:
    """Return what the watchdog says of the server."""
    with suppress(OSError, ValueError):
        state: dict[str, Any] = json.loads((folder_of(world) / "state.json").read_text())["server"]
        return state
    return {"state": "unknown", "pid": None}


def incidents_of(world: World, kind: str) -> list[dict[str, Any]]:
    """Return the incidents of a kind, open or closed."""
    with suppress(OSError, ValueError):
        known = json.loads((folder_of(world) / "incidents.json").read_text())
        return [incident for incident in known if incident["kind"] == kind]
    return []


def diary_of(world: World) -> list[dict[str, Any]]:
    return read_diary(folder_of(world), 1000)


def log_of(world: World) -> str:
    assert world.server is not None
    return world.server.log.read_text()


class LargeDownload:
    """More than the kernel takes for a reader who does not read."""

    def __init__(self, source: Path, reader: socket.socket) -> None:
        self.source, self._reader = source, reader
        self._head = reader.recv(1000)

    def read_on(self) -> bytes:
        """Return the whole body."""
        head, _, body = self._head.partition(b"\r\n\r\n")
        (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"Content-Length" in line]
        while len(body) < length and (more := self._reader.recv(1 << 20)):
            body += more
        return body


@contextmanager
def large_download(world: World) -> Iterator[LargeDownload]:
    """Have the server answer somebody who does not read on before being told to."""
    source = write_users(world.folder / "large.csv", range(1, 1_000_001))
    operation = world.client.hand_in(source, wait_s=0).data["id"]
    name = world.client.operation(operation)["sourcename"]
    with socket.create_connection(("127.0.0.1", world.port), DEADLINE_S) as reader:
        reader.sendall(f"GET /download?name={name}&bom=0 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield LargeDownload(source, reader)


class Caller(threading.Thread):
    """Connects again and again, and remembers each refusal."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.connected, self.refused = port, 0, 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.002):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=30).close()
                self.connected += 1
            except OSError as error:
                self.refused += error.errno == errno.ECONNREFUSED


@contextmanager
def nobody_is_refused(world: World) -> Iterator[None]:
    """Connect all the while; fail where one connection was refused."""
    caller = Caller(world.port)
    caller.start()
    try:
        yield
    finally:
        caller.done.set()
        caller.join()
    assert caller.refused == 0
    assert caller.connected > 0
