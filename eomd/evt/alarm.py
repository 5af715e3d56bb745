"""One timer on the loop for everything that is due at some time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Rings once, at the earliest of the times it was set to (monotonic); then it must be set again."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._due_s = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due_s: float) -> None:
        """Ring at `due_s`, or earlier if it is set to that already."""
        if due_s < self._due_s:
            self.cancel()
            self._due_s = due_s
            self._handle = asyncio.get_running_loop().call_at(due_s, self._fire)

    def cancel(self) -> None:
        if self._handle:
            self._handle.cancel()
        self._handle, self._due_s = None, math.inf

    def _fire(self) -> None:
        self._handle, self._due_s = None, math.inf
        self._ring()
