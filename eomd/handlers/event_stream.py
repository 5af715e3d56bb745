"""Server-sent events: what both streams have in common.

A stream is answered at once, is never buffered by a proxy, carries a comment every HEARTBEAT_S so that nobody
takes it for dead, and ends with a hint when to come back while the server drains.
"""

from __future__ import annotations

import asyncio
from typing import Any

from eomd.errors import EomdError, TooBusyError
from eomd.handlers.answer import encode
from eomd.handlers.base import ApiHandler
from eomd.model import Operation
from eomd.operations.board import Subscription

HEARTBEAT_S = 15.0
#: between two pieces of news about progress
PROGRESS_S = 0.5
#: how long a client waits before it comes back
RETRY_MS = 2000


class EventStreamHandler(ApiHandler):
    """Follows a subscription; subclasses say what is sent."""

    def initialize(self, **arguments: Any) -> None:  # type: ignore[override]
        super().initialize(**arguments)
        self._gone = asyncio.Event()
        self._last_sent = 0.0
        self._counted = False

    async def admit(self) -> None:
        """Raises TooBusyError where so many streams are open already."""
        context = self.context
        if context.streams >= context.streams_max:
            raise TooBusyError("event streams", "limits.event_streams", context.streams_max)
        self._counted = True
        context.streams += 1

    def _leave(self) -> None:
        if self._counted:
            self._counted = False
            self.context.streams -= 1
        super()._leave()

    def on_connection_close(self) -> None:
        self._gone.set()
        super().on_connection_close()

    async def open_stream(self) -> None:
        """Send the headers, so that the client knows that it is connected."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store, no-transform")
        self.set_header("X-Accel-Buffering", "no")
        self.write(f"retry: {RETRY_MS}\n\n")
        self._last_sent = asyncio.get_running_loop().time()
        await self.push()

    async def send_event(self, event: str, data: object, event_id: str | None = None) -> bool:
        """Send one event; False once the client is gone."""
        named = f"id: {event_id}\n" if event_id is not None else ""
        content = encode(data, bigint_as_string=self._bigint_as_string)
        self.write(f"{named}event: {event}\ndata: ".encode() + content + b"\n\n")
        return await self.push()

    async def follow(self, subscription: Subscription) -> None:
        """Send news until `news` says that it was the last, the client goes, or the server drains."""
        loop = asyncio.get_running_loop()
        stops = [loop.create_task(event.wait()) for event in (self._gone, self.context.draining)]
        upcoming: asyncio.Task[Operation] = loop.create_task(_next(subscription))
        gathered: dict[int, Operation] = {}
        next_news = loop.time() + PROGRESS_S
        try:
            while not any(stop.done() for stop in stops):
                pause = max(0.0, next_news - loop.time())
                await asyncio.wait({upcoming, *stops}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                urgent = False
                if upcoming.done():
                    operation = upcoming.result()
                    gathered[operation.id] = operation
                    urgent = operation.state.ended
                    upcoming = loop.create_task(_next(subscription))
                if urgent or loop.time() >= next_news:
                    news, gathered = list(gathered.values()), {}
                    next_news = loop.time() + PROGRESS_S
                    if not await self._send_news(news):
                        return
        finally:
            for task in (upcoming, *stops):
                task.cancel()

    async def _send_news(self, news: list[Operation]) -> bool:
        if not self._is_welcome():
            return False
        now = asyncio.get_running_loop().time()
        sent = await self.news(news)
        if sent is None:
            return False
        if sent:
            self._last_sent = now
        elif now - self._last_sent >= HEARTBEAT_S:
            self._last_sent = now
            self.write(": alive\n\n")
            return await self.push()
        return True

    def _is_welcome(self) -> bool:
        """Ask anew who listens: a stream would outlive sessions, tokens and grants that come to their end."""
        try:
            self._identify()
        except EomdError:
            return False
        return True

    async def news(self, operations: list[Operation]) -> bool | None:
        """Send what has changed; return whether anything was sent, None to end the stream."""
        raise NotImplementedError


async def _next(subscription: Subscription) -> Operation:
    return await anext(aiter(subscription))
