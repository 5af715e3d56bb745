"""The chaos rig's customers: what they do where an answer is lost on its way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from tests.chaos.complaints import Complaints
from tests.chaos.customers import Customers
from tests.chaos.hand_ins import HandIn
from tests.world import Client, free_port


class Service(BaseHTTPRequestHandler):
    """One operation that can be paused; hangs up instead of answering where `lost` says so."""

    lost: list[str]
    calls: list[str]
    state: str

    def do_GET(self) -> None:
        self._answer(200, {"state": self.state, "paused_by": "person", "description": "x"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        action, kind = self.path.rpartition("/")[2], type(self)
        kind.calls.append(action)
        wanted = {"pause": "running", "resume": "paused"}.get(action, self.state)
        fits, kind.state = (
            self.state == wanted,
            {"pause": "paused", "resume": "succeeded"}.get(action, self.state),
        )
        if action in kind.lost:
            kind.lost.remove(action)
            self.close_connection = True
        else:
            self._answer(200 if fits else 409, {"id": 1})

    def _answer(self, status: int, data: object) -> None:
        body = json.dumps({"data": data}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(*lost: str) -> Iterator[type[Service]]:
    kind = type("OneService", (Service,), {"lost": list(lost), "calls": [], "state": "running"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    kind.port = server.server_address[1]
    try:
        yield kind
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def customers_of(port: int, folder: Path, complaints: Complaints) -> Customers:
    made = Customers(Client(port), folder / "sources", 1, complaints)
    # nobody waits while it is closing
    made._closing.set()
    return made


def an_operation() -> HandIn:
    return HandIn("x", "fish", None, (1001,), np.array([1], np.uint64), None, operation=1)


def test_a_pause_whose_answer_was_lost_is_resumed_all_the_same(tmp_path: Path) -> None:
    complaints = Complaints()
    with serving("pause") as service:
        customers_of(service.port, tmp_path, complaints)._pause(an_operation())
    assert service.calls == ["pause", "pause", "resume"]
    assert service.state == "succeeded"
    assert not complaints


def test_a_refused_connection_is_a_complaint(tmp_path: Path) -> None:
    complaints = Complaints()
    customers = customers_of(free_port(), tmp_path, complaints)
    assert customers._try(lambda: customers._client.request("GET", "/health")) is None
    assert list(complaints) == ["a connection was refused"]
    assert customers.counts == {"refused": 1}
