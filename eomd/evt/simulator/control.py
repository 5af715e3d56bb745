"""Orders to a running simulated cluster: one JSON object a line over TCP, one JSON object back."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping

from eomd.errors import ConfigurationError, ConnectError
from eomd.model import NodeAddress

ORDER_TIMEOUT_S = 10.0


class ControlServer:
    """Takes orders and answers each with what the nodes are like after it."""

    def __init__(
        self, carry_out: Callable[[object], Awaitable[None]], describe: Callable[[], list[dict[str, object]]]
    ) -> None:
        self._carry_out = carry_out
        self._describe = describe
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def address(self) -> NodeAddress:
        assert self._server, "not started"
        host, port = self._server.sockets[0].getsockname()[:2]
        return NodeAddress(host, port)

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port)

    async def stop(self) -> None:
        """End every conversation."""
        if self._server:
            self._server.close()
        # not cancelled: Python 3.11 logs a cancelled conversation as an error
        for writer in self._serving.values():
            writer.transport.abort()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving[task] = writer
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            # gone, or a line without an end: nothing to be answered
            pass
        finally:
            del self._serving[task]
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            await self._carry_out(json.loads(line))
        except (json.JSONDecodeError, UnicodeDecodeError, ConfigurationError, OSError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True, "nodes": self._describe()}


def send_order(host: str, port: int, order: Mapping[str, object]) -> dict[str, object]:
    """Send one order from another process and return the answer; blocks. Raises ConnectError."""
    try:
        with socket.create_connection((host, port), ORDER_TIMEOUT_S) as connection:
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile("rb") as file:
                answer: dict[str, object] = json.loads(file.readline())
    except (OSError, json.JSONDecodeError) as error:
        raise ConnectError(f"no simulated cluster takes orders at {host}:{port}: {error}") from error
    return answer
