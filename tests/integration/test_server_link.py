"""The watchdog's calls to the server: to servers that answer, stall, vanish and babble."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eomd.watchdog import server_link
from eomd.watchdog.server_link import ServerAwayError, ServerLink
from tests.on_loop import on_loop

PATIENCE_S = 30.0

Serve = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """What stands at the other end; `serve` decides what a connection is answered."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.connections = 0
        self.requests: list[tuple[str, bytes]] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def receive(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.partition("Content-Length: ")[2].split("\r\n")[0])
        self.requests.append((head.split("\r\n")[0], await reader.readexactly(length)))


async def answer(writer: asyncio.StreamWriter, body: object, status: str = "200 OK", extra: str = "") -> None:
    content = json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{extra}\r\n".encode() + content)
    await writer.drain()


async def serve_well(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await peer.receive(reader)
        await answer(writer, {"code": 0, "data": peer.requests[-1][0]})


@asynccontextmanager
async def linked(folder: Path, serve: Serve) -> AsyncIterator[tuple[ServerLink, Peer]]:
    peer, path = Peer(serve), folder / "api.sock"
    server = await asyncio.start_unix_server(peer.connected, str(path))
    link = ServerLink(path)
    try:
        yield link, peer
    finally:
        await link.close()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@on_loop
async def test_calls_share_one_kept_connection(tmp_path: Path) -> None:
    async with linked(tmp_path, serve_well) as (link, peer):
        for _ in range(3):
            status, body = await link.call("PUT", "/internal/watch", {"a": "é"}, timeout_s=PATIENCE_S)
        assert (status, body["data"]) == (200, "PUT /internal/watch HTTP/1.1")
        assert json.loads(peer.requests[0][1]) == {"a": "é"}
        assert peer.connections == 1


@on_loop
async def test_a_refusal_is_an_answer(tmp_path: Path) -> None:
    async def refuse(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.receive(reader)
        await answer(writer, {"error": "STOPPED"}, "503 Service Unavailable", "Connection: close\r\n")

    async with linked(tmp_path, refuse) as (link, peer):
        for _ in range(2):
            status, body = await link.call("GET", "/health", timeout_s=PATIENCE_S)
            assert (status, body) == (503, {"error": "STOPPED"})
        assert peer.connections == 2


@on_loop
async def test_a_kept_connection_that_was_closed_meanwhile_costs_no_call(tmp_path: Path) -> None:
    async def serve_once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.receive(reader)
        await answer(writer, {"data": len(peer.requests)})

    async with linked(tmp_path, serve_once) as (link, peer):
        answers = [await link.call("GET", "/health", timeout_s=PATIENCE_S) for _ in range(3)]
        assert [body["data"] for _, body in answers] == [1, 2, 3]
        assert peer.connections == 3


@on_loop
async def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ServerAwayError, match=r"api\.sock: No such file"):
        await ServerLink(tmp_path / "api.sock").call("GET", "/health", timeout_s=PATIENCE_S)


@on_loop
async def test_a_server_that_says_nothing_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    async def stall(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.receive(reader)
        await asyncio.Event().wait()

    async with linked(tmp_path, stall) as (link, peer):
        with pytest.raises(ServerAwayError, match=r"within 0\.05 s"):
            await link.call("GET", "/health", timeout_s=0.05)
        # the answer may still come: the connection must not serve another call
        with pytest.raises(ServerAwayError):
            await link.call("GET", "/health", timeout_s=0.05)
        assert peer.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno!",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\r\n\r\n",
        b"x" * (server_link.LINE_BYTES_MAX + 1),
    ],
)
def test_what_is_no_whole_answer_is_no_answer(tmp_path: Path, reply: bytes) -> None:
    async def babble(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.receive(reader)
        writer.write(reply)
        await writer.drain()

    @on_loop
    async def ask() -> None:
        async with linked(tmp_path, babble) as (link, _):
            with pytest.raises(ServerAwayError):
                await link.call("GET", "/health", timeout_s=PATIENCE_S)

    ask()


@on_loop
async def test_no_more_calls_than_connections_are_under_way(tmp_path: Path) -> None:
    opened = asyncio.Event()
    most = 0
    busy = 0

    async def serve_slowly(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, busy
        while True:
            await peer.receive(reader)
            busy += 1
            most = max(most, busy)
            if busy == server_link.CONNECTIONS_MAX:
                opened.set()
            await opened.wait()
            busy -= 1
            await answer(writer, {})

    async with linked(tmp_path, serve_slowly) as (link, peer):
        calls = [link.call("GET", "/health", timeout_s=PATIENCE_S) for _ in range(10)]
        assert len(await asyncio.gather(*calls)) == 10
        assert most == peer.connections == server_link.CONNECTIONS_MAX


@on_loop
async def test_what_a_draining_server_refuses_the_next_one_answers(tmp_path: Path) -> None:
    async def drain_and_be_replaced(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await peer.receive(reader)
        if peer.connections < 3:
            await answer(writer, {"error": "DRAINING"}, "503 Service Unavailable", "Connection: close\r\n")
        else:
            await answer(writer, {"data": "the next one"})

    async with linked(tmp_path, drain_and_be_replaced) as (link, peer):
        status, body = await link.call("PUT", "/internal/watch", {"a": 1}, timeout_s=PATIENCE_S)
        assert (status, body["data"]) == (200, "the next one")
        assert [body for _, body in peer.requests] == [b'{"a": 1}'] * 3


@on_loop
async def test_a_server_that_drains_for_too_long_is_away(tmp_path: Path) -> None:
    async def drain(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.receive(reader)
            await answer(writer, {"error": "DRAINING"}, "503 Service Unavailable")

    async with linked(tmp_path, drain) as (link, _):
        with pytest.raises(ServerAwayError, match="no answer from the server"):
            await link.call("POST", "/internal/inbox", {}, timeout_s=0.5)
