"""How many rows of one cluster may be in flight: fewer where answers take long, so that a new operation's
first rows are not stuck behind a long queue at the nodes."""

from __future__ import annotations

ROWS_MAX = 65_536
ROWS_MIN = 8_192
#: an answer that took longer came through too long a queue
SLOW_S = 0.4
#: share of the answered rows by which the cap moves: a whole window of slow answers takes an eighth of it
STEP = 8


class InflightCap:
    """Moves with the answers' latency between ROWS_MIN and ROWS_MAX."""

    def __init__(self) -> None:
        self.rows = ROWS_MAX

    def observe(self, latency_s: float, rows: int) -> None:
        """Take note of a request of so many rows that was answered."""
        step = rows // STEP if latency_s < SLOW_S else -(rows // STEP)
        self.rows = min(ROWS_MAX, max(ROWS_MIN, self.rows + step))
