"""One operation's rows at the pool: what it still has to give, what waits, what is in flight, what became.

The pool asks the operation for rows and tells it what became of them, through here alone; what the operation
throws meanwhile ends its lane and nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eomd.evt.codec import I64, U8, U32, Head, Rows
from eomd.evt.flight import Landed
from eomd.evt.parcel import Bools, Parcel
from eomd.model import NO_DETAIL, RowStatus

logger = logging.getLogger(__name__)

#: of one operation, waiting for another try: no new rows are taken beside so many
ROWS_PAUSED_MAX = 65_536


class Work(Protocol):
    """What the pool asks of an operation; everything is called on the loop."""

    head: Head
    #: rows of a modify may go where tokens are not remembered; the pool is to be woken when this turns true
    braced: bool

    def take(self, rows_max: int) -> Rows | None:
        """Return the next unsent rows, `rows_max` at most; None where there are none at the moment.

        The arrays are the pool's until their rows are settled.
        """
        ...

    def settle(self, index: U32, status: U8, detail: U8, before: I64 | None, after: I64 | None) -> None:
        """Take what became of n rows: index uint32[n], status, detail uint8[n], before, after int64[n, k].

        before is None only where every row failed or is uncertain; after also for a query.
        """
        ...

    def maybe_sent(self, index: U32) -> NDArray[np.bool_]:
        """Tell which rows an earlier life of this process may have sent without getting an answer."""
        ...


class Lane:
    """One attached operation."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.head = work.head
        #: to be sent before anything new
        self._ready: deque[Parcel] = deque()
        self.rows_inflight = 0
        self.rows_paused = 0
        #: takes nothing new any more; set once, by detach or a fault of the operation's
        self.leaving = False
        #: is told nothing any more
        self.left = False
        self._undone: list[U32] = []
        self._unknown: list[U32] = []
        self._quiet = asyncio.Event()

    @property
    def modifies(self) -> bool:
        return self.head.mode is not None

    def take(self, rows_max: int, new: bool) -> Parcel | None:
        """Return what is to be sent next, `rows_max` rows at most; new: whether unsent rows may be taken."""
        if self._ready:
            return self._take_ready(rows_max)
        if not new or self.leaving or self.rows_paused >= ROWS_PAUSED_MAX:
            return None
        try:
            rows = self.work.take(rows_max)
        except Exception:
            self._break("gives no rows")
            return None
        return Parcel(rows) if rows is not None and len(rows) else None

    def put_back(self, parcel: Parcel) -> None:
        """Let these rows go out next."""
        if len(parcel):
            self._ready.append(parcel)

    def resume(self, parcel: Parcel) -> None:
        """Let paused rows go out next."""
        self.rows_paused -= len(parcel)
        self.put_back(parcel)

    def settle_landed(self, landed: Sequence[tuple[Landed, Bools | None]]) -> None:
        """Tell the operation about answered rows, in one call; the mask says which rows, None = all."""
        parts = [_columns(part, which) for part, which in landed]
        if len(parts) == 1:
            self._settle(*parts[0])
            return
        index, status, detail, before, afters = zip(*parts, strict=True)
        after = None if afters[0] is None else np.concatenate(afters)
        join = np.concatenate
        self._settle(join(index), join(status), join(detail), join(before), after)

    def settle_failed(self, index: U32, status: U8) -> None:
        """Tell the operation about rows that ended without an answer that decides."""
        if len(index):
            self._settle(index, status, np.full(len(index), NO_DETAIL, np.uint8), None, None)

    def settle_uncertain(self, index: U32) -> None:
        self.settle_failed(index, np.full(len(index), RowStatus.UNCERTAIN, np.uint8))

    def doubtful(self, parcel: Parcel) -> Bools:
        """Tell which rows of a modify may have been done by a copy that was never answered."""
        if not self.modifies:
            return np.zeros(len(parcel), np.bool_)
        return parcel.lost | self.work.maybe_sent(parcel.rows.index)

    def give_back(self, parcels: Iterable[Parcel]) -> None:
        """Keep rows that will not be sent for the answer of detach, sorted into undone and unknown."""
        for parcel in parcels:
            doubtful = self.doubtful(parcel)
            self._undone.append(parcel.rows.index[~doubtful])
            self._unknown.append(parcel.rows.index[doubtful])

    def leave(self, paused: Iterable[Parcel]) -> None:
        """Take nothing new; keep only what must be sent once more because nobody knows about it."""
        self.leaving = True
        self.rows_paused = 0
        ready, self._ready = list(self._ready), deque()
        for parcel in ready:
            lost = parcel.lost
            self.put_back(parcel.pick(lost))
            self.give_back([parcel.pick(~lost)])
        self.give_back(paused)
        self.notice_quiet()

    def notice_quiet(self) -> None:
        """Wake who waits in `quiet` if nothing of this lane is on its way any more."""
        if self.leaving and not self.rows_inflight and not self._ready:
            self._quiet.set()

    async def quiet(self) -> None:
        await self._quiet.wait()

    def finish(self, unanswered: Iterable[Parcel]) -> tuple[U32, U32]:
        """End the lane; return the rows (undone, unknown), each sorted. unanswered: still in flight."""
        self.left = True
        self.give_back(self._ready)
        self._ready.clear()
        self.give_back([parcel.mark_lost() for parcel in unanswered])
        return _sorted(self._undone), _sorted(self._unknown)

    def _take_ready(self, rows_max: int) -> Parcel:
        parts, rows = [], 0
        while self._ready and rows < rows_max:
            parcel = self._ready.popleft()
            if len(parcel) > rows_max - rows:
                self._ready.appendleft(parcel.pick(slice(rows_max - rows, None)))
                parcel = parcel.pick(slice(0, rows_max - rows))
            parts.append(parcel)
            rows += len(parcel)
        return Parcel.join(parts)

    def _settle(self, index: U32, status: U8, detail: U8, before: I64 | None, after: I64 | None) -> None:
        try:
            self.work.settle(index, status, detail, before, after)
        except Exception:
            self._break("takes no answers")

    def _break(self, what: str) -> None:
        if not self.leaving:
            logger.exception("an operation %s: nothing more of it is sent", what)
        self.leaving = True


def _columns(part: Landed, which: Bools | None) -> tuple[U32, U8, U8, I64, I64 | None]:
    if which is None:
        return part.index, part.status, part.detail, part.before, part.after
    after = None if part.after is None else part.after[which]
    return part.index[which], part.status[which], part.detail[which], part.before[which], after


def _sorted(parts: list[U32]) -> U32:
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.uint32)
