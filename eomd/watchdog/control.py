"""The watchdog's control socket: orders of the commands, one JSON object a line each way.

{"order": "status"}  →  {"ok": true, …}  or  {"ok": false, "error": "…"}
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import socket
from typing import Any

from eomd.errors import EomdError

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 4096
WHO_CHARACTERS_MAX = 64
#: a caller that says nothing for so long is hung up on
IDLE_S_MAX = 60.0
#: at the end, for the answers to orders whose outcome is known by then
LAST_ANSWERS_S = 1.0

#: given who orders, carries an order out; what it returns stands in the answer beside `ok`
Order = Callable[[str], Awaitable[dict[str, Any]]]


class Control:
    """Answers on one listening Unix socket, whose file mode says who may call."""

    def __init__(self, listener: socket) -> None:
        self._listener = listener
        self._orders: dict[str, Order] = {}
        self._calls: set[asyncio.Task[None]] = set()
        #: of them, those that have not said what they want
        self._idle: set[asyncio.Task[None]] = set()
        self._ending = False

    def register(self, name: str, order: Order) -> None:
        """Carry this order out from now on."""
        self._orders[name] = order

    async def run(self) -> None:
        """Answer until cancelled."""
        server = await asyncio.start_unix_server(self._accept, sock=self._listener, limit=LINE_BYTES_MAX)
        try:
            await server.serve_forever()
        finally:
            server.close()
            await self._hang_up()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # a task of our own: 3.11's streams take one that is cancelled for a fault of theirs, and log it
        call = asyncio.create_task(self._serve(reader, writer))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _hang_up(self) -> None:
        """End all calls; a caller whose order has come to its end is answered first."""
        self._ending = True
        for call in self._idle:
            call.cancel()
        if self._calls:
            _, unanswered = await asyncio.wait(self._calls, timeout=LAST_ANSWERS_S)
            for call in unanswered:
                call.cancel()
            await asyncio.gather(*unanswered, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not self._ending and (line := await self._read(reader)):
                answer = await self._answer(line)
                writer.write(json.dumps(answer, ensure_ascii=False, default=str).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:
            log.debug("a caller of the control socket is gone: %s", error)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        call = asyncio.current_task()
        assert call is not None
        self._idle.add(call)
        try:
            async with asyncio.timeout(IDLE_S_MAX):
                return await reader.readline()
        finally:
            self._idle.discard(call)

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            name, who = asked["order"], str(asked.get("who", "somebody"))[:WHO_CHARACTERS_MAX]
            order = self._orders[name]
        except (ValueError, LookupError, TypeError):
            return {"ok": False, "error": f"expected one of these orders: {', '.join(self._orders)}"}
        try:
            return {"ok": True, **await order(who)}
        except (EomdError, OSError) as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:
            log.exception("the order %s failed", name)
            return {"ok": False, "error": str(error) or type(error).__name__}
