"""A cluster's speed limit as a token bucket. Pure: the clock is an argument."""

from __future__ import annotations

import sys

#: worth of the rate that may be sent at once after a silence
BURST_S = 0.1
#: worth of the rate that is handed out at a time, so that a limit does not end in one-row requests
QUANTUM_S = 0.02


class Bucket:
    """Hands out at most `rows_per_s` rows a second, 0 = as many as anybody likes."""

    def __init__(self, rows_per_s: int, now_s: float) -> None:
        self.rows_per_s = rows_per_s
        self._capacity = max(1.0, rows_per_s * BURST_S)
        self._quantum = min(self._capacity, max(1.0, rows_per_s * QUANTUM_S))
        self._level = self._capacity
        self._filled_s = now_s

    def available(self, now_s: float) -> int:
        """Return how many rows may be sent now; 0 while that would be less than a quantum."""
        if not self.rows_per_s:
            return sys.maxsize
        self._level = min(self._capacity, self._level + (now_s - self._filled_s) * self.rows_per_s)
        self._filled_s = now_s
        return int(self._level) if self._level >= self._quantum else 0

    def take(self, rows: int) -> None:
        """Count rows as sent; never more than `available` said."""
        if self.rows_per_s:
            self._level -= rows

    def due_s(self, now_s: float) -> float:
        """Return when `available` will be more than 0, `now_s` where it is."""
        if not self.rows_per_s or self.available(now_s):
            return now_s
        # a thousandth later, so that rounding does not wake somebody for nothing
        return now_s + (self._quantum - self._level) / self.rows_per_s + 0.001
