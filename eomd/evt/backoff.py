"""The pause before another try: doubling, with jitter. Pure: the random source is an argument."""

from __future__ import annotations

from random import Random

#: of a pause's length, either way, so that the clients of a restarted node do not come back as one
JITTER_SHARE = 0.2


class Backoff:
    """Pauses of `first_s`, doubling up to `longest_s`, until `reset`."""

    def __init__(self, first_s: float, longest_s: float, random: Random) -> None:
        self._first_s, self._longest_s, self._random = first_s, longest_s, random
        self._pause_s = first_s

    def next_pause_s(self) -> float:
        """Return the pause to make now, JITTER_SHARE off at most; the following is twice as long."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, self._longest_s)
        return pause_s * self._random.uniform(1 - JITTER_SHARE, 1 + JITTER_SHARE)

    def reset(self) -> None:
        """Begin again with `first_s`: something worked."""
        self._pause_s = self._first_s
