"""Taking files out of the inbox: which are ready, and the claim: noted, then moved. Blocks on the disk.

A claim is in the journal before its file is moved, under a name that was never used before; both are on the
disk before anybody is told. For one thread at a time.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from eomd.durable import sync_folder
from eomd.inbox_layout import REFUSED, format_taken, is_unfinished, parse_taken
from eomd.watchdog.charge import InboxCharge
from eomd.watchdog.claims import CLAIMS_MAX, Claim, Claims
from eomd.watchdog.inbox_names import NameProblemError, read_name, read_recipe
from eomd.watchdog.inbox_places import Place, Places
from eomd.watchdog.moving import COPIED, move, settle_copy
from eomd.watchdog.quiet import StandStill

#: noted and synced together
GROUP = CLAIMS_MAX // 2
#: claims in one sweep: others must have their turn
SWEEP_CLAIMS_MAX = 4 * GROUP
#: before a file that could not be moved is tried again
STUCK_S = 30.0
#: troubles with single files that are told of
TROUBLES_MAX = 10

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

Entry = tuple[str, os.stat_result]


@dataclass(slots=True)
class Swept:
    """What one look at a folder has found."""

    claimed: int = 0
    #: files that are not ready yet
    waiting: int = 0
    #: there was no space for what was ready
    held: bool = False
    #: there were more to claim than one sweep takes
    more: bool = False
    #: what cannot be taken, and why; only a complete look knows them all
    troubles: list[tuple[str, str]] = field(default_factory=list)

    def trouble(self, name: str, reason: str) -> None:
        if len(self.troubles) < TROUBLES_MAX:
            self.troubles.append((name, reason))


class Taking:
    """Claims files of the inbox, while there is space for what becomes of them."""

    def __init__(
        self,
        inbox: InboxCharge,
        claims: Claims,
        has_space: Callable[[], bool],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._inbox, self._claims = inbox, claims
        self._has_space, self._clock_ns = has_space, clock_ns
        self._last_ns = 0
        self._still: dict[str, StandStill] = {}
        #: files that could not be moved, by recipe and name: why, and until when they are left alone
        self._stuck: dict[tuple[str, str], tuple[str, float]] = {}

    def due_s(self, now_s: float) -> float | None:
        """Return when the next file found without an event will have stood still."""
        due = [each for still in self._still.values() if (each := still.due_s(now_s)) is not None]
        return min(due, default=None)

    def take(self, places: Places, place: Place, names: Iterable[str], now_s: float) -> Swept:
        """Claim files that were said to be closed. Raises OSError, the rest stays then."""
        swept, ready = Swept(), list[Entry]()
        for name in names:
            with suppress(FileNotFoundError):
                facts = os.lstat(place.path / name)
                if not is_unfinished(name) and _is_whole(facts) and not self._is_stuck(place, name, now_s):
                    ready.append((name, facts))
        for start in range(0, len(ready), GROUP):
            swept.claimed += self._claim(places, place, ready[start : start + GROUP], swept, now_s)
        return swept

    def sweep(self, places: Places, place: Place, closed: Container[str], now_s: float) -> Swept:
        """Look at a whole folder and claim what is `closed` or has stood still. Raises OSError."""
        still = self._still.setdefault(place.recipe, StandStill(self._inbox.quiet_s))
        swept, group = Swept(), list[Entry]()
        for name, facts in self._entries(places, place, swept):
            if stuck := self._is_stuck(place, name, now_s):
                swept.trouble(name, stuck)
            ready = name in closed and _is_whole(facts)
            if stuck or not (ready or still.has_stood(_looks(name, facts), now_s)):
                swept.waiting += 1
                continue
            group.append((name, facts))
            if len(group) == GROUP:
                swept.claimed += self._claim(places, place, group, swept, now_s)
                group = []
            if swept.claimed >= SWEEP_CLAIMS_MAX:
                swept.more = True
                return swept
        swept.claimed += self._claim(places, place, group, swept, now_s)
        still.end_look()
        self._stuck = {key: stuck for key, stuck in self._stuck.items() if stuck[1] > now_s}
        return swept

    def _is_stuck(self, place: Place, name: str, now_s: float) -> str | None:
        """Return why a file that could not be moved is left alone for now."""
        reason, until_s = self._stuck.get((place.recipe, name), ("", 0.0))
        if reason and until_s <= now_s:
            del self._stuck[place.recipe, name]
            return None
        return reason or None

    def _entries(self, places: Places, place: Place, swept: Swept) -> Iterator[Entry]:
        with os.scandir(place.path) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(COPIED):
                    self._settle_copy(places, place, name, swept)
                elif is_unfinished(name):
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    if place.recipe or name not in self._inbox.recipes:
                        swept.trouble(name, "it is a folder, and no recipe's: nothing in it is looked at")
                else:
                    with suppress(FileNotFoundError):
                        yield name, entry.stat(follow_symlinks=False)

    def _settle_copy(self, places: Places, place: Place, name: str, swept: Swept) -> None:
        taken = name.removeprefix(COPIED)
        claimed = taken in self._claims.open_names()
        refused = self._inbox.path / REFUSED / taken
        try:
            settle_copy(place.path / name, places.taken / taken, refused, claimed=claimed)
        except OSError as error:
            swept.trouble(name, f"it cannot be copied to .taken: {error.strerror}")

    def adopt(self, places: Places) -> int:
        """Claim what lies in `.taken` and stands in no journal, for the server to say what it is."""
        assert places.taken_id is not None
        adopted, known = list[Claim](), self._claims.open_names()
        for name in sorted(set(os.listdir(places.taken)) - known):
            dropped = parse_taken(name)
            if dropped is not None:
                facts = os.lstat(places.taken / name)
                problem = "it was taken, and what was known of it is lost: drop it again"
                adopted.append(Claim(name, dropped, "", facts.st_size, facts.st_mtime_ns, problem=problem))
        for start in range(0, len(adopted), CLAIMS_MAX):
            self._claims.note(adopted[start : start + CLAIMS_MAX], places.taken_id)
        return len(adopted)

    def _claim(
        self, places: Places, place: Place, entries: Sequence[Entry], swept: Swept, now_s: float
    ) -> int:
        """Note and move these; return how many were moved. Raises OSError: none is claimed."""
        if not entries:
            return 0
        if not self._has_space():
            swept.waiting, swept.held = swept.waiting + len(entries), True
            return 0
        assert places.taken_id is not None
        claims = [self._compose(place, name, facts) for name, facts in entries]
        claims = self._claims.note(claims, places.taken_id)
        kept_back, folder, taken = [], str(place.path), str(places.taken)
        for claim in claims:
            reason = move(f"{folder}/{claim.name}", f"{taken}/{claim.taken}")
            if reason is not None:
                kept_back.append(claim)
            if reason:
                self._stuck[place.recipe, claim.name] = (reason, now_s + STUCK_S)
                swept.trouble(claim.name, reason)
        # a power cut must not bring a file back that the server has heard of
        sync_folder(places.taken)
        sync_folder(place.path)
        self._claims.end(kept_back)
        return len(claims) - len(kept_back)

    def _compose(self, place: Place, name: str, facts: os.stat_result) -> Claim:
        self._last_ns = max(self._last_ns + 1, self._clock_ns())
        taken = format_taken(self._last_ns, name)
        claim = (taken, name, place.recipe, facts.st_size, facts.st_mtime_ns)
        if kind := _KINDS.get(stat.S_IFMT(facts.st_mode)):
            return Claim(*claim, problem=f"it is {kind}, not a file")
        try:
            recipe = self._inbox.recipes.get(place.recipe)
            wanted = read_recipe(recipe, self._inbox) if recipe else read_name(name, self._inbox)
        except NameProblemError as error:
            return Claim(*claim, problem=str(error))
        return Claim(*claim, wanted.model, wanted.config, wanted.confirm_repeat)


def _is_whole(facts: os.stat_result) -> bool:
    """Tell whether a file that was closed may be taken at once: an empty one may be about to be filled."""
    return stat.S_ISREG(facts.st_mode) and facts.st_size > 0


def _looks(name: str, facts: os.stat_result) -> tuple[str, int, int, int, int]:
    return name, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
