"""Offering claimed files to the server until it has admitted or refused each.

A claim may be offered any number of times: its taken name stands for one hand-in. Only a few are in memory;
the others wait in the journal. Decides nothing about a file but whether it stands still.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from eomd.watchdog.claims import Claim, Claims
from eomd.watchdog.inbox_places import ID_FILE
from eomd.watchdog.schedule import Schedule

#: in one call
BATCH = 200
#: the server answers well before: what it has not decided by then it calls `later`
CALL_S = 30.0
#: before the same claims are offered again
PAUSE_S = 0.5
PATH = "/internal/inbox"
#: before a claim whose file is not there is asked about again
MISSING_PAUSE_S = 5.0
#: claims about a `.taken` folder that is not there are waited for so long
GIVE_UP_S = 24 * 3600.0

log = logging.getLogger(__name__)

T = TypeVar("T")


class Verdict(StrEnum):
    """What the server says of a claim."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    #: offer it again
    LATER = "later"
    #: it has become no operation, and its file is not there
    MISSING = "missing"


class Link(Protocol):
    """The way to the server."""

    async def call(
        self, method: str, path: str, body: object = None, *, timeout_s: float
    ) -> tuple[int, Any]: ...


@dataclass(slots=True)
class _Waiting:
    """A claim in memory."""

    claim: Claim
    #: (size, mtime in ns) at the last look
    looks: tuple[int, int]
    #: not to be offered before
    due_s: float = 0.0
    #: its file is not there, since then
    missing_since_s: float | None = None


class Offers:
    """The claims that are being offered. `in_thread` runs what blocks, on the one thread of the inbox."""

    def __init__(
        self,
        claims: Claims,
        taken: Path,
        link: Link,
        quiet_s: float,
        schedule: Schedule,
        in_thread: Callable[..., Awaitable[Any]],
    ) -> None:
        self._claims, self._taken, self._link = claims, taken, link
        self._quiet_s, self._schedule, self._in_thread = quiet_s, schedule, in_thread
        self._waiting: dict[str, _Waiting] = {}
        self._wake = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        #: why the server takes none at the moment
        self.reason: str | None = None
        #: whether a server is there to be asked
        self.server_ready = False

    @property
    def lost(self) -> list[str]:
        """Return claims whose files are not there while another `.taken` folder is."""
        return [name for name, each in self._waiting.items() if each.missing_since_s is not None]

    def wake(self) -> None:
        """There may be something to offer, or somebody to offer it to."""
        self._wake.set()

    async def run(self) -> None:
        """Offer until cancelled."""
        while True:
            self._wake.clear()
            progress = self.server_ready and await self._offer_some()
            if not progress:
                await self._rest()

    async def _rest(self) -> None:
        again = self._schedule.after(PAUSE_S, self._wake.set) if self._waiting else None
        await self._wake.wait()
        if again is not None:
            again.cancel()

    async def _offer_some(self) -> bool:
        """Offer a batch; tell whether anything has come of it."""
        if len(self._waiting) < BATCH:
            for claim in await self._in_thread(self._claims.give_out):
                self._waiting[claim.taken] = _Waiting(claim, (claim.size, claim.mtime_ns))
        now_s = self._clock()
        due = [each for each in self._waiting.values() if each.due_s <= now_s][:BATCH]
        ready = await self._in_thread(self._look, due, now_s)
        if not ready:
            return False
        answers = await self._ask([_format(each) for each in ready])
        ended = await self._in_thread(self._hear_all, ready, answers, now_s)
        await self._end(ended)
        return bool(ended)

    def _look(self, due: Sequence[_Waiting], now_s: float) -> list[_Waiting]:
        """Return those whose files look as they did; the others wait until they stand still. Blocks."""
        ready = []
        for each in due:
            try:
                facts = os.lstat(self._taken / each.claim.taken)
            except OSError:
                # the server may know it nevertheless
                ready.append(each)
                continue
            looks, each.missing_since_s = (facts.st_size, facts.st_mtime_ns), None
            if looks == each.looks or each.claim.problem:
                ready.append(each)
                continue
            if facts.st_size < each.claim.size:
                problem = f"it is shorter than when it was taken ({facts.st_size} of {each.claim.size} bytes)"
                each.claim = replace(each.claim, problem=f"{problem}: drop it again")
            each.looks, each.due_s = looks, now_s + self._quiet_s
        return ready

    async def _ask(self, claims: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the server's answers by taken name; none where it gives none."""
        try:
            status, answer = await self._link.call("POST", PATH, {"claims": claims}, timeout_s=CALL_S)
            if status == 200:
                answers = {each["taken"]: each for each in answer["data"]["answers"]}
                self.reason = next((each["reason"] for each in answers.values() if _is_later(each)), None)
                return answers
            self.reason = str(answer["msg"])
        except OSError as error:
            self.reason = str(error)
        except (LookupError, TypeError) as error:
            self.reason = f"the server's answer cannot be read: {error!r}"
        return {}

    def _hear_all(
        self, ready: Sequence[_Waiting], answers: dict[str, dict[str, Any]], now_s: float
    ) -> list[_Waiting]:
        """Take the answers; return the claims that have ended. Blocks: each of hundreds is logged."""
        ended = [each for each in ready if self._hear(each, answers.get(each.claim.taken, {}))]
        missing = [each for each in ready if _verdict(answers, each) == Verdict.MISSING]
        return ended + self._judge_missing(missing, now_s)

    def _hear(self, each: _Waiting, answer: dict[str, Any]) -> bool:
        """Take the answer; tell whether the claim has ended."""
        claim, verdict = each.claim, answer.get("verdict")
        if verdict == Verdict.ADMITTED:
            log.info("%r is operation %s", claim.taken, answer.get("operation"))
        elif verdict == Verdict.REFUSED:
            log.warning("%r was refused: %s", claim.taken, answer.get("reason"))
        elif verdict == Verdict.LATER and answer.get("changed"):
            each.looks = (-1, -1)
        return verdict in (Verdict.ADMITTED, Verdict.REFUSED)

    def _judge_missing(self, missing: Sequence[_Waiting], now_s: float) -> list[_Waiting]:
        """Return those that nobody will bring back. Blocks."""
        gone = []
        for each in missing:
            here = self._is_about_this_folder(each.claim)
            if each.missing_since_s is None:
                each.missing_since_s = now_s
            each.due_s = now_s + MISSING_PAUSE_S
            if here or now_s - each.missing_since_s >= GIVE_UP_S:
                log.warning("%r is not in .taken: it becomes no operation", each.claim.taken)
                gone.append(each)
        return gone

    def _is_about_this_folder(self, claim: Claim) -> bool:
        """Tell whether what is missing would have to be here: no other folder hides the right one."""
        with suppress(OSError):
            same = (self._taken / ID_FILE).read_text().strip() == claim.folder
            return same and not os.path.lexists(self._taken / claim.taken)
        return False

    async def _end(self, ended: Sequence[_Waiting]) -> None:
        if ended:
            await self._in_thread(self._claims.end, [each.claim for each in ended])
            for each in ended:
                del self._waiting[each.claim.taken]


def _format(each: _Waiting) -> dict[str, Any]:
    claim, (size, mtime_ns) = each.claim, each.looks
    return {
        "taken": claim.taken,
        "name": claim.name,
        "recipe": claim.recipe,
        "size": size,
        "mtime_ns": mtime_ns,
        "model": claim.model,
        "config": claim.config,
        "confirm_repeat": claim.confirm_repeat,
        "problem": claim.problem,
    }


def _verdict(answers: dict[str, dict[str, Any]], each: _Waiting) -> Any:
    return answers.get(each.claim.taken, {}).get("verdict")


def _is_later(answer: dict[str, Any]) -> bool:
    return bool(answer["verdict"] == Verdict.LATER)
