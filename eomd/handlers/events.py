"""GET /operations/ID/events, one operation to its end, and GET /events, the overview page."""

from __future__ import annotations

from contextlib import closing

from eomd.handlers.answer import encode
from eomd.handlers.event_stream import EventStreamHandler
from eomd.handlers.requests import Nothing
from eomd.handlers.views import operation_view
from eomd.model import Operation
from eomd.operations.board import Subscription

#: in the list that a stream of the overview begins with
OPERATIONS_MAX = 200


class OperationEventsHandler(EventStreamHandler):
    """`progress` while it goes on, `end` once; each carries the whole operation, so that none is missed."""

    async def get(self, id: str) -> None:
        self.parameters(Nothing)
        operation_id = self.parse_id(id)
        with closing(self.context.desk.subscribe(operation_id)) as subscription:
            operation = await self.context.desk.operation(operation_id)
            if operation.state.ended and self._knows(operation):
                # tells a browser's EventSource not to come back
                self.set_status(204)
                self.finish()
                return
            await self.open_stream()
            if await self.news([operation]) is not None:
                await self.follow(subscription)
        self.finish()

    async def news(self, operations: list[Operation]) -> bool | None:
        for operation in operations:
            if not self.asking().may_see(operation.order):
                return None
            name = "end" if operation.state.ended else "progress"
            view = operation_view(operation, *self.context.desk.rate(operation.id))
            if not await self.send_event(name, view, _event_id(operation)) or operation.state.ended:
                return None
        return bool(operations)

    def _knows(self, operation: Operation) -> bool:
        return self.request.headers.get("Last-Event-ID") == _event_id(operation)


class OverviewEventsHandler(EventStreamHandler):
    """`operations` at first, `operation` as they change; the rest at first and as it changes."""

    async def get(self) -> None:
        self.parameters(Nothing)
        self._parts: dict[str, bytes] = {}
        with closing(self.context.desk.subscribe(None)) as subscription:
            await self.open_stream()
            if await self._begin(subscription) and await self.news([]) is not None:
                await self.follow(subscription)
        self.finish()

    async def _begin(self, subscription: Subscription) -> bool:
        """Send what is in hand, newest first (of too many the rest follows); False without a client."""
        caller = self.asking()
        live = [operation for operation in self.context.desk.live() if caller.may_see(operation.order)]
        live.sort(key=lambda operation: operation.id, reverse=True)
        told = live[:OPERATIONS_MAX]
        subscription.know(told)
        views = [operation_view(each, *self.context.desk.rate(each.id)) for each in told]
        return await self.send_event("operations", {"total": len(live), "items": views})

    async def news(self, operations: list[Operation]) -> bool | None:
        caller = self.asking()
        seen = [operation for operation in operations if caller.may_see(operation.order)]
        for operation in seen:
            view = operation_view(operation, *self.context.desk.rate(operation.id))
            if not await self.send_event("operation", view):
                return None
        sent = bool(seen)
        for name, part in self.context.overview(caller.grants).items():
            content = encode(part)
            if self._parts.get(name) == content:
                continue
            self._parts[name] = content
            if not await self.send_event(name, part):
                return None
            sent = True
        return sent


def _event_id(operation: Operation) -> str:
    """Name what an event told: the same id, the same news."""
    return f"{operation.id}-{operation.state.value}-{operation.counts.done}"
