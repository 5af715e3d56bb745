"""How fast rows are answered of late. Pure: the clock is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

#: seconds a rate is taken over
SPAN_S = 3.0
#: seconds between two samples
STEP_S = 0.25


class RateMeter:
    """A moving average of a count that only grows."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def measure(self, count: int) -> float:
        """Take a sample and return the rate per second over the last `SPAN_S`."""
        now = self._clock()
        if not self._samples or now - self._samples[-1][0] >= STEP_S:
            self._samples.append((now, count))
        while len(self._samples) > 2 and now - self._samples[0][0] > SPAN_S:
            self._samples.popleft()
        then, first = self._samples[0]
        return (count - first) / (now - then) if now > then else 0.0
