"""The hash of what a modify changes: cluster, mode, EIDs and rows, whatever their order and the file's form.

Two modifies have the same one exactly if they would give the same counters of the same users the same
amounts, row for row (up to accidents of one in 2^128; it is no defence against a forger). Each row is mixed
into two numbers of 64 bits, and the rows' numbers are added up: so the order does not matter, blocks suffice,
and a row can be taken out again.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from eomd.model import Order
from eomd.storage.rows_file import I64, U64

_VERSION = 1
#: one start and one step per number: any that have nothing in common will do
_LANES = (
    (0x243F6A8885A308D3, 0x9E3779B97F4A7C15),
    (0x13198A2E03707344, 0xC2B2AE3D27D4EB4F),
)
_ALL = 2**64 - 1


class ChangeHash:
    """Takes the rows of one modify, a block at a time."""

    def __init__(self, order: Order) -> None:
        self._order = order
        #: positions of the EIDs, by number
        self._columns = sorted(range(len(order.eids)), key=order.eids.__getitem__)
        self._rows = 0
        self._sums = [0] * len(_LANES)

    def add(self, users: U64, amounts: I64 | None) -> None:
        """Take n rows: uint64[n]; int64[n, k], or int64[n, 1] for all EIDs, or None: the order's."""
        self._count(users, amounts, 1)

    def take_out(self, users: U64, amounts: I64 | None) -> None:
        """Take rows out again that were added: they are not sent."""
        self._count(users, amounts, -1)

    def hexdigest(self) -> str:
        """Return 64 characters."""
        order = self._order
        facts = [_VERSION, order.cluster, order.mode, sorted(order.eids), self._rows, self._sums]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _count(self, users: U64, amounts: I64 | None, sign: int) -> None:
        self._rows += sign * len(users)
        for lane, (start, step) in enumerate(_LANES):
            mixed = _mix(users + np.uint64(start))
            for column in self._columns:
                mixed += self._steps(amounts, column, step)
                _mix(mixed)
            total = int(np.add.reduce(mixed, dtype=np.uint64))
            self._sums[lane] = (self._sums[lane] + sign * total) & _ALL

    def _steps(self, amounts: I64 | None, column: int, step: int) -> U64 | np.uint64:
        if amounts is None:
            return np.uint64((self._order.amount or 0) * step & _ALL)
        values: NDArray[np.int64] = amounts[:, column if amounts.shape[1] > 1 else 0]
        return values.astype(np.uint64) * np.uint64(step)


def _mix(values: U64) -> U64:
    """Spread every bit of each value over all of them, in place; no two values become the same."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
