"""What is due when: probes, back-offs, deadlines in one sorted list, behind one timer.

Knows no loop and no clock: those, and chance, are given:
`Schedule(loop.time, loop.call_at, Random())`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Protocol

from sortedcontainers import SortedKeyList

log = logging.getLogger(__name__)

#: share of a period by which each of its calls is early or late, so that what began together drifts apart
JITTER = 0.1

Task = Callable[[], None]


class Timer(Protocol):
    """One call to come; `asyncio.TimerHandle` is one."""

    def cancel(self) -> None: ...


class Entry:
    """Something that is due once, or again and again, until it is cancelled."""

    __slots__ = ("_forget", "next_s", "place", "what")

    def __init__(
        self, what: Task, next_s: Callable[[], float] | None, forget: Callable[[Entry], None]
    ) -> None:
        self.what = what
        #: of something that comes again: seconds to its next time
        self.next_s = next_s
        self._forget = forget
        #: (when, number): sorts by time, and by age where times are the same
        self.place = (math.inf, 0)

    @property
    def when_s(self) -> float:
        return self.place[0]

    def cancel(self) -> None:
        """Do not call it any more. May be called at any time, also from within itself."""
        self._forget(self)


class Schedule:
    """All that is due, by time. Times are of the clock given, in seconds."""

    def __init__(
        self,
        clock: Callable[[], float],
        call_at: Callable[[float, Task], Timer],
        random: Random,
    ) -> None:
        self._clock, self._call_at, self._random = clock, call_at, random
        self._entries: SortedKeyList[Entry] = SortedKeyList(key=lambda entry: entry.place)
        self._numbers = count()
        self._timer: Timer | None = None
        self._timer_s = math.inf
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    def at(self, when_s: float, what: Task) -> Entry:
        """Call it then; at once, though not from here, for a time that has passed."""
        return self._add(Entry(what, None, self._forget), when_s)

    def after(self, seconds: float, what: Task) -> Entry:
        """Call it in so many seconds."""
        return self.at(self._clock() + seconds, what)

    def every(self, period_s: float, what: Task, *, jitter: float = JITTER) -> Entry:
        """Call it for the first time within a period, and then once a period, `jitter` of it off at most.

        A call that comes late moves those after it; none is made up for.
        """

        def next_s() -> float:
            return period_s * self._random.uniform(1 - jitter, 1 + jitter)

        first_s = self._clock() + period_s * self._random.uniform(0, 1)
        return self._add(Entry(what, next_s, self._forget), first_s)

    def close(self) -> None:
        """Forget everything."""
        self._closed = True
        self._entries.clear()
        self._set_timer()

    def _add(self, entry: Entry, when_s: float) -> Entry:
        entry.place = (when_s, next(self._numbers))
        self._entries.add(entry)
        self._set_timer()
        return entry

    def _forget(self, entry: Entry) -> None:
        entry.next_s = None
        self._entries.discard(entry)
        self._set_timer()

    def _set_timer(self) -> None:
        """Have `_ring` called when the first entry is due."""
        due_s = self._entries[0].when_s if self._entries else math.inf
        if due_s == self._timer_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = due_s
        self._timer = None if due_s == math.inf else self._call_at(due_s, self._ring)

    def _ring(self) -> None:
        """Do what is due now. What is added meanwhile waits for the next ring: the loop has its turn."""
        self._timer, self._timer_s = None, math.inf
        due = list(self._entries.irange_key(max_key=(self._clock(), math.inf)))
        for entry in due:
            # one of those before it may have cancelled it
            if entry in self._entries:
                self._entries.remove(entry)
                self._run(entry)
        self._set_timer()

    def _run(self, entry: Entry) -> None:
        try:
            entry.what()
        except Exception:
            log.exception("something that was due failed")
        if entry.next_s is not None and not self._closed:
            self._add(entry, self._clock() + entry.next_s())
