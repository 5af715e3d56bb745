"""The watchdog's incidents on their way into the ledger, and what is told of them meanwhile.

Taken from the spool in order; a file goes once the ledger has what it says. While the ledger is away, what
waits and the newest that were known before are all there is to be told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from eomd.errors import EomdError, UnavailableError
from eomd.incident_spool import IncidentSpool
from eomd.model import Grants, Incident
from eomd.storage.ledger import IncidentFilter, Ledger

log = logging.getLogger(__name__)

#: that are known without the ledger
KNOWN_MAX = 200
#: files of the spool that are written in one transaction
BATCH = 100
#: between two looks into the spool that nobody asked for
LOOK_S = 30.0

T = TypeVar("T")


class IncidentBook:
    """One installation's. For one loop."""

    def __init__(self, ledger: Ledger, spool: IncidentSpool, installation: str, executor: Executor) -> None:
        self._ledger, self._spool, self._installation = ledger, spool, installation
        self._executor = executor
        #: the newest, by id
        self._known: dict[str, Incident] = {}
        self._remembered = False
        self._wake = asyncio.Event()
        self._taking = asyncio.Lock()
        ledger.add_listener(self._wake.set)

    def news(self) -> None:
        """Have the spool looked into: something has come."""
        self._wake.set()

    async def run(self) -> None:
        """Take what comes into the spool, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._take()
            except OSError as error:
                log.error("the incidents' spool cannot be read: %s", error)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def page(self, wanted: IncidentFilter) -> tuple[int, list[Incident]]:
        """Return how many incidents there are and one page of them, newest first, as far as that is known."""
        try:
            if await self._take():
                return await self._ledger.incidents(self._installation, wanted)
        except (UnavailableError, OSError) as error:
            log.info("incidents are told from memory: %s", error)
        chosen = [incident for incident in self._newest_known() if wanted.lets(incident)]
        start = (wanted.page - 1) * wanted.page_size
        return len(chosen), chosen[start : start + wanted.page_size]

    def newest(self, count: int, grants: Grants) -> list[Incident]:
        """Return the newest that may be seen, from memory alone."""
        wanted = IncidentFilter(clusters=grants.clusters)
        return list(islice((each for each in self._newest_known() if wanted.lets(each)), count))

    async def retire(self, before: datetime) -> None:
        """Forget what ended before then. Raises LedgerUnavailableError; may be repeated."""
        while await self._ledger.remove_incidents(self._installation, before):
            pass
        self._known = {
            identity: each
            for identity, each in self._known.items()
            if each.closed is None or each.closed >= before
        }

    async def _take(self) -> bool:
        """Bring what waits into the ledger; False where it takes nothing. Raises OSError."""
        async with self._taking:
            waiting = await self._in_thread(self._spool.waiting)
            try:
                await self._remember()
                for start in range(0, len(waiting), BATCH):
                    await self._take_batch(waiting[start : start + BATCH])
            except UnavailableError:
                for path in waiting[-KNOWN_MAX:]:
                    self._note(await self._in_thread(self._spool.read, path))
                return False
        return True

    async def _take_batch(self, batch: Sequence[Path]) -> None:
        """Bring these changes into the ledger in one transaction. Raises UnavailableError."""
        incidents = [each for path in batch for each in await self._in_thread(self._spool.read, path)]
        try:
            await self._ledger.put_incidents(self._installation, incidents)
        except UnavailableError:
            raise
        except EomdError as error:
            await self._take_apart(batch, error)
            return
        self._note(incidents)
        for path in batch:
            await self._in_thread(self._spool.remove, path)

    async def _take_apart(self, batch: Sequence[Path], error: EomdError) -> None:
        """Find the change that the ledger refuses: it holds the others up no longer."""
        if len(batch) > 1:
            for path in batch:
                await self._take_batch([path])
            return
        log.error("incidents in %s were refused, and are set aside: %s", batch[0].name, error)
        await self._in_thread(self._spool.set_aside, batch[0])

    async def _remember(self) -> None:
        """Learn once what the ledger has, to be told while it is away. Raises UnavailableError."""
        if not self._remembered:
            _, items = await self._ledger.incidents(self._installation, IncidentFilter(page_size=KNOWN_MAX))
            newer = list(self._known.values())
            self._note(items)
            self._note(newer)
            self._remembered = True

    def _note(self, incidents: Sequence[Incident]) -> None:
        self._known.update({incident.id: incident for incident in incidents})
        newest = self._newest_known()[:KNOWN_MAX]
        self._known = {incident.id: incident for incident in newest}

    def _newest_known(self) -> list[Incident]:
        known = self._known.values()
        return sorted(known, key=lambda incident: (incident.opened, incident.id), reverse=True)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(*arguments))
