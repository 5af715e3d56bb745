"""What the clusters did in the last hour: rows answered and how long answers took, in steps of STEP_S.

A ring per node, so that it never grows with time; the clock is an argument. For one loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

STEP_S = 10
#: whole steps that are told of
POINTS = 360
#: nodes that are counted at a time; what is not configured any more goes first
NODES_MAX = 1024

Numbers = NDArray[np.float64]


_SLOTS = POINTS + 1


@dataclass(slots=True)
class _Ring:
    """Steps of one node, each at its number modulo the ring's length.

    Lists: each answered request adds to one place, which an array takes four times as long for.
    """

    #: which step stands there
    step: list[int] = field(default_factory=lambda: [-1] * _SLOTS)
    rows: list[int] = field(default_factory=lambda: [0] * _SLOTS)
    requests: list[int] = field(default_factory=lambda: [0] * _SLOTS)
    seconds: list[float] = field(default_factory=lambda: [0.0] * _SLOTS)
    newest: int = -1

    def add(self, step: int, seconds: float, rows: int) -> None:
        at = step % _SLOTS
        if self.newest != step:
            self.step[at] = self.newest = step
            self.rows[at] = self.requests[at] = 0
            self.seconds[at] = 0.0
        self.rows[at] += rows
        self.requests[at] += 1
        self.seconds[at] += seconds


@dataclass(slots=True)
class Tally:
    """What was answered in each of some steps."""

    #: float64[points]
    rows: Numbers
    requests: Numbers
    #: of all requests together
    seconds: Numbers

    @classmethod
    def empty(cls, points: int) -> Tally:
        return cls(np.zeros(points), np.zeros(points), np.zeros(points))

    def add(self, other: Tally) -> None:
        self.rows += other.rows
        self.requests += other.requests
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True)
class Span:
    """Whole steps, the newest last."""

    #: the first one's number
    first: int
    points: int
    #: seconds since the end of the last one
    ago_s: float
    #: of the points, how many are older than the counting
    unknown: int


class Activity:
    """Told of every answered request."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rings: dict[tuple[str, str], _Ring] = {}
        self._began = self._step()

    def observe(self, cluster: str, node: str, seconds: float, rows: int) -> None:
        """Take an answered request to a node: how long it took, how many rows it had."""
        ring = self._rings.get((cluster, node))
        if ring is None:
            ring = self._rings[cluster, node] = _Ring()
            self._forget()
        ring.add(self._step(), seconds, rows)

    def span(self, points: int) -> Span:
        """Return the newest whole steps."""
        now_s = self._clock()
        step = int(now_s // STEP_S)
        first = step - points
        return Span(first, points, now_s - step * STEP_S, max(0, min(points, self._began - first)))

    def of_cluster(self, cluster: str, span: Span) -> Tally:
        """Add up a cluster's nodes, those that are not configured any more among them."""
        tally = Tally.empty(span.points)
        for (name, _), ring in self._rings.items():
            if name == cluster:
                tally.add(_read(ring, span))
        return tally

    def of_node(self, cluster: str, node: str, span: Span) -> Tally:
        ring = self._rings.get((cluster, node))
        return Tally.empty(span.points) if ring is None else _read(ring, span)

    def of_clusters(self, clusters: Iterable[str], span: Span) -> Tally:
        tally = Tally.empty(span.points)
        for cluster in clusters:
            tally.add(self.of_cluster(cluster, span))
        return tally

    def _step(self) -> int:
        return int(self._clock() // STEP_S)

    def _forget(self) -> None:
        """Drop what is too old to be told of; of too many the one that is longest silent."""
        oldest = self._step() - POINTS
        self._rings = {key: r for key, r in self._rings.items() if r.newest < 0 or r.newest >= oldest}
        if len(self._rings) > NODES_MAX:
            # the one just made has heard nothing yet, and stays
            del self._rings[min(list(self._rings)[:-1], key=lambda key: self._rings[key].newest)]


def _read(ring: _Ring, span: Span) -> Tally:
    steps = np.arange(span.first, span.first + span.points)
    at = steps % _SLOTS
    there = np.array(ring.step)[at] == steps
    columns = (np.array(column, np.float64)[at] for column in (ring.rows, ring.requests, ring.seconds))
    return Tally(*(np.where(there, column, 0.0) for column in columns))
