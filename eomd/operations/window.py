"""The rows of one operation that are between its file and its result, as columns. No I/O.

Segments of rows stand in source order. Rows are taken from the front to be sent, answers come back in any
order, and what is decided without a gap is written. Rows are numbered from 0 in the operation.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from eomd.evt.codec import I64, U8, U32, Rows
from eomd.model import NO_DETAIL, RowStatus
from eomd.storage.rows_file import RowBlock

_PENDING = int(RowStatus.PENDING)
_SUPERSEDED = int(RowStatus.SUPERSEDED)


class Segment:
    """n neighbouring rows with their outcome."""

    def __init__(self, block: RowBlock, value_columns: int, modify: bool) -> None:
        n = len(block.users)
        self.block = block
        self.start, self.stop = block.start, block.start + n
        self.status: U8 = np.full(n, _PENDING, np.uint8)
        self.detail: U8 = np.full(n, NO_DETAIL, np.uint8)
        self.before: I64 = np.zeros((n, value_columns), np.int64)
        self.after: I64 | None = np.zeros((n, value_columns), np.int64) if modify else None
        self._taken = 0
        self._todo: NDArray[np.intp] | None = None
        if block.superseded is not None and block.superseded.any():
            self.status[block.superseded] = _SUPERSEDED
            self._todo = np.flatnonzero(~block.superseded)
        if block.decided is not None and block.decided_detail is not None:
            self.status[:], self.detail[:] = block.decided, block.decided_detail
            self._todo = np.flatnonzero(self.status == _PENDING)
        #: rows that may be taken in all
        self._takeable = n if self._todo is None else len(self._todo)
        #: rows without a decision
        self.undecided = self._takeable

    def decide(self, start: int, stop: int, status: RowStatus) -> int:
        """Decide undecided rows of a range without sending them; return how many."""
        first = max(start, self.start) - self.start
        place = slice(first, max(first, min(stop, self.stop) - self.start))
        open_ = self.status[place] == _PENDING
        self.status[place][open_] = status
        count = int(open_.sum())
        if count:
            self.undecided -= count
            self._todo = np.flatnonzero(self.status == _PENDING)
            self._takeable, self._taken = len(self._todo), 0
        return count

    def take(self, rows_max: int, row_limit: int) -> Rows | None:
        """Return the next untaken rows that lie before `row_limit`; None for none."""
        begin, end = self._taken, min(self._taken + rows_max, self._takeable)
        if self._todo is None:
            end = min(end, row_limit - self.start)
        elif end > begin and self._todo[end - 1] + self.start >= row_limit:
            end = int(np.searchsorted(self._todo, row_limit - self.start))
        if end <= begin:
            return None
        self._taken = end
        return self._rows(slice(begin, end) if self._todo is None else self._todo[begin:end])

    def _rows(self, place: slice | NDArray[np.intp]) -> Rows:
        if isinstance(place, slice):
            index = np.arange(self.start + place.start, self.start + place.stop, dtype=np.uint32)
        else:
            index = (place + self.start).astype(np.uint32)
        amounts, expected = self.block.amounts, self.block.expected
        return Rows(
            index,
            self.block.users[place],
            None if amounts is None else amounts[place],
            None if expected is None else expected[place],
        )

    def untake(self, index: U32) -> None:
        """Take rows back that were taken and surely not done, so that they may be taken again."""
        rest = np.array([], np.intp) if self._taken >= self._takeable else self._untaken()
        again = index.astype(np.intp) - self.start
        self._todo = np.union1d(rest, again)
        self._takeable, self._taken = len(self._todo), 0

    def _untaken(self) -> NDArray[np.intp]:
        if self._todo is None:
            return np.arange(self._taken, self._takeable)
        return self._todo[self._taken :]

    def settle(self, place: NDArray[np.intp], status: U8, detail: U8, before: I64, after: I64 | None) -> None:
        """Write outcomes at positions of this segment.

        Raises RuntimeError for a row decided already, ValueError for columns of a wrong shape; then no row
        is decided.
        """
        if (self.status[place] != _PENDING).any():
            raise RuntimeError(f"rows of segment {self.start} were answered twice")
        self.before[place] = before
        if self.after is not None and after is not None:
            self.after[place] = after
        # the status last: it decides
        self.detail[place], self.status[place] = detail, status
        self.undecided -= len(place)

    def decided_until(self) -> int:
        """Return the row number up to which every row of this segment is decided."""
        if not self.undecided:
            return self.stop
        return self.start + int(np.argmax(self.status == _PENDING))


class Window:
    """The segments in hand, in source order."""

    def __init__(self, start: int) -> None:
        self._segments: deque[Segment] = deque()
        #: first row that is not written yet
        self.written = start
        #: end of the last segment
        self.loaded = start

    def __len__(self) -> int:
        return len(self._segments)

    def add(self, segment: Segment) -> None:
        if segment.start != self.loaded:
            raise RuntimeError(f"segment {segment.start} does not follow row {self.loaded}")
        self._segments.append(segment)
        self.loaded = segment.stop

    def take(self, rows_max: int, row_limit: int) -> Rows | None:
        """Return the next rows to send, all of one segment; None while there are none before `row_limit`."""
        for segment in self._segments:
            rows = segment.take(rows_max, row_limit)
            if rows is not None:
                return rows
        return None

    def split(self, index: U32) -> list[tuple[Segment, NDArray[np.intp]]]:
        """Return the segments that these rows stand in, each with the positions in `index` that are its."""
        low, high = int(index.min()), int(index.max())
        touched = [segment for segment in self._segments if segment.start <= high and low < segment.stop]
        if len(touched) == 1:
            return [(touched[0], np.arange(len(index)))]
        parts = [(s, np.flatnonzero((index >= s.start) & (index < s.stop))) for s in touched]
        return [(segment, part) for segment, part in parts if len(part)]

    def decide(self, start: int, stop: int, status: RowStatus) -> int:
        """Decide the undecided rows of a range without an answer; return how many."""
        touched = [s for s in self._segments if s.start < stop and start < s.stop]
        return sum(segment.decide(start, stop, status) for segment in touched)

    def untake(self, index: U32) -> None:
        for segment, part in self.split(index) if len(index) else []:
            segment.untake(index[part])

    def writable(self) -> tuple[Segment, int] | None:
        """Return the first segment and its end if all of it is decided; None while it is not."""
        if self._segments and not self._segments[0].undecided:
            return self._segments[0], self._segments[0].stop
        return None

    def decided_prefix(self) -> tuple[Segment, int] | None:
        """Return the first segment and the row up to which it is decided, if that is past what is written."""
        if not self._segments:
            return None
        until = self._segments[0].decided_until()
        return (self._segments[0], until) if until > self.written else None

    def mark_written(self, until: int) -> None:
        self.written = until
        while self._segments and self._segments[0].stop <= until:
            self._segments.popleft()

    def decided_end(self) -> int:
        """Return the row after the last decided one, gaps before it or not."""
        for segment in reversed(self._segments):
            decided = np.flatnonzero(segment.status != _PENDING)
            if len(decided):
                return segment.start + int(decided[-1]) + 1
        return self.written
