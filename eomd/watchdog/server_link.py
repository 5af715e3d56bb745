"""Calls to the server over the machine's own socket: HTTP/1.1, kept connections, a deadline for each call.

Decides nothing. What is called must bear being called twice: a kept connection that the server has closed
meanwhile shows only when it is used, and the call is then made once more on a fresh one. The listening socket
is the watchdog's own, so a call made while no server runs waits there until the deadline. A server that is
about to end refuses what would change anything: that call is made again, and the next server answers it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from eomd.errors import DrainingError

UNAVAILABLE = 503
#: connections, and so calls at once; more wait for their turn
CONNECTIONS_MAX = 4
ANSWER_BYTES_MAX = 16 * 2**20
LINE_BYTES_MAX = 64 * 1024
#: before a call that a draining server has refused is made again
DRAINING_PAUSE_S = 0.1

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ServerAwayError(OSError):
    """The server has not answered; what was asked may have been done."""


class ServerLink:
    """For one loop."""

    def __init__(self, api_socket: Path) -> None:
        self._socket = api_socket
        self._idle: list[Streams] = []
        self._turns = asyncio.Semaphore(CONNECTIONS_MAX)

    async def call(self, method: str, path: str, body: object = None, *, timeout_s: float) -> tuple[int, Any]:
        """Return the answer's HTTP status and its body, decoded; `body` goes out as JSON unless it is None.

        Raises ServerAwayError where no whole answer has come within `timeout_s`, waiting for a turn included.
        """
        request = _format(method, path, body)
        try:
            async with asyncio.timeout(timeout_s), self._turns:
                while _is_draining(answer := await self._exchange(request)):
                    # who connects from now on is the next server's
                    await asyncio.sleep(DRAINING_PAUSE_S)
                return answer
        except TimeoutError as error:
            raise ServerAwayError(f"no answer from the server within {timeout_s:g} s") from error

    async def close(self) -> None:
        """Close the connections that no call uses."""
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, request: bytes) -> tuple[int, Any]:
        while self._idle:
            streams = self._idle.pop()
            with suppress(ServerAwayError):
                return await self._talk(streams, request)
        return await self._talk(await self._connect(), request)

    async def _connect(self) -> Streams:
        try:
            return await asyncio.open_unix_connection(str(self._socket), limit=LINE_BYTES_MAX)
        except OSError as error:
            raise ServerAwayError(f"{self._socket}: {error.strerror or error}") from error

    async def _talk(self, streams: Streams, request: bytes) -> tuple[int, Any]:
        reader, writer = streams
        keep = False
        try:
            writer.write(request)
            await writer.drain()
            status, answer, keep = await _read(reader)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise ServerAwayError(f"no whole answer from the server: {error}") from error
        finally:
            if keep:
                self._idle.append(streams)
            else:
                writer.close()
        return status, answer


def _is_draining(answer: tuple[int, Any]) -> bool:
    status, body = answer
    return status == UNAVAILABLE and isinstance(body, dict) and body.get("error") == DrainingError.code


def _format(method: str, path: str, body: object) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: eomd\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + content


async def _read(reader: asyncio.StreamReader) -> tuple[int, Any, bool]:
    """Return (status, decoded body, whether the connection can be kept). Raises ValueError for no answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    status = int(first.split(" ")[1]) if first.startswith("HTTP/1.1 ") else 0
    headers = {name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    length = int(headers.get("content-length", -1))
    if not 100 <= status <= 599 or not 0 <= length <= ANSWER_BYTES_MAX:
        raise ValueError("not an answer of the server's")
    content = await reader.readexactly(length)
    keep = headers.get("connection", "").lower() != "close"
    return status, json.loads(content) if content else None, keep
