"""Rows on their way to a cluster, with what has happened to each of them so far. Pure.

A row that nothing has happened to yet (nearly every row) has no history: it costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eomd.evt.codec import I64, U8, Rows

Bools = NDArray[np.bool_]
F64 = NDArray[np.float64]
Where = slice | NDArray[np.intp] | Bools

#: `busy_since_s` of a row that was never answered BUSY
NEVER = np.inf


@dataclass(frozen=True, slots=True)
class History:
    """What happened to each of n rows."""

    #: uint8[n], pauses made so far
    pauses: U8
    #: uint8[n], answers INTERNAL so far
    internals: U8
    #: float64[n], monotonic time of the first answer BUSY, else NEVER
    busy_since_s: F64
    #: bool[n], a copy was sent and never answered
    lost: Bools

    @classmethod
    def fresh(cls, rows: int) -> History:
        return cls(
            np.zeros(rows, np.uint8), np.zeros(rows, np.uint8), np.full(rows, NEVER), np.zeros(rows, np.bool_)
        )

    def pick(self, where: Where) -> History:
        return History(self.pauses[where], self.internals[where], self.busy_since_s[where], self.lost[where])

    @staticmethod
    def join(parts: Sequence[History]) -> History:
        return History(
            np.concatenate([part.pauses for part in parts]),
            np.concatenate([part.internals for part in parts]),
            np.concatenate([part.busy_since_s for part in parts]),
            np.concatenate([part.lost for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Parcel:
    """Rows of one operation, and their history if they have one."""

    rows: Rows
    history: History | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lost(self) -> Bools:
        """Tell which rows have a copy that was never answered."""
        return np.zeros(len(self), np.bool_) if self.history is None else self.history.lost

    def pick(self, where: Where) -> Parcel:
        """Return the rows at these positions."""
        return Parcel(self.rows.pick(where), None if self.history is None else self.history.pick(where))

    def mark_lost(self) -> Parcel:
        """Return the same rows, remembering that this copy of them was never answered."""
        history = self.history or History.fresh(len(self))
        return Parcel(self.rows, replace(history, lost=np.ones(len(self), np.bool_)))

    @staticmethod
    def join(parts: Sequence[Parcel]) -> Parcel:
        """Return one parcel of all rows; the parts are of one operation."""
        if len(parts) == 1:
            return parts[0]
        if all(part.history is None for part in parts):
            history = None
        else:
            history = History.join([part.history or History.fresh(len(part)) for part in parts])
        return Parcel(_join_rows([part.rows for part in parts]), history)


def _join_rows(parts: Sequence[Rows]) -> Rows:
    return Rows(
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.users for part in parts]),
        _join_values([part.amounts for part in parts]),
        _join_values([part.expected for part in parts]),
    )


def _join_values(parts: Sequence[I64 | None]) -> I64 | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None
