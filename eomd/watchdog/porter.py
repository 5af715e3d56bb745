"""The porter: watches the inbox's folders and has their files claimed, with one configuration.

Events say where to look first; what counts is the folder, which is looked at as a whole at the start, after
each burst and overflow, and every half minute. Everything that blocks runs on one thread, so that folders,
files and journal are in one hand.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import TypeVar

from eomd.inbox_layout import TAKEN, is_unfinished
from eomd.watchdog.charge import Charge
from eomd.watchdog.claims import Claims
from eomd.watchdog.inbox_places import Identity, Place, Places, look_at_places
from eomd.watchdog.inbox_word import InboxWord
from eomd.watchdog.inotify import FolderEvents, make_manager
from eomd.watchdog.offers import Link, Offers
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.taking import Swept, Taking

#: between two looks at the folders themselves; without events, also at their files
LOOK_S = 2.0
#: between two looks at all files, whatever the events say
SWEEP_S = 30.0
#: silence that ends a burst of events, and how long a burst may put the look at all files off
BURST_S, BURST_S_MAX = 0.3, 2.0
#: before the disk is asked again for what it has refused
HELD_S = 3.0
#: names of closed files that are remembered; the others are found by a look
CLOSED_MAX = 10_000

log = logging.getLogger(__name__)

T = TypeVar("T")


class InboxState(StrEnum):
    """How the inbox stands."""

    OFF = "off"
    #: not looked at yet
    STARTING = "starting"
    WATCHING = "watching"
    #: no events: the kernel gives no watches
    POLLING = "polling"
    #: files stay where they are: the disk is short, or takes no journal
    HELD = "held"
    UNREADABLE = "unreadable"


class Porter:
    """Works until cancelled; made anew for another configuration."""

    def __init__(
        self, charge: Charge, word: InboxWord, link: Link, schedule: Schedule, executor: ThreadPoolExecutor
    ) -> None:
        self._charge, self._inbox, self._word = charge, charge.inbox, word
        self._schedule, self._executor = schedule, executor
        self._clock = asyncio.get_running_loop().time
        self._claims = Claims(charge.folder / "claims")
        self._taking = Taking(self._inbox, self._claims, self._has_space)
        self._offers = Offers(
            self._claims, self._inbox.path / TAKEN, link, self._inbox.quiet_s, schedule, self._in_thread
        )
        self._events: FolderEvents | None = None
        self._wake = asyncio.Event()
        #: names said to be closed, by recipe; how many there are
        self._closed: dict[str, set[str]] = {}
        #: of the burst of events under way, and when all files are looked at for it
        self._burst_began_s, self._burst_end_s = math.inf, math.inf
        #: when folders, and all their files, are looked at next, burst or not
        self._look_s = self._sweep_s = 0.0
        self._overflowed = False
        self._places: Places | None = None
        #: the folders being watched, by recipe; those that may not be the ones there any more
        self._watched: dict[str, Identity] = {}
        self._doubted: set[str] = set()
        #: when a file came or went last, by recipe, as of the last look
        self._moved_ns: dict[str, int] = {}
        #: set once everything was looked at
        self._begun = asyncio.Event()
        self._swept: dict[str, Swept] = {}
        #: why files stay where they are
        self._held: str | None = None
        self._claimed = 0
        self._state, self._since = InboxState.STARTING, datetime.now(UTC)

    def hear_server(self, ready: bool) -> None:
        self._offers.server_ready = ready
        self._offers.wake()

    def view(self) -> dict[str, object]:
        """Return how the inbox stands, ready for JSON."""
        return {
            "state": self._state.value,
            "since": self._since.isoformat(),
            #: files in the folders that are not ready, or held
            "waiting": sum(swept.waiting for swept in self._swept.values()),
            #: files in `.taken` that the server has not dealt with
            "claimed": self._claims.open,
            "claimed_ever": self._claimed,
            "reason": self._held or (self._offers.reason if self._claims.open else None),
        }

    async def run(self) -> None:
        """Watch, claim and offer until cancelled. Raises OSError where the journal cannot be read."""
        self._word.forget_others([place.subject for place in self._all_places()])
        await self._in_thread(self._claims.load)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._offer())
                group.create_task(self._carry())
        finally:
            if self._events is not None:
                self._events.close()
            self._executor.submit(self._claims.close)

    async def _offer(self) -> None:
        # what a crash has cut off between the folders is put right first
        await self._begun.wait()
        await self._offers.run()

    async def _carry(self) -> None:
        while True:
            self._wake.clear()
            if self._clock() >= self._look_s:
                await self._look()
            if self._places is not None and self._places.taken_id is not None:
                await self._claim_ready()
            self._begun.set()
            self._turn()
            await self._rest()

    async def _rest(self) -> None:
        """Wait for an event, or for what is due next."""
        due_s = min(self._look_s, self._sweep_s, self._burst_end_s)
        due = self._schedule.at(due_s, self._wake.set)
        await self._wake.wait()
        due.cancel()

    # --- the folders -------------------------------------------------------------------------------------

    def _all_places(self) -> list[Place]:
        return [Place(recipe, self._inbox.path, None) for recipe in ("", *self._inbox.recipes)]

    async def _look(self) -> None:
        """Make what is missing, watch what is new, and say what is ill."""
        self._look_s = self._clock() + LOOK_S
        doubted, self._doubted = self._doubted, set()
        # what is told below may be acted on at once: events must be heard from then on
        trouble = await self._open_events()
        self._places = places = await self._in_thread(look_at_places, self._inbox)
        replaced = {
            place.recipe
            for place in places.drops
            if place.recipe in self._watched
            and place.identity is not None
            and (place.made or place.recipe in doubted or self._watched[place.recipe] != place.identity)
        }
        self._word.tell_places(places, replaced)
        fresh = [p for p in places.drops if p.recipe in replaced or p.recipe not in self._watched]
        self._watch(fresh, trouble)
        moved_ns = {place.recipe: place.mtime_ns for place in places.drops}
        if fresh or moved_ns != self._moved_ns:
            # files may have come without an event: linked, or kept open by who writes them
            self._sweep_s = 0.0
        self._moved_ns = moved_ns
        self._word.tell_lost(self._offers.lost)
        if places.taken_id is not None and (self._claims.damaged or not self._claims.knows(places.taken_id)):
            await self._adopt(places, places.taken_id)

    async def _open_events(self) -> str | None:
        """Be able to hear events; return why not, if so."""
        if self._events is None:
            try:
                manager = await self._in_thread(make_manager)
            except OSError as error:
                return str(error)
            self._events = FolderEvents(manager, self._hear_ready, self._hear_gone, self._hear_lost)
        return None

    def _watch(self, places: Sequence[Place], trouble: str | None) -> None:
        """Watch these folders from now on. `trouble`: why no events are heard."""
        for place in places:
            self._watched.pop(place.recipe, None)
            if place.identity is None or self._events is None:
                continue
            try:
                self._events.watch(place.recipe, str(place.path))
            except OSError as error:
                trouble = str(error)
            else:
                self._watched[place.recipe] = place.identity
        if places:
            self._word.tell_events(trouble)

    async def _adopt(self, places: Places, taken_id: str) -> None:
        try:
            adopted = await self._in_thread(self._taking.adopt, places)
            await self._in_thread(self._claims.learn, taken_id)
        except OSError as error:
            self._hold(str(error))
            return
        self._claims.damaged = False
        if adopted:
            log.warning("%d files in .taken stand in no journal: the server is asked about them", adopted)
            self._offers.wake()

    # --- the files ---------------------------------------------------------------------------------------

    async def _claim_ready(self) -> None:
        now_s = self._clock()
        try:
            if not await self._in_thread(self._has_space):
                self._hold(f"less than twice limits.min_free_mb = {self._charge.min_free_mb} MB free")
            elif now_s >= min(self._sweep_s, self._burst_end_s):
                await self._sweep()
            elif self._held is None:
                await self._take_closed(now_s)
        except OSError as error:
            self._hold(str(error))

    def _hold(self, reason: str) -> None:
        """Leave files where they are for a while; hints are dropped, a look finds what they were about."""
        if self._held != reason:
            log.warning("files stay in the inbox: %s", reason)
        self._held = reason
        self._closed = {}
        self._burst_began_s = self._burst_end_s = math.inf
        self._sweep_s = self._clock() + HELD_S

    async def _take_closed(self, now_s: float) -> None:
        closed, self._closed = self._closed, {}
        for place in self._usable():
            if names := closed.get(place.recipe):
                self._count(await self._in_thread(self._taking.take, self._places, place, names, now_s))

    async def _sweep(self) -> None:
        """Look at all files, and claim what is ready."""
        self._held = None
        closed, self._closed = self._closed, {}
        overflowed, self._overflowed = self._overflowed, False
        self._burst_began_s = self._burst_end_s = math.inf
        self._sweep_s = self._clock() + SWEEP_S
        for place in self._usable():
            await self._sweep_place(place, closed.get(place.recipe, set()))
        if overflowed and not self._overflowed:
            self._word.tell_looked_through()
        self._word.tell_files(list(chain.from_iterable(swept.troubles for swept in self._swept.values())))
        if (due_s := self._taking.due_s(self._clock())) is not None:
            self._sweep_s = min(self._sweep_s, due_s)

    async def _sweep_place(self, place: Place, closed: set[str]) -> None:
        more = True
        while more:
            swept = await self._in_thread(self._taking.sweep, self._places, place, closed, self._clock())
            self._count(swept)
            self._swept[place.recipe] = swept
            more = swept.more

    def _count(self, swept: Swept) -> None:
        if swept.claimed:
            self._claimed += swept.claimed
            self._offers.wake()
        if swept.held:
            self._hold("the disk is short")

    def _usable(self) -> list[Place]:
        return list(self._places.usable()) if self._places is not None else []

    def _has_space(self) -> bool:
        """Tell whether what becomes of claims would find room. Blocks."""
        disk = os.statvfs(self._charge.data_dir)
        return disk.f_bavail * disk.f_frsize >= 2 * self._charge.min_free_mb * 2**20

    # --- what is heard -----------------------------------------------------------------------------------

    def _hear_ready(self, recipe: str, name: str) -> None:
        if is_unfinished(name):
            return
        if sum(map(len, self._closed.values())) < CLOSED_MAX:
            self._closed.setdefault(recipe, set()).add(name)
        now_s = self._clock()
        self._burst_began_s = min(self._burst_began_s, now_s)
        self._burst_end_s = min(now_s + BURST_S, self._burst_began_s + BURST_S_MAX)
        self._wake.set()

    def _hear_gone(self, recipe: str) -> None:
        self._doubted.add(recipe)
        self._look_s = 0.0
        self._wake.set()

    def _hear_lost(self) -> None:
        self._word.tell_overflow()
        self._overflowed = True
        self._look_s = self._sweep_s = 0.0
        self._wake.set()

    # --- how it stands -----------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Keep the state true. Without events, files are looked at as often as folders."""
        state = self._judge()
        if state is InboxState.POLLING:
            self._sweep_s = min(self._sweep_s, self._clock() + LOOK_S)
        if state is not self._state:
            log.info("the inbox is %s", state.value)
            self._state, self._since = state, datetime.now(UTC)

    def _judge(self) -> InboxState:
        places = self._places
        if places is None or places.taken_id is None or any(place.trouble for place in places.drops):
            return InboxState.UNREADABLE
        if self._held is not None:
            return InboxState.HELD
        missing = [place for place in places.drops if place.recipe not in self._watched]
        return InboxState.POLLING if missing else InboxState.WATCHING

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *arguments))
