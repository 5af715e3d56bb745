"""How something looks to the watchdog: what single looks find is believed only after some of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

#: not looked at yet, or nothing can be said
UNKNOWN = "unknown"
UP = "up"
DOWN = "down"
#: looks in a row that must say so before it is believed
STRIKES_BAD, STRIKES_GOOD = 2, 1


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has found."""

    #: UP, or the word for what is wrong
    state: str
    #: what is wrong, for people
    reason: str = ""
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What is believed of one thing."""

    since: datetime
    state: str = UNKNOWN
    #: of the last look that found it well
    latency_ms: float | None = None
    #: what the last look that found something wrong has met; "" while all is well
    reason: str = ""
    #: looks in a row that have found something else than is believed
    strikes: int = 0

    def view(self) -> dict[str, object]:
        return {
            "state": self.state,
            "since": self.since.isoformat(timespec="milliseconds"),
            "latency_ms": self.latency_ms,
            "error": self.reason or None,
        }


def step(sight: Sight, finding: Finding, now: datetime) -> Sight:
    """Return what is believed after another look. The newest of differing findings is what is turned to."""
    latency_ms = sight.latency_ms if finding.latency_ms is None else round(finding.latency_ms, 3)
    seen = replace(sight, latency_ms=latency_ms, reason=finding.reason)
    if finding.state in (sight.state, UNKNOWN):
        return replace(seen, strikes=0)
    needed = STRIKES_GOOD if finding.state == UP else STRIKES_BAD
    if sight.strikes + 1 < needed:
        return replace(seen, strikes=sight.strikes + 1)
    return replace(seen, state=finding.state, since=now, strikes=0)
