"""What becomes of a row that a node answered BUSY or INTERNAL: another try after a pause, or an end. Pure.

The numbers are the protocol's (evt-protocol.md, "Row status"). Paused rows wait as whole parcels in one
schedule, rounded up to ticks, so that a stream of single busy rows goes out again in parcels of many.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from sortedcontainers import SortedDict

from eomd.evt.codec import U8
from eomd.evt.parcel import F64, NEVER, Bools, History, Parcel
from eomd.model import RowStatus

PAUSE_FIRST_S = 0.05
PAUSE_LONGEST_S = 2.0
#: after the first BUSY; an answer BUSY later than that is the row's last
BUSY_S_MAX = 60.0
#: how often a row is sent again because of INTERNAL
INTERNAL_RESENDS_MAX = 5
TICK_S = 0.01
#: 2 ** this times the first pause is far over the longest one
_DOUBLINGS_MAX = 16

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided about n rows."""

    #: the rows, their history carried on
    parcel: Parcel
    #: bool[n]: not to be sent again
    exhausted: Bools
    #: float64[n]: when to send each of the others again, monotonic
    due_s: F64


def undecided_of(status: U8) -> Bools | None:
    """Return which rows were answered BUSY or INTERNAL (status: uint8[n]); None where none was."""
    if np.maximum.reduce(status) < RowStatus.BUSY:
        return None
    undecided = (status == RowStatus.BUSY) | (status == RowStatus.INTERNAL)
    return undecided if undecided.any() else None


def judge(parcel: Parcel, status: U8, now_s: float) -> Judged:
    """Decide about rows that were answered BUSY or INTERNAL (status: uint8[n], nothing else in it)."""
    history = parcel.history or History.fresh(len(parcel))
    busy = status == RowStatus.BUSY
    since_s = np.where(busy & (history.busy_since_s == NEVER), now_s, history.busy_since_s)
    internals = history.internals + ~busy
    over = np.where(busy, now_s - since_s >= BUSY_S_MAX, internals > INTERNAL_RESENDS_MAX)
    pause_s = np.minimum(PAUSE_FIRST_S * np.exp2(history.pauses, dtype=np.float64), PAUSE_LONGEST_S)
    due_s = np.where(busy, np.minimum(now_s + pause_s, since_s + BUSY_S_MAX), now_s + pause_s)
    pauses = np.minimum(history.pauses + np.uint8(1), _DOUBLINGS_MAX).astype(np.uint8)
    carried = replace(history, pauses=pauses, internals=internals.astype(np.uint8), busy_since_s=since_s)
    return Judged(Parcel(parcel.rows, carried), over, due_s)


class Pauses(Generic[K]):
    """Parcels that wait for their next try, by the tick they are due at; each belongs to an owner."""

    def __init__(self) -> None:
        self._ticks: SortedDict[int, dict[K, list[Parcel]]] = SortedDict()

    @property
    def next_due_s(self) -> float | None:
        return self._ticks.keys()[0] * TICK_S if self._ticks else None

    def add(self, owner: K, parcel: Parcel, due_s: F64) -> None:
        """Let each row wait until it is due (due_s: float64[n]), at most a tick longer."""
        ticks = np.ceil(due_s / TICK_S).astype(np.int64)
        for tick in np.unique(ticks):
            part = parcel.pick(ticks == tick)
            self._ticks.setdefault(int(tick), {}).setdefault(owner, []).append(part)

    def due(self, now_s: float) -> list[tuple[K, Parcel]]:
        """Take out what is due, one parcel per owner and tick."""
        found = []
        while self._ticks and self._ticks.keys()[0] * TICK_S <= now_s:
            _, owners = self._ticks.popitem(0)
            found += [(owner, Parcel.join(parts)) for owner, parts in owners.items()]
        return found

    def remove(self, owner: K) -> list[Parcel]:
        """Take out everything of one owner, due or not."""
        found: list[Parcel] = []
        for tick in list(self._ticks):
            found += self._ticks[tick].pop(owner, [])
            if not self._ticks[tick]:
                del self._ticks[tick]
        return found
