"""Hand-ins between their folder and their operation: which are under way, whether earlier ones are in doubt.

A commit that nobody confirmed leaves an abandoned folder, and a ledger that may know of a hand-in whose
caller was told to try again. Until that is settled a repeat could be answered with what must never run, so
no hand-in is taken. Nobody but the intake touches the folder of one that is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from eomd.storage.ledger import Ledger


class HandIns:
    """In doubt from the start, after each loss of the ledger and after each abandoned hand-in."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._under_way: set[str] = set()
        #: doubts that have arisen, and those of them that a look at the ledger has settled
        self._arisen, self._settled = 1, 0
        self._doubted = asyncio.Event()
        self._doubted.set()
        ledger.add_listener(self._note_edge)

    @property
    def in_doubt(self) -> bool:
        return self._settled < self._arisen

    def doubt(self) -> None:
        """Take no hand-ins until the ledger has been looked into again."""
        self._arisen += 1
        self._doubted.set()

    async def wait_for_doubt(self) -> None:
        await self._doubted.wait()

    async def settle(self, look: Callable[[], Awaitable[None]]) -> None:
        """End the doubts that there were before `look`; what it raises leaves them all."""
        seen = self._arisen
        await look()
        self._settled = seen
        if not self.in_doubt:
            self._doubted.clear()

    @contextmanager
    def under_way(self, hand_in: str) -> Iterator[None]:
        """Keep everybody else away from the folder of this UUID."""
        self._under_way.add(hand_in)
        try:
            yield
        finally:
            self._under_way.discard(hand_in)

    def is_under_way(self, hand_in: str | None) -> bool:
        return hand_in in self._under_way

    def _note_edge(self) -> None:
        if not self._ledger.state.up:
            self.doubt()
