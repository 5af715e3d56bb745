"""The demo's world: a temporary folder, simulated clusters, a watched server; all go when the demo goes."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from eomd.cli.client import Client, Target
from eomd.cli.interruption import Interruption
from eomd.cli.links import format_link, make_link
from eomd.cli.progress import tell
from eomd.errors import EomdError
from eomd.runtime import API_SOCKET, remove_runtime_folder, runtime_folder

FIRST_USER = 100_000_001
PORT = 8600
START_S_MAX = 60.0
STOP_S_MAX = 40.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class DemoCluster:
    name: str
    title: str
    nodes: int
    #: by EID, name and unit
    eids: Mapping[int, tuple[str, str]]


CLUSTERS = (
    DemoCluster("fish", "捕鱼集群", 2, {1001: ("活动积分", "分"), 1002: ("累计消耗", "金币")}),
    DemoCluster(
        "common", "通用集群", 1, {1: ("登录天数", "天"), 2: ("充值次数", "次"), 3: ("分享次数", "次")}
    ),
)
#: of each counter
HIGHEST = 1_000_000


@dataclass(frozen=True, slots=True)
class DemoUser:
    name: str
    role: str
    operatorid: int
    operatorname: str


USERS = (
    DemoUser("zhao", "admin", 11, "赵"),
    DemoUser("li", "operator", 12, "李"),
    DemoUser("wang", "approver", 13, "王"),
    DemoUser("chen", "viewer", 14, "陈"),
)
#: of a single row; a modify with more shows how a second person decides
LARGEST_AMOUNT = 10_000


class DemoWorld:
    """Enter it, and the server answers; leave it, and nothing is left."""

    def __init__(self, users: int, interruption: Interruption) -> None:
        self.users = users
        self._interruption = interruption
        self._stack = ExitStack()
        # what configures the caller's own eomd is not the demo's
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("EOMD_")}

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes in order, then remove the folders. A second Ctrl-C does not disturb it."""
        self._interruption.ignore()
        self._stack.close()

    def _open(self) -> None:
        with self._interruption.deferred():
            self.folder = Path(tempfile.mkdtemp(prefix="eomd-demo-"))
            self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._log = self.folder / "eomd.log"
        nodes = {cluster.name: self._simulate(cluster) for cluster in CLUSTERS}
        runtime = runtime_folder(self._data, self._environ)
        self._stack.callback(remove_runtime_folder, runtime)
        self._admin = Client(Target(socket=runtime / API_SOCKET))
        for port in (PORT, 0):
            self.url = f"http://127.0.0.1:{_free_port(port)}"
            if self._serve(nodes):
                break
        self.check()
        self.token: str = self._admin.send("POST", "/tokens", {"name": "demo", "role": "admin"})["token"]
        self.client = Client(Target(url=self.url, token=self.token), on_retry=tell)
        for user in USERS:
            # nobody types it: they come in by links
            self._admin.send("POST", "/users", {**asdict(user), "password": secrets.token_urlsafe()})
        self._admin.send("PUT", "/nosdata", _definitions())

    def link(self, user: str) -> str:
        """Return a new one-time link of a user."""
        return format_link(self.url, make_link(self._admin, user))

    @property
    def config(self) -> Path:
        return self.folder / "eomd.toml"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _serve(self, nodes: Mapping[str, Sequence[str]]) -> bool:
        """Start the server; False where it ended, as it does when somebody was quicker to take the port."""
        self.config.write_text(self._configure(nodes), encoding="utf-8")
        self._up = self._start(["up", "-c", str(self.config)])
        self._wait(lambda: self._up.poll() is not None or self._is_well(), "the server")
        return self._up.poll() is None

    def check(self) -> None:
        """Raise EomdError where the server's watchdog has ended by itself, KeyboardInterrupt after Ctrl-C."""
        self._interruption.check()
        if self._up.poll() is not None:
            raise EomdError(f"the server ended:\n{self._log_tail()}")

    def _simulate(self, cluster: DemoCluster) -> list[str]:
        """Start a cluster; return its nodes' addresses."""
        users = f"{FIRST_USER}-{FIRST_USER + self.users - 1}"
        arguments = ["evtsim", "--cluster", cluster.name, "--state", str(self.folder / cluster.name)]
        arguments += ["--users", users, "--fill", "1"]
        arguments += [word for eid in cluster.eids for word in ("--eid", f"{eid}:0:{HIGHEST}")]
        arguments += ["--listen", "127.0.0.1:0"] * cluster.nodes
        simulator = self._start(arguments, stdout=subprocess.PIPE)
        assert simulator.stdout is not None
        said = _Lines(simulator.stdout.fileno())
        self._wait(
            lambda: len(said.starting("listening ")) == cluster.nodes, f"the simulated cluster {cluster.name}"
        )
        return [line.split()[-1] for line in said.starting("listening ")]

    def _configure(self, nodes: Mapping[str, Sequence[str]]) -> str:
        lines = [f"data_dir = {json.dumps(str(self._data))}", "[server]"]
        lines += [f"listen = {json.dumps(self.url.removeprefix('http://'))}", "[limits]", "min_free_mb = 64"]
        lines += ["[approval]", f"largest_amount = {LARGEST_AMOUNT}"]
        for cluster in CLUSTERS:
            title = json.dumps(cluster.title, ensure_ascii=False)
            lines += [f"[clusters.{cluster.name}]", f"title = {title}"]
            lines += [f"nodes = {json.dumps(list(nodes[cluster.name]))}"]
        return "\n".join([*lines, ""])

    def _start(self, arguments: Sequence[str], stdout: int | None = None) -> subprocess.Popen[bytes]:
        libc = ctypes.CDLL(None)
        with self._interruption.deferred(), self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "eomd", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                env=self._environ,
                # Ctrl-C is for the demo alone, which ends them in order
                process_group=0,
                # and should the demo be killed, they get their signal all the same
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
            )
            self._stack.callback(_end, process)
        return process

    def _is_well(self) -> bool:
        with suppress(EomdError):
            return bool(self._admin.get("/health")["status"] == "ok")
        return False

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not condition():
            self._interruption.check()
            if time.monotonic() > deadline:
                raise EomdError(f"{what} did not come up in {START_S_MAX:.0f} s\n{self._log_tail()}")
            time.sleep(0.05)

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])


class _Lines:
    """What a process has said so far, without waiting for more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._said = b""

    def starting(self, word: str) -> list[str]:
        while select.select([self._descriptor], [], [], 0)[0]:
            chunk = os.read(self._descriptor, 4096)
            if not chunk:
                break
            self._said += chunk
        whole = self._said.decode().rpartition("\n")[0]
        return [line for line in whole.splitlines() if line.startswith(word)]


def _definitions() -> dict[str, object]:
    """Return what the counters are called, so that they are found by name."""
    bounds = {"minimum": 0, "maximum": HIGHEST, "editable": True}
    return {
        "clusters": [{"name": cluster.name, "title": cluster.title} for cluster in CLUSTERS],
        "eids": [
            {"cluster": cluster.name, "eid": eid, "name": name, "unit": unit, **bounds}
            for cluster in CLUSTERS
            for eid, (name, unit) in cluster.eids.items()
        ],
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _free_port(wanted: int) -> int:
    """Return this port where it is free, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise EomdError("no free port on 127.0.0.1")
