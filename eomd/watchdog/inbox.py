"""The inbox: dropped files are claimed, and offered to the server until it has dealt with them.

This is the watchdog's part; the work with one configuration is a Porter's.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from eomd.watchdog.charge import Charge
from eomd.watchdog.inbox_word import InboxWord
from eomd.watchdog.incidents import Incidents
from eomd.watchdog.liveness import SERVING
from eomd.watchdog.offers import Link
from eomd.watchdog.porter import InboxState, Porter
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.supervisor import ServerState


class Inbox:
    """Claims and offers with the configuration of the day."""

    name = "inbox"

    def __init__(self, charge: Charge, incidents: Incidents, link: Link, schedule: Schedule) -> None:
        self._charge, self._link, self._schedule = charge, link, schedule
        self._word = InboxWord(incidents)
        self._changed = asyncio.Event()
        # one thread for good: what an earlier porter has begun there ends before a later one begins
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._porter: Porter | None = None
        self._server_ready = False

    def take_charge(self, charge: Charge) -> None:
        """Go on with a changed configuration."""
        if _concern(charge) != _concern(self._charge):
            self._changed.set()
        self._charge = charge

    def hear_server(self, state: ServerState) -> None:
        """Offer claims while there is a server."""
        self._server_ready = state in SERVING
        if self._porter is not None:
            self._porter.hear_server(self._server_ready)

    def view(self) -> dict[str, object]:
        if self._porter is None:
            return {"state": InboxState.OFF.value}
        return {"path": str(self._charge.inbox.path), **self._porter.view()}

    async def run(self) -> None:
        """Work until cancelled, anew with each changed configuration."""
        while True:
            self._changed.clear()
            changed = asyncio.create_task(self._changed.wait())
            work = asyncio.create_task(self._work())
            try:
                await asyncio.wait({work, changed}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                for task in (work, changed):
                    task.cancel()
                await asyncio.gather(work, changed, return_exceptions=True)

    async def _work(self) -> None:
        if not self._charge.inbox.enabled:
            self._word.forget_others([])
            await asyncio.Event().wait()
        self._porter = Porter(self._charge, self._word, self._link, self._schedule, self._executor)
        self._porter.hear_server(self._server_ready)
        try:
            await self._porter.run()
        finally:
            self._porter = None


def _concern(charge: Charge) -> object:
    return charge.inbox, charge.data_dir, charge.min_free_mb
