"""The commands' HTTP client against a server that misbehaves on purpose."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eomd.cli import client as client_module
from eomd.cli.client import AnswerLostError, ApiError, Client, ServerAwayError, Target

Talk = Callable[[socket.socket], None]


class Scripted:
    """Takes connections one after the other; each is served by the next talk."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._talks: tuple[Talk, ...] = ()

    def say(self, *talks: Talk) -> None:
        self._talks = talks
        self._thread.start()

    @property
    def target(self) -> Target:
        return Target(url=f"http://127.0.0.1:{self.listener.getsockname()[1]}", token="geheim")

    def _serve(self) -> None:
        for talk in self._talks:
            peer, _ = self.listener.accept()
            with peer:
                talk(peer)

    def reads(self, answer: bytes = b"") -> Talk:
        """Read the whole request, then answer."""

        def talk(peer: socket.socket) -> None:
            self.requests.append(read_request(peer))
            peer.sendall(answer)

        return talk

    def close(self) -> None:
        self._thread.join(10)
        self.listener.close()


def read_request(peer: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += peer.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while length and len(body) < int(length[1]):
        body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: dict[str, object], *headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


TAKEN = answer("201 Created", {"code": 0, "msg": "ok", "data": {"id": 7}})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / '用户 "1".csv'
    path.write_text("userid\n1\n")
    return path


@pytest.fixture
def server() -> Iterator[Scripted]:
    made = Scripted()
    yield made
    made.close()


def hand_in(server: Scripted, source: Path, told: list[str] | None = None) -> object:
    said: list[str] = [] if told is None else told
    client = Client(server.target, on_retry=said.append)
    return client.hand_in("query", {"cluster": "fish"}, source, lambda done, total: None)


def key_of(request: bytes) -> bytes:
    found = re.search(rb"Idempotency-Key: (\w+)", request)
    assert found
    return found[1]


def test_a_file_goes_up_as_a_form_with_its_name(server: Scripted, source: Path) -> None:
    server.say(server.reads(TAKEN))
    assert hand_in(server, source) == {"id": 7}
    (request,) = server.requests
    assert b"Authorization: Bearer geheim" in request
    assert 'filename="用户 %221%22.csv"'.encode() in request
    assert b'{"cluster": "fish"}' in request
    assert b"\r\n\r\nuserid\n1\n\r\n--" in request


def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    server: Scripted, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAUSE_S", 0.0)
    server.say(server.reads(), server.reads(TAKEN))
    told: list[str] = []
    assert hand_in(server, source, told) == {"id": 7}
    first, second = map(key_of, server.requests)
    assert first == second
    assert len(told) == 1


def test_a_full_queue_is_waited_for_and_a_refusal_is_not(server: Scripted, source: Path) -> None:
    full = answer("429 Too Many", {"error": "QUEUE_FULL", "msg": "full"}, "Retry-After: 0")
    refused = answer("507 Full", {"error": "DISK_FULL", "msg": "the disk is full"}, "Retry-After: 0")
    server.say(server.reads(full), server.reads(refused))
    with pytest.raises(ApiError, match="the disk is full"):
        hand_in(server, source)
    assert len(server.requests) == 2


def test_patience_has_an_end(server: Scripted, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PATIENCE_S", -1.0)
    server.say(server.reads())
    with pytest.raises(AnswerLostError):
        hand_in(server, source)


def test_a_refusal_before_the_bodys_end_is_understood(server: Scripted, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"1\n" * (16 << 20))

    def refuse(peer: socket.socket) -> None:
        peer.recv(1000)
        body = {"error": "UNAUTHENTICATED", "msg": "a token is needed"}
        peer.sendall(answer("401 Unauthorized", body, "Connection: close"))
        while peer.recv(1 << 20):
            pass

    server.say(refuse)
    with pytest.raises(ApiError, match="a token is needed") as caught:
        hand_in(server, large)
    assert caught.value.status == 401


def test_a_bad_files_problems_are_part_of_the_message(server: Scripted, source: Path) -> None:
    problems = [{"line": n, "column": "userid", "value": "x", "reason": "not a number"} for n in range(1, 31)]
    body = {"error": "INVALID_FILE", "msg": "bad", "data": {"problems": problems, "total_problems": 500}}
    server.say(server.reads(answer("400 Bad Request", body)))
    with pytest.raises(ApiError) as caught:
        hand_in(server, source)
    lines = str(caught.value).splitlines()
    assert lines[:2] == ["bad", "line 1, column userid: not a number (found 'x')"]
    assert lines[-1] == "… and 480 more"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"x": 1}'])
def test_an_answer_that_is_not_ours_is_a_refusal(server: Scripted, body: bytes) -> None:
    raw = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    server.say(server.reads(raw))
    with pytest.raises(ApiError, match="HTTP status 502"):
        Client(server.target).get("/health")


def test_a_download_that_is_cut_off_is_not_taken_for_whole(server: Scripted, tmp_path: Path) -> None:
    server.say(server.reads(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    with (tmp_path / "out").open("wb") as out, pytest.raises(AnswerLostError):
        Client(server.target).download("1-result.csv", out, lambda done, total: None)


def test_nobody_there_is_told_apart_from_an_answer_lost(tmp_path: Path) -> None:
    with pytest.raises(ServerAwayError, match="no server is running here; start one with: eomd up"):
        Client(Target(socket=tmp_path / "api.sock")).get("/health")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ServerAwayError, match=f"no server answers at http://127.0.0.1:{port}"):
        Client(Target(url=f"http://127.0.0.1:{port}")).get("/health")
    with pytest.raises(ServerAwayError, match="expected http://host:port"):
        Client(Target(url="localhost:8600")).get("/health")
