"""How every operation in hand stands this moment, and who wants to be told.

The ledger may lag (it may be away); what the board shows of an operation wins over the ledger's row.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from eomd.model import Operation
from eomd.operations.rate import RateMeter

#: ended operations still shown from here, so that a ledger that lags does not show them running
ENDED_KEPT_MAX = 1000
#: pause between two looks at progress for a subscriber
PROGRESS_S = 0.5


class Board:
    """Latest views by id: live ones are asked for, ended ones are kept for a while."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._live: dict[int, Callable[[], Operation]] = {}
        self._meters: dict[int, RateMeter] = {}
        self._ended: OrderedDict[int, Operation] = OrderedDict()
        self._subscriptions: set[Subscription] = set()

    def add(self, operation: int, view: Callable[[], Operation]) -> None:
        """Show an operation by asking for its view from now on."""
        self._live[operation] = view
        self._meters[operation] = RateMeter(self._clock)

    def remove(self, operation: int) -> None:
        """Show an operation as it ended."""
        shown = self._view(operation)
        del self._live[operation], self._meters[operation]
        self._ended[operation] = shown
        while len(self._ended) > ENDED_KEPT_MAX:
            self._ended.popitem(last=False)

    def find(self, operation: int) -> Operation | None:
        return self._view(operation) if operation in self._live else self._ended.get(operation)

    def live(self) -> Iterator[Operation]:
        for operation in self._live:
            yield self._view(operation)

    def _view(self, operation: int) -> Operation:
        """Return a live one as it stands; one that has ended and is still being put away may be amended."""
        return self._ended.get(operation) or self._live[operation]()

    def rate(self, operation: int) -> tuple[float, float | None]:
        """Return (rows per second of late, seconds left or None while unknown)."""
        meter, view = self._meters.get(operation), self._live.get(operation)
        if meter is None or view is None:
            return 0.0, None
        counts = view().counts
        per_s = meter.measure(counts.done)
        return per_s, (counts.total - counts.done) / per_s if per_s else None

    def amend(self, operation: Operation) -> None:
        """Show an ended operation as it is now, where it is still shown from here."""
        if operation.id in self._ended or operation.id in self._live:
            self._ended[operation.id] = operation

    def forget(self, operation: int) -> None:
        """Let the ledger speak for an ended operation again."""
        self._ended.pop(operation, None)

    def changed(self, operation: Operation) -> None:
        """Tell the subscribers of a state edge."""
        for subscription in self._subscriptions:
            subscription.push(operation)

    def subscribe(self, operation: int | None = None) -> Subscription:
        """Follow one operation, or all of them. The caller closes it."""
        subscription = Subscription(self, operation)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)


class Subscription:
    """An endless iterator of views: state edges at once, progress twice a second."""

    def __init__(self, board: Board, operation: int | None) -> None:
        self._board, self._operation = board, operation
        self._pending: dict[int, Operation] = {}
        self._seen: dict[int, Operation] = {}
        self._wake = asyncio.Event()

    def push(self, operation: Operation) -> None:
        if self._operation in (None, operation.id):
            self._pending[operation.id] = operation
            self._wake.set()

    def know(self, operations: Iterable[Operation]) -> None:
        """Take these as told: they come again when they change."""
        self._seen |= {operation.id: operation for operation in operations}

    def __aiter__(self) -> AsyncIterator[Operation]:
        return self

    async def __anext__(self) -> Operation:
        while not self._pending:
            self._wake.clear()
            try:
                async with asyncio.timeout(PROGRESS_S):
                    await self._wake.wait()
            except TimeoutError:
                self._look()
        operation = self._pending.pop(next(iter(self._pending)))
        self._seen[operation.id] = operation
        if operation.state.ended:
            self._seen.pop(operation.id)
        return operation

    def _look(self) -> None:
        for operation in self._board.live():
            if self._operation in (None, operation.id) and self._seen.get(operation.id) != operation:
                self._pending[operation.id] = operation

    def close(self) -> None:
        self._board.unsubscribe(self)
