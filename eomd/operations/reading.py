"""Reading the counters of some users beside what operations do: a block at a time, answered in memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from eomd.evt.cluster import Cluster
from eomd.evt.codec import I64, U8, U32, U64, Head, Rows
from eomd.model import RowStatus


class Reading:
    """The `Work` of reading n users."""

    def __init__(self, users: U64, eids: tuple[int, ...], number: int) -> None:
        self.head = Head(eids, None, number)
        self.braced = False
        #: uint8[n]: PENDING until answered
        self.status: U8 = np.full(len(users), RowStatus.PENDING, np.uint8)
        #: int64[n, k]
        self.values: I64 = np.zeros((len(users), len(eids)), np.int64)
        self._users, self._taken, self._left = users, 0, len(users)
        self._answered = asyncio.Event()

    def take(self, rows_max: int) -> Rows | None:
        start, self._taken = self._taken, min(self._taken + rows_max, len(self._users))
        index = np.arange(start, self._taken, dtype=np.uint32)
        return Rows(index, self._users[start : self._taken]) if len(index) else None

    def settle(self, index: U32, status: U8, detail: U8, before: I64 | None, after: I64 | None) -> None:
        if before is not None:
            self.values[index] = before
        self.status[index] = status
        self._left -= len(index)
        if not self._left:
            self._answered.set()

    def maybe_sent(self, index: U32) -> NDArray[np.bool_]:
        return np.zeros(len(index), np.bool_)

    async def run(self, cluster: Cluster, stopping: asyncio.Event) -> bool:
        """Ask, and wait for the answers, however long the cluster is away. False where it is to stop."""
        if not self._left:
            return True
        cluster.attach(self)
        waiting = {asyncio.ensure_future(event.wait()) for event in (self._answered, stopping)}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await cluster.detach(self, 0.0)
        # answers that come while it leaves do not turn a person's word round
        return self._answered.is_set() and not stopping.is_set()


async def read_values(cluster: Cluster, eids: tuple[int, ...], users: U64) -> Reading:
    """Ask for the counters of users: uint64[n]. What is not answered within the reply's time is PENDING."""
    reading = Reading(users, eids, 0)
    with suppress(TimeoutError):
        async with asyncio.timeout(cluster.settings.reply_timeout_s):
            await reading.run(cluster, asyncio.Event())
    return reading
