"""A whole server within the test's process: real sockets, a real ledger, simulated clusters."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eomd.app import Server
from eomd.config import Settings
from eomd.evt.simulator import SimulatedCluster
from eomd.listen import TcpAddress, open_sockets
from eomd.model import Role
from eomd.reconfigure import Reconfiguration
from eomd.rooms import Rooms, furnish
from eomd.storage.files import DataFolder

DEADLINE_S = 30.0


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Return the condition's first true value; fail after the deadline."""
    end = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while time.monotonic() < end:
        if value := condition():
            return value
        pause.wait(0.01)
    raise AssertionError(f"{what} did not happen within {DEADLINE_S} s")


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

    @property
    def error(self) -> str:
        return str(self.json["error"])


class UnixConnection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(self._path)


class Site:
    """One server and how to call it."""

    def __init__(self, folder: Path, clusters: Mapping[str, SimulatedCluster | str], **tables: Any) -> None:
        self.folder, self.data = folder, DataFolder(folder / "data")
        limits = {"min_free_mb": 1, "upload_mb": 8, **tables.pop("limits", {})}
        ledger = {"url": "sqlite:///eomd.db", **tables.pop("ledger", {})}
        self.settings = Settings.model_validate(
            {
                "data_dir": folder / "data",
                "clusters": {name: {"nodes": [_address(cluster)]} for name, cluster in clusters.items()},
                "limits": limits,
                "ledger": ledger,
                **tables,
            }
        )
        self.tokens: dict[Role, str] = {}
        self.rooms: Rooms
        self._server: Server
        self._loop: asyncio.AbstractEventLoop
        self._ended: Future[int] = Future()
        api = Path("/tmp") / f"eomd-test-{uuid.uuid4().hex[:12]}.sock"
        self._sockets = open_sockets(TcpAddress("127.0.0.1", 0), api)
        self.api, self.port = str(api), self._sockets["http"].getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="site", daemon=True)

    def start(self, *, tokens: bool = True) -> Site:
        self._thread.start()
        # connections wait in the backlog until the server accepts
        assert self.request("GET", "/health", role=None, unix=True).status == 200
        if tokens:
            for role in Role:
                self.tokens[role] = self.make_token(role.format())
        return self

    def make_token(self, role: str, **fields: Any) -> str:
        answer = self.request("POST", "/tokens", json_body={"name": role, "role": role, **fields}, unix=True)
        assert answer.status == 201, answer.body
        return str(answer.data["token"])

    def make_person(self, operatorid: int, role: Role = Role.APPROVER, name: str = "王") -> dict[str, str]:
        """Return the headers of a person's own token."""
        whose = {"operatorid": operatorid, "operatorname": name}
        return {"Authorization": f"Bearer {self.make_token(role.format(), **whose)}"}

    def stop(self) -> int:
        """End the server in good order; return its exit code."""
        self.begin_stop()
        return self.wait()

    def begin_stop(self) -> None:
        if self._thread.is_alive() and not self._ended.done():
            self._loop.call_soon_threadsafe(self._server.stop)

    def wait(self) -> int:
        self._thread.join(DEADLINE_S)
        Path(self.api).unlink(missing_ok=True)
        return self._ended.result(DEADLINE_S)

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function on the server's loop."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(DEADLINE_S)

    def _run(self) -> None:
        try:
            self._ended.set_result(asyncio.run(self._serve()))
        except BaseException as error:
            self._ended.set_exception(error)

    async def _serve(self) -> int:
        self._loop = asyncio.get_running_loop()
        self.data.lock()
        try:
            self.data.create()
            self.rooms = furnish(self.settings, self.data, Path(self.api))
            configuration = Reconfiguration(self.settings, self.rooms, Path(self.api))
            self._server = Server(configuration, self.rooms, self._sockets, None)
            return await self._server.run()
        finally:
            self.data.unlock()

    # --- calling it

    def connect(self, *, unix: bool = False) -> http.client.HTTPConnection:
        return (
            UnixConnection(self.api)
            if unix
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        )

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        role: Role | None = Role.OPERATOR,
        json_body: Any = None,
        unix: bool = False,
    ) -> Answer:
        """Ask with the token of a role; None: without one."""
        own = {"Authorization": f"Bearer {self.tokens[role]}"} if role in self.tokens else {}
        if json_body is not None:
            body, own["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        connection = self.connect(unix=unix)
        try:
            connection.request(method, path, body, {**own, **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, role: Role | None = Role.OPERATOR) -> Answer:
        return self.request("GET", path, role=role)

    def hand_in(
        self, config: Any, content: bytes = b"1\n2\n3\n", name: str = "players.csv", **more: Any
    ) -> Answer:
        """Hand a file in; a config with a mode is a modify."""
        headers = more.pop("headers", {})
        path = more.pop("path", "/modify" if "mode" in config else "/query")
        kind, body = multipart({"config": json.dumps(config).encode(), "file": (name.encode(), content)})
        return self.request("POST", path, body, {"Content-Type": kind, **headers}, **more)

    def ended(self, operation: int) -> Any:
        def look() -> Any:
            view = self.get(f"/operations/{operation}").data
            return view if view["executed"] else None

        return wait_until(look, f"the end of operation {operation}")

    def staged(self) -> list[Path]:
        """Return what bodies have left in the receiving folder."""
        return list(self.data.uploading.iterdir())

    def nothing_staged(self) -> bool:
        return not self.staged()


CONFIG = {"cluster": "fish", "eids": [1001, 1002], "operatorid": 7, "operatorname": "李", "wait_s": 20}


def multipart(
    parts: Mapping[str, bytes | tuple[bytes, bytes]], boundary: str = "b0undary"
) -> tuple[str, bytes]:
    """Return (content type, body); a part that is a pair is a file: name and content."""
    pieces = []
    for name, part in parts.items():
        file_name, content = part if isinstance(part, tuple) else (None, part)
        disposition = b'form-data; name="' + name.encode() + b'"'
        if file_name is not None:
            disposition += b'; filename="' + file_name + b'"'
        head = b"--" + boundary.encode() + b"\r\nContent-Disposition: " + disposition + b"\r\n\r\n"
        pieces.append(head + content + b"\r\n")
    body = b"".join(pieces) + b"--" + boundary.encode() + b"--\r\n"
    return f"multipart/form-data; boundary={boundary}", body


def _address(cluster: SimulatedCluster | str) -> str:
    if isinstance(cluster, str):
        return cluster
    return f"{cluster.nodes[0].address}:2"


@contextmanager
def open_site(folder: Path, clusters: Mapping[str, SimulatedCluster | str], **tables: Any) -> Any:
    site = Site(folder, clusters, **tables)
    try:
        yield site.start()
    finally:
        site.stop()
