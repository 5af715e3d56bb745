"""The brake of a modify: too many failed rows of late, or answers that take too long. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from eomd.model import Counts

#: fewer rows than this tell nothing
ROWS_MIN = 100
#: rows that count as of late: between half as many and this many
ROWS_OF_LATE = 10_000
#: looks in a row at which answers must be slow
SLOW_LOOKS = 3


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """0: no such limit."""

    failed_share: float = 0.0
    latency_ms: float = 0.0


class Brake:
    """Watches one run of one operation; what was before the run does not count."""

    def __init__(self) -> None:
        self._from = self._next = Counts()
        self._slow = 0

    def begin(self, counts: Counts) -> None:
        """A run begins with its rows standing so: a person who resumes has seen them."""
        self._from = self._next = counts
        self._slow = 0

    def judge_rows(self, counts: Counts, limits: BrakeLimits) -> str | None:
        """Return why to stop, the rows standing so now; None to go on."""
        rows, bad = counts.done - self._from.done, _bad(counts) - _bad(self._from)
        if counts.done - self._next.done >= ROWS_OF_LATE // 2:
            self._from, self._next = self._next, counts
        if not limits.failed_share or rows < ROWS_MIN or bad <= limits.failed_share * rows:
            return None
        return f"{bad:,} of the last {rows:,} rows failed or are uncertain, over {limits.failed_share:.2%}"

    def judge_latency(self, latency_ms: float | None, limits: BrakeLimits) -> str | None:
        """Return why to stop, the slowest node answering like this now; called once a second."""
        slow = bool(limits.latency_ms) and latency_ms is not None and latency_ms > limits.latency_ms
        self._slow = self._slow + 1 if slow else 0
        if latency_ms is None or self._slow < SLOW_LOOKS:
            return None
        return f"answers take {latency_ms:,.0f} ms, over {limits.latency_ms:,.0f} ms"


def _bad(counts: Counts) -> int:
    return counts.done - counts.ok
