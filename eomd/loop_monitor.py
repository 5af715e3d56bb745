"""How late the event loop is: whatever holds it shows here, for metrics, heartbeat and log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: between two looks; a hold is seen with an error of at most this
INTERVAL_S = 0.02
#: a hold that is logged
LOGGED_S = 0.5


class LoopMonitor:
    """Asks to be called every INTERVAL_S and measures by how much that comes late."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._worst = 0.0

    def start(self) -> None:
        """Begin; on the loop that is to be watched."""
        self._due = asyncio.get_running_loop().time()
        self._look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take_worst(self) -> float:
        """Return the greatest lag in seconds since the last call."""
        worst, self._worst = self._worst, 0.0
        return worst

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        lag = max(0.0, now - self._due)
        self._observe(lag)
        self._worst = max(self._worst, lag)
        if lag >= LOGGED_S:
            logger.warning("The loop was held for %.1f s", lag)
        self._due = now + INTERVAL_S
        self._timer = loop.call_at(self._due, self._look)
