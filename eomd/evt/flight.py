"""What is in flight on one connection, and which rows a reply is about. Pure.

Requests of a connection are numbered upwards and never used twice, so what was sent together (a portion) is a
range of numbers: an array of answered requests is matched to rows by arithmetic, not by a dictionary of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eomd.errors import FrameError
from eomd.evt.codec import I64, U8, U32, Replied
from eomd.evt.parcel import Bools, Parcel

if TYPE_CHECKING:
    from eomd.evt.lane import Lane

REQUEST_MAX = 2**32 - 1

Positions = slice | NDArray[np.intp]


@dataclass(slots=True, eq=False)
class Portion:
    """Rows that were sent in one piece, as `requests` requests numbered from `first`."""

    lane: Lane
    parcel: Parcel
    rows_per_request: int
    first: int
    requests: int
    #: monotonic
    sent_s: float
    #: whether the rows may go out again if they are not answered, as judged when they were sent
    repeatable: bool
    #: sent after the lane began to leave: there is no other try
    last_copy: bool
    #: bool[requests]: not answered yet
    open: Bools
    left: int

    def rows_of(self, request: int) -> int:
        """Return how many rows the request at this place of the portion holds."""
        last = request == self.requests - 1
        return len(self.parcel) - request * self.rows_per_request if last else self.rows_per_request

    def positions(self, places: Positions, rows: int) -> Positions:
        """Return where the rows of these requests stand, each of them holding `rows` rows."""
        if isinstance(places, slice):
            return slice(
                places.start * self.rows_per_request, (places.stop - 1) * self.rows_per_request + rows
            )
        starts = places * self.rows_per_request
        return (starts[:, None] + np.arange(rows)).ravel()

    @property
    def unanswered(self) -> Parcel:
        """Return the rows of the requests that are not answered."""
        if self.left == self.requests:
            return self.parcel
        return self.parcel.pick(np.repeat(self.open, self.rows_per_request)[: len(self.parcel)])


@dataclass(slots=True, eq=False)
class Landed:
    """Answered rows of one portion: the columns are those of `Replied`, rows as at `where`."""

    portion: Portion
    where: Positions
    status: U8
    detail: U8
    before: I64
    after: I64 | None

    @property
    def index(self) -> U32:
        return self.portion.parcel.rows.index[self.where]


class Flight:
    """The portions in flight on one connection, in the order they were sent."""

    def __init__(self) -> None:
        self._portions: dict[int, Portion] = {}
        self._next = 1
        #: not answered
        self.requests = 0
        self.rows = 0

    @property
    def portions(self) -> Iterable[Portion]:
        return self._portions.values()

    @property
    def next_request(self) -> int:
        return self._next

    @property
    def exhausted(self) -> bool:
        """Tell whether the numbers come to their end: another connection must take over."""
        return self._next > REQUEST_MAX - 2**20

    @property
    def oldest_s(self) -> float | None:
        """Return when the longest unanswered portion was sent."""
        first = next(iter(self._portions.values()), None)
        return None if first is None else first.sent_s

    def number(self) -> int:
        """Use up one number for a request without rows."""
        self._next += 1
        return self._next - 1

    def launch(
        self, lane: Lane, parcel: Parcel, rows_per_request: int, sent_s: float, repeatable: bool
    ) -> Portion:
        """Note rows as sent, from `next_request` up."""
        requests = -(-len(parcel) // rows_per_request)
        portion = Portion(
            lane=lane,
            parcel=parcel,
            rows_per_request=rows_per_request,
            first=self._next,
            requests=requests,
            sent_s=sent_s,
            repeatable=repeatable,
            last_copy=lane.leaving,
            open=np.ones(requests, np.bool_),
            left=requests,
        )
        self._portions[self._next] = portion
        self._next += requests
        self.requests += requests
        self.rows += len(parcel)
        return portion

    def land(self, event: Replied) -> list[Landed]:
        """Take an answer in; return the rows it is about, per portion.

        Raises FrameError where it answers nothing that was asked, or answers it in another shape.
        """
        requests = event.requests
        rows = len(event.status) // len(requests)
        first = int(requests[0])
        # nearly always answers come in the order of their requests, and everything is a slice
        if _ascending(requests):
            run = slice(first, first + len(requests))
            for portion in self._portions.values():
                if portion.first <= run.start and run.stop <= portion.first + portion.requests:
                    return [self._land(portion, event, rows, run)]
        return [self._land(portion, part, rows, None) for portion, part in self._split(event, rows)]

    def strike(self, request: int) -> tuple[Portion, Parcel] | None:
        """Take one request out that the node refused; None where no such request is in flight."""
        for portion in self._portions.values():
            place = request - portion.first
            if 0 <= place < portion.requests and portion.open[place]:
                start = place * portion.rows_per_request
                rows = portion.rows_of(place)
                self._close(portion, slice(place, place + 1), 1, rows)
                return portion, portion.parcel.pick(slice(start, start + rows))
        return None

    def abandon(self) -> list[tuple[Portion, Parcel]]:
        """Take everything out: the rows that will never be answered."""
        unanswered = [(portion, portion.unanswered) for portion in self._portions.values()]
        self._portions.clear()
        self.requests = self.rows = 0
        return unanswered

    def _split(self, event: Replied, rows: int) -> list[tuple[Portion, Replied]]:
        """Share an answer out among the portions it is about."""
        if not self._portions:
            raise FrameError(f"an answer to request {int(event.requests[0])}, which is not in flight")
        portions = list(self._portions.values())
        firsts = np.array([portion.first for portion in portions])
        owners = np.searchsorted(firsts, event.requests, side="right") - 1
        if owners.min() < 0:
            raise FrameError(f"an answer to request {int(event.requests.min())}, which is not in flight")
        return [(portions[owner], _pick_answers(event, owners == owner, rows)) for owner in np.unique(owners)]

    def _land(self, portion: Portion, event: Replied, rows: int, run: slice | None) -> Landed:
        """Take answers in that are all about one portion; run: their numbers where those are a range."""
        count = len(event.requests)
        places: Positions
        if run:
            places = slice(run.start - portion.first, run.stop - portion.first)
            highest = places.stop - 1
        else:
            places = event.requests.astype(np.intp) - portion.first
            highest = int(places.max())
        _check_shape(portion, highest, count, event, rows)
        self._close(portion, places, count, rows)
        where = portion.positions(places, rows)
        return Landed(portion, where, event.status, event.detail, event.before, event.after)

    def _close(self, portion: Portion, places: Positions, count: int, rows: int) -> None:
        if not np.logical_and.reduce(portion.open[places]):
            raise FrameError(f"a second answer to a request from {portion.first} up")
        portion.open[places] = False
        left = portion.left - count
        if not isinstance(places, slice) and left != np.count_nonzero(portion.open):
            raise FrameError(f"two answers to a request from {portion.first} up")
        portion.left = left
        self.requests -= count
        self.rows -= count * rows
        if not left:
            del self._portions[portion.first]


def _ascending(requests: U32) -> bool:
    """Tell whether these are neighbouring numbers, in order."""
    count = len(requests)
    if count == 1:
        return True
    if int(requests[-1]) - int(requests[0]) != count - 1:
        return False
    return bool(np.logical_and.reduce(requests[1:] - requests[:-1] == 1))


def _check_shape(portion: Portion, highest: int, count: int, event: Replied, rows: int) -> None:
    if highest >= portion.requests:
        raise FrameError(f"an answer to request {portion.first + highest}, which is not in flight")
    fitting = rows == portion.rows_of(highest) and (count == 1 or rows == portion.rows_per_request)
    head = portion.lane.head
    if not fitting or event.before.shape[1] != len(head.eids):
        raise FrameError(
            f"an answer of {rows} rows by {event.before.shape[1]} counters that was not asked for"
        )
    if (event.after is None) != (head.mode is None):
        raise FrameError("a query's answer to a modify, or the reverse")


def _pick_answers(event: Replied, which: Bools, rows: int) -> Replied:
    each = np.repeat(which, rows)
    after = None if event.after is None else event.after[each]
    return Replied(event.requests[which], event.status[each], event.detail[each], event.before[each], after)
