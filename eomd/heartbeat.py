"""The server's side of the heartbeat: signs of life from its loop, up the watchdog's pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eomd.handover import Heartbeat, Sign, give_sign


class Heart:
    """Silent where no watchdog listens."""

    def __init__(
        self, pipe: int | None, take_pulse: Callable[[Sign], Heartbeat], period_s: Callable[[], float]
    ) -> None:
        self._pipe, self._take_pulse, self._period_s = pipe, take_pulse, period_s
        self._sign = Sign.STARTING

    @property
    def watched(self) -> bool:
        return self._pipe is not None

    def say(self, sign: Sign, problem: str = "") -> None:
        """Say it at once; what lasts is repeated with every beat."""
        self._sign = Sign.ALIVE if sign is Sign.READY else sign
        if self._pipe is not None:
            give_sign(self._pipe, Heartbeat(sign, problem=problem) if problem else self._take_pulse(sign))

    async def beat(self) -> None:
        """Give signs of life; return once the watchdog has gone."""
        if self._pipe is None:
            return
        while give_sign(self._pipe, self._take_pulse(self._sign)):
            await asyncio.sleep(self._period_s())
