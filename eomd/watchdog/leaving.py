"""Servers that have handed over, or lost their watchdog, and still answer those who wait; not for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from eomd.watchdog.schedule import Schedule
from eomd.watchdog.waiting import first_of

#: what a server is given to answer those who still wait
LEAVE_S_MAX = 30.0


class Leaver(Protocol):
    """Has been told to end."""

    @property
    def pid(self) -> int: ...

    @property
    def exited(self) -> asyncio.Future[Any]: ...

    def kill(self) -> None: ...


class Leaving:
    """For one loop."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._leavers: set[Leaver] = set()

    @property
    def pids(self) -> list[int]:
        return [leaver.pid for leaver in self._leavers]

    def let(self, leaver: Leaver) -> None:
        """Let it end by itself, or kill it in the end."""
        if leaver.exited.done():
            return
        self._leavers.add(leaver)
        deadline = self._schedule.after(LEAVE_S_MAX, leaver.kill)

        def left(_: object) -> None:
            deadline.cancel()
            self._leavers.discard(leaver)

        leaver.exited.add_done_callback(left)

    async def see_off(self, hurry: asyncio.Event) -> None:
        """Return once all have left; in a hurry they are killed."""
        hurrying = asyncio.create_task(hurry.wait())
        try:
            while self._leavers:
                if hurry.is_set():
                    for leaver in self._leavers:
                        leaver.kill()
                leaver = next(iter(self._leavers))
                await first_of(leaver.exited, *([] if hurry.is_set() else [hurrying]))
        finally:
            hurrying.cancel()
