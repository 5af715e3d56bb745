"""Servers that have handed over and still answer those who wait, but not for ever."""

from __future__ import annotations

import asyncio

from eomd.watchdog.schedule import Schedule
from eomd.watchdog.server_process import ServerProcess
from eomd.watchdog.waiting import first_of

#: what a server is given to answer those who still wait
LEAVE_S_MAX = 30.0


class Leaving:
    """For one loop."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._servers: set[ServerProcess] = set()

    @property
    def pids(self) -> list[int]:
        return [server.pid for server in self._servers]

    def let(self, server: ServerProcess) -> None:
        """Let it end by itself, or kill it in the end."""
        if server.exited.done():
            return
        self._servers.add(server)
        deadline = self._schedule.after(LEAVE_S_MAX, server.kill)

        def left(_: object) -> None:
            deadline.cancel()
            self._servers.discard(server)

        server.exited.add_done_callback(left)

    async def see_off(self, hurry: asyncio.Event) -> None:
        """Return once all have left; in a hurry they are killed."""
        hurrying = asyncio.create_task(hurry.wait())
        try:
            while self._servers:
                if hurry.is_set():
                    for server in self._servers:
                        server.kill()
                server = next(iter(self._servers))
                await first_of(server.exited, *([] if hurry.is_set() else [hurrying]))
        finally:
            hurrying.cancel()
