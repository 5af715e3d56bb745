"""A whole small world of real processes for system tests: simulated clusters, the server, and a client.

Nothing here sleeps to synchronise: everything waits on a condition with a deadline.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from eomd.runtime import remove_runtime_folder, runtime_folder

#: what takes a second on a quiet machine has been seen to take fifty on a busy one
DEADLINE_S = 180.0


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Return the condition's first true value; fail after the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if value := condition():
            return value
        select.select([], [], [], 0.02)
    raise AssertionError(f"{what} did not happen within {deadline_s} s")


#: below those that Linux gives to whoever connects, or asks for any port (ip_local_port_range)
_FIRST_PORT, _PORTS = 10_000, 22_000
#: each process begins elsewhere: others may be choosing at the same time
_turns = itertools.count(random.randrange(_PORTS))


def free_port() -> int:
    """Return a port that nobody has, that nobody gets by chance, and that is not returned again soon."""
    for turn in itertools.islice(_turns, _PORTS):
        port = _FIRST_PORT + turn % _PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def write_users(path: Path, users: Sequence[int], amount: int | None = None) -> Path:
    """Write a source file: users alone, or users with one amount."""
    if amount is None:
        path.write_text("userid\n" + "".join(f"{user}\n" for user in users))
    else:
        path.write_text("userid,amount\n" + "".join(f"{user},{amount}\n" for user in users))
    return path


class Answer:
    """An HTTP answer, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]


class Client:
    """Talks to a server over TCP or its Unix socket."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port, self.token = port, token

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, {**own, **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status == 200, answer.body
        return answer.data

    def post(self, path: str, fields: Any = None) -> Answer:
        body = None if fields is None else json.dumps(fields).encode()
        return self.request("POST", path, body, {"Content-Type": "application/json"})

    def hand_in(
        self, source: Path, *, key: str | None = None, name: str | None = None, **config: Any
    ) -> Answer:
        """Hand a file in; `model` in config says where to."""
        model = config.pop("model", "modify" if "mode" in config else "query")
        config = {"cluster": "fish", "eids": [1001], "operatorid": 7, "operatorname": "test", **config}
        boundary = uuid.uuid4().hex
        body = _multipart(boundary, json.dumps(config).encode(), name or source.name, source.read_bytes())
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if key:
            headers["Idempotency-Key"] = key
        return self.request("POST", f"/{model}", body, headers)

    def operation(self, identity: int) -> Any:
        return self.get(f"/operations/{identity}")

    def wait_for_state(self, identity: int, *states: str, deadline_s: float = DEADLINE_S) -> Any:
        def look() -> Any:
            with suppress(OSError, http.client.HTTPException):
                operation = self.operation(identity)
                return operation if operation["state"] in states else None

        return wait_until(look, f"operation {identity} in {states}", deadline_s)

    def download(self, name: str, query: str = "&bom=0") -> bytes:
        answer = self.request("GET", f"/download?name={name}{query}")
        assert answer.status == 200, answer.body
        return answer.body


def _multipart(boundary: str, config: bytes, name: str, content: bytes) -> bytes:
    quoted = name.replace('"', "%22")
    return b"".join(
        [
            f'--{boundary}\r\nContent-Disposition: form-data; name="config"\r\n\r\n'.encode(),
            config,
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{quoted}"\r\nContent-Type: text/csv\r\n\r\n'.encode(),
            content,
            f"\r\n--{boundary}--\r\n".encode(),
        ]
    )


class Child:
    """A process of ours in a group of its own; its output is kept in a file.

    `through` is a command that becomes ours, such as nsenter.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        environ: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
    ) -> None:
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [*through, sys.executable, "-m", "eomd", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; after SIGKILL wait for the end."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()

    def stop(self, deadline_s: float = DEADLINE_S) -> int:
        """Ask for an orderly end and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(deadline_s)

    def destroy(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Simulation(Child):
    """A simulated cluster; comes back on the same ports with the same counters."""

    def __init__(self, folder: Path, cluster: str, ports: Sequence[int], flags: Sequence[str]) -> None:
        self.cluster, self.ports, self.state, self.flags = cluster, ports, folder / f"sim-{cluster}", flags
        self._start(folder / f"sim-{cluster}.log")

    def _start(self, log: Path) -> None:
        listen = [word for port in self.ports for word in ("--listen", f"127.0.0.1:{port}")]
        arguments = ["evtsim", "--cluster", self.cluster, *listen, "--state", str(self.state), *self.flags]
        super().__init__(arguments, log)
        for port in self.ports:
            wait_until(lambda port=port: _accepts(port) or self._died(), f"{self.cluster} at {port}")

    def _died(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return False

    def restart(self, flags: Sequence[str] | None = None) -> None:
        self.flags = self.flags if flags is None else flags
        self._start(self.log)


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class World:
    """A folder with a configuration, simulated clusters and one server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.data, self.config = folder / "data", folder / "eomd.toml"
        #: see Child
        self.through: Sequence[str] = ()
        self.simulations: list[Simulation] = []
        self.server: Child | None = None

    def simulate(self, cluster: str = "fish", nodes: int = 2, *flags: str) -> Simulation:
        ports = [free_port() for _ in range(nodes)]
        simulation = Simulation(self.folder, cluster, ports, flags)
        self.simulations.append(simulation)
        return simulation

    def configure(
        self, *, connections: int = 4, reply_timeout_s: float = 2.0, extra: str = "", **ledger: str
    ) -> None:
        """Write eomd.toml for what was simulated so far; `extra` is TOML of further tables."""
        ledger = {"url": "sqlite:///eomd.db", **ledger}
        lines = [f'data_dir = "{self.data}"', "[server]", f'listen = "127.0.0.1:{self.port}"']
        lines += ["[auth]", "enabled = false", "[ledger]", *(f'{k} = "{v}"' for k, v in ledger.items())]
        for simulation in self.simulations:
            nodes = json.dumps([f"127.0.0.1:{port}:{connections}" for port in simulation.ports])
            lines += [f"[clusters.{simulation.cluster}]", f"nodes = {nodes}"]
            lines += [f"reply_timeout_s = {reply_timeout_s}"]
        if "[limits]" not in extra:
            lines += ["[limits]", "min_free_mb = 16"]
        self.config.write_text("\n".join([*lines, extra, ""]))

    @property
    def client(self) -> Client:
        return Client(self.port)

    def serve(self, command: str = "serve", **environ: str) -> Child:
        """Start the server and wait until it answers."""
        arguments = [command, "-c", str(self.config)]
        self.server = Child(arguments, self.folder / "server.log", environ, self.through)
        wait_until(self._answers, "the server answers")
        return self.server

    def _answers(self) -> bool:
        assert self.server is not None
        assert self.server.process.poll() is None, self.server.log.read_text()[-4000:]
        with suppress(OSError, http.client.HTTPException):
            return self.client.request("GET", "/health").status == 200
        return False

    def run(
        self, *arguments: str, deadline_s: float = DEADLINE_S, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command against this world's configuration to its end."""
        command = [sys.executable, "-m", "eomd", *arguments, "-c", str(self.config)]
        whole = {**os.environ, **(environ or {})}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=deadline_s, check=False, env=whole
        )

    def close(self) -> None:
        """Kill what still runs, and clear up for it."""
        for child in [self.server, *self.simulations]:
            if child is not None:
                child.destroy()
        remove_runtime_folder(runtime_folder(self.data, os.environ))


def open_world(folder: Path) -> Iterator[World]:
    """Yield a world and take it down whatever happened."""
    world = World(folder)
    try:
        yield world
    finally:
        world.close()
