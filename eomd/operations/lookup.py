"""Reading a few users' counters now, beside what operations do. No files."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eomd.evt.cluster import Cluster
from eomd.evt.codec import I64, U8, U32, U64, Head, Rows
from eomd.model import RowStatus


@dataclass(frozen=True, slots=True)
class Reading:
    """What n users' counters are."""

    #: uint8[n]: RowStatus, PENDING where no answer came
    status: U8
    #: int64[n, k], 0 where the status is not OK
    values: I64


class _Lookup:
    """The `Work` of one look."""

    braced = True

    def __init__(self, eids: tuple[int, ...], users: U64) -> None:
        self.head = Head(eids, None, 0)
        self._users, self._taken, self._left = users, 0, len(users)
        self.found = Reading(
            np.full(len(users), RowStatus.PENDING, np.uint8), np.zeros((len(users), len(eids)), np.int64)
        )
        self.complete = asyncio.Event()

    def take(self, rows_max: int) -> Rows | None:
        index = np.arange(self._taken, min(self._taken + rows_max, len(self._users)), dtype=np.uint32)
        self._taken += len(index)
        return Rows(index, self._users[index]) if len(index) else None

    def settle(self, index: U32, status: U8, detail: U8, before: I64 | None, after: I64 | None) -> None:
        self.found.status[index] = status
        if before is not None:
            self.found.values[index] = before
        self._left -= len(index)
        if not self._left:
            self.complete.set()

    def maybe_sent(self, index: U32) -> NDArray[np.bool_]:
        return np.zeros(len(index), np.bool_)


async def read_values(cluster: Cluster, eids: tuple[int, ...], users: U64) -> Reading:
    """Ask for the counters of users: uint64[n]. What is not answered within the reply's time is PENDING."""
    lookup = _Lookup(eids, users)
    if not len(users):
        return lookup.found
    cluster.attach(lookup)
    try:
        async with asyncio.timeout(cluster.settings.reply_timeout_s):
            await lookup.complete.wait()
    except TimeoutError:
        pass
    finally:
        await cluster.detach(lookup, 0.0)
    return lookup.found
