"""Noticing that the wall clock was set: no duration is touched by it, but times in ledger and log are."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from eomd.watchdog.incidents import Incidents, Kind

#: what a time service does by slewing stays far below
JUMP_S_MIN = 1.0
SUBJECT = "clock"


def seconds_since_boot() -> float:
    """Return a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockProbe:
    """Compares the wall clock with one that nobody can set. `look` again and again."""

    def __init__(
        self,
        incidents: Incidents,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self._incidents, self._wall, self._steady = incidents, wall, steady
        self._apart_s = wall() - steady()
        self._since, self._jump_s = datetime.now(UTC), 0.0

    def view(self) -> dict[str, object]:
        """Return since when nobody has set the clock, and by how much it was set then; 0: not at all."""
        since = self._since.isoformat(timespec="seconds")
        return {"state": "steady", "since": since, "jump_s": round(self._jump_s, 1)}

    def look(self) -> None:
        """Note a jump since the last look."""
        apart_s = self._wall() - self._steady()
        jump_s, self._apart_s = apart_s - self._apart_s, apart_s
        if abs(jump_s) >= JUMP_S_MIN:
            self._since, self._jump_s = datetime.now(UTC), jump_s
            way = "forward" if jump_s > 0 else "back"
            summary = f"the clock was set {way} by {abs(jump_s):.1f} s"
            self._incidents.open(Kind.CLOCK_JUMPED, SUBJECT, summary)
            self._incidents.close(Kind.CLOCK_JUMPED, SUBJECT)
