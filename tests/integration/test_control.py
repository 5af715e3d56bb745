"""The watchdog's control socket, and the sign on the door of a server that a person stopped."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from eomd.errors import EomdError
from eomd.listen import TcpAddress, open_sockets, open_unix
from eomd.watchdog.closed_sign import CALLERS_MAX, ClosedSign
from eomd.watchdog.control import LINE_BYTES_MAX, Control


@asynccontextmanager
async def control(folder: Path, **orders: Any) -> AsyncIterator[Path]:
    path = folder / "up.sock"
    listener = open_unix(path, 0o600)
    made = Control(listener)
    for name, order in orders.items():
        made.register(name, order)
    running = asyncio.create_task(made.run())
    try:
        yield path
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        listener.close()


async def say(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        answers.append(json.loads(await reader.readline()))
    writer.close()
    return answers


async def greet(who: str) -> dict[str, Any]:
    return {"greeted": who}


async def refuse(who: str) -> dict[str, Any]:
    raise EomdError("not now")


async def fail(who: str) -> dict[str, Any]:
    raise ZeroDivisionError("a fault of ours")


def test_orders_are_carried_out_and_answered_on_one_line_each(tmp_path: Path) -> None:
    async def main() -> None:
        async with control(tmp_path, greet=greet, refuse=refuse) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            answers = await say(
                path, b'{"order": "greet", "who": "alice"}', b'{"order": "refuse"}', b'{"order": "greet"}'
            )
            assert answers == [
                {"ok": True, "greeted": "alice"},
                {"ok": False, "error": "not now"},
                {"ok": True, "greeted": "somebody"},
            ]

    asyncio.run(main())


@pytest.mark.parametrize("line", [b"", b"greet", b"[]", b'{"order": 1}', b'{"order": ["greet"]}', b"null"])
def test_what_is_no_order_is_refused(tmp_path: Path, line: bytes) -> None:
    async def main() -> None:
        async with control(tmp_path, greet=greet) as path:
            (answer,) = await say(path, line)
            assert answer == {"ok": False, "error": "expected one of these orders: greet"}

    asyncio.run(main())


def test_a_fault_in_an_order_ends_neither_the_socket_nor_the_caller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with control(tmp_path, fail=fail, greet=greet) as path:
            assert await say(path, b'{"order": "fail"}', b'{"order": "greet"}') == [
                {"ok": False, "error": "a fault of ours"},
                {"ok": True, "greeted": "somebody"},
            ]

    asyncio.run(main())
    assert [record.message for record in caplog.records] == ["the order fail failed"]


def test_a_line_without_end_is_hung_up_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with control(tmp_path, greet=greet) as path:
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"x" * (3 * LINE_BYTES_MAX))
            assert await reader.read() == b""
            writer.close()
            assert (await say(path, b'{"order": "greet"}'))[0]["ok"]

    asyncio.run(main())


def test_at_the_end_orders_are_answered_and_idle_callers_hung_up_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        begun, known = asyncio.Event(), asyncio.Event()

        async def ponder(who: str) -> dict[str, Any]:
            begun.set()
            await known.wait()
            return {"outcome": "the watchdog ends"}

        async with control(tmp_path, ponder=ponder) as path:
            idle, _ = await asyncio.open_unix_connection(str(path))
            asking = asyncio.create_task(say(path, b'{"order": "ponder"}'))
            await begun.wait()
            known.set()
        assert await asking == [{"ok": True, "outcome": "the watchdog ends"}]
        assert await idle.read() == b""

    asyncio.run(main())
    assert caplog.records == []


def test_at_the_end_an_order_without_end_keeps_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eomd.watchdog.control.LAST_ANSWERS_S", 0.05)

    async def main() -> None:
        begun = asyncio.Event()

        async def ponder(who: str) -> dict[str, Any]:
            begun.set()
            await asyncio.Event().wait()
            return {}

        async with control(tmp_path, ponder=ponder) as path:
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"order": "ponder"}\n')
            await begun.wait()
        assert await reader.read() == b""
        writer.close()

    asyncio.run(main())


# --- the sign on the door


@asynccontextmanager
async def closed(folder: Path) -> AsyncIterator[tuple[socket.socket, int]]:
    listener = open_sockets(TcpAddress("127.0.0.1", 0), None)["http"]
    sign = ClosedSign({"http": listener}, "", "")
    await sign.hang_out()
    try:
        yield listener, listener.getsockname()[1]
    finally:
        sign.take_in()
        listener.close()


async def ask(port: int, request: bytes) -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head, body


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000,
    ],
    ids=["get", "expect", "body"],
)
def test_whoever_asks_a_stopped_server_is_told_so(tmp_path: Path, request_: bytes) -> None:
    async def main() -> None:
        async with closed(tmp_path) as (_, port):
            head, body = await ask(port, request_)
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 30" in head
            answer = json.loads(body)
            assert (answer["code"], answer["error"]) == (50303, "STOPPED")
            assert answer["data"] == {"retry_after_s": 30}
            head, body = await ask(port, request_.replace(b"GET", b"HEAD"))
            assert (body == b"") == request_.startswith(b"GET")

    asyncio.run(main())


def test_what_is_no_request_and_who_says_nothing_disturb_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eomd.watchdog.closed_sign.PATIENCE_S", 0.2)

    async def main() -> None:
        async with closed(tmp_path) as (_, port):
            silent = await asyncio.open_connection("127.0.0.1", port)
            assert await silent[0].read() == b""
            head, _ = await ask(port, b"x" * 100_000)
            assert head == b""
            head, _ = await ask(port, b"GET / HTTP/1.1\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            silent[1].close()

    asyncio.run(main())


def test_more_callers_than_it_can_hold_are_hung_up_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with closed(tmp_path) as (_, port):
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CALLERS_MAX)]
            assert await ask(port, b"") == (b"", b"")
            for _, writer in idle:
                writer.close()

    asyncio.run(main())


def test_the_listening_socket_outlives_the_sign(tmp_path: Path) -> None:
    async def main() -> None:
        async with closed(tmp_path) as (listener, port):
            sign = ClosedSign({"http": listener}, "", "")
            await sign.hang_out()
            sign.take_in()
            assert (await ask(port, b"GET / HTTP/1.1\r\n\r\n"))[0].startswith(b"HTTP/1.1 503 ")

    asyncio.run(main())
