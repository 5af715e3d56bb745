"""How much of one round of the loop goes into a cluster's rows, however many connections have some.

Everything else that the server does takes several rounds: the shorter they are, the sooner it is answered.
"""

from __future__ import annotations

import asyncio
import time

#: of one round; who comes later goes on in the next
SHIFT_S_MAX = 0.0005


class Shift:
    """Shared by all connections of a cluster. Who comes first in a round always has time."""

    def __init__(self) -> None:
        self._over = True
        self._until_s = 0.0

    def has_time(self) -> bool:
        """Tell whether this round has time left for rows."""
        now_s = time.monotonic()
        if self._over:
            self._over = False
            self._until_s = now_s + SHIFT_S_MAX
            asyncio.get_running_loop().call_soon(self._end)
            return True
        return now_s < self._until_s

    async def turn(self) -> None:
        """Return in a round that has time left, after those who waited before."""
        while not self.has_time():
            await asyncio.sleep(0)

    def _end(self) -> None:
        self._over = True
