"""What the cluster's pool sees of an operation: rows to take, outcomes to settle. No I/O, no waiting.

Holds the window of rows in hand and the live counts. The runner moves the limits; the pool takes and settles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eomd.evt.codec import I64, U8, U32, Head, Rows
from eomd.model import Counts, EidDefinition, Operation, RowStatus
from eomd.operations.preview import Asked, preview
from eomd.operations.window import Segment, Window
from eomd.storage.checkpoint import Checkpoint, count_rows


class Feed:
    """The `Work` of one operation."""

    def __init__(
        self,
        operation: Operation,
        checkpoint: Checkpoint,
        definitions: Callable[[str], Mapping[int, EidDefinition]],
        answered: Callable[[str, U8], None],
    ) -> None:
        order = operation.order
        self.head = Head(order.eids, order.sent_mode, operation.number or 0)
        self.window = Window(checkpoint.rows)
        #: the disk tells how far rows may have gone out without tokens
        self.braced = False
        #: rows from here on are not handed out yet
        self.limit = checkpoint.rows
        #: so many rows without an outcome may stand before one that is handed out, as the brake wants answers
        #: first; None: any number
        self.ahead: int | None = None
        #: rows before this may have been sent by an earlier life, or in vain
        self.sent_before = 0
        #: hands out nothing while set
        self.stopped = False
        #: called when a segment is decided as a whole
        self.decided: Callable[[], None] = lambda: None
        #: called after every answer
        self.settled: Callable[[], None] = lambda: None
        #: an answer that could not be taken; the runner ends the operation with it
        self.fault: Exception | None = None
        self._order, self._total = order, operation.counts.total
        self._definitions, self._answered = definitions, answered
        self._live = np.zeros(256, np.int64)
        for status, count in checkpoint.statuses.items():
            self._live[status] = count
        #: of them, those decided before anything was sent
        self._ruled_out = np.zeros(256, np.int64)

    @property
    def modifies(self) -> bool:
        return self.head.mode is not None

    @property
    def counts(self) -> Counts:
        """Return how the rows stand this moment."""
        return self._count(self._live)

    @property
    def answered(self) -> Counts:
        """Return how the rows stand, without those that had their outcome before they were loaded."""
        return self._count(self._live - self._ruled_out)

    def _count(self, rows: NDArray[np.int64]) -> Counts:
        statuses = {int(status): int(rows[status]) for status in np.flatnonzero(rows)}
        return count_rows(statuses, self._total)

    def take(self, rows_max: int) -> Rows | None:
        """Return the next rows to send; None for the moment."""
        if self.stopped:
            return None
        # of the rows before their sum so many have no outcome: there is one to hand out, or on its way
        limit = self.limit if self.ahead is None else min(self.limit, self.counts.done + self.ahead)
        rows = self.window.take(rows_max, limit)
        return replace(rows, amounts=None, expected=None) if rows and not self.modifies else rows

    def settle(self, index: U32, status: U8, detail: U8, before: I64 | None, after: I64 | None) -> None:
        """Take the outcome of rows taken earlier."""
        none = np.zeros((len(index), len(self.head.eids)), np.int64)
        before, after = none if before is None else before, none if after is None else after
        try:
            for segment, part in self.window.split(index):
                place = index[part].astype(np.intp) - segment.start
                self._settle(segment, place, status[part], detail[part], before[part], after[part])
        except Exception as error:  # whatever an answer holds, its operation must hear of it, and end
            self.fault = error
            self.decided()
        self.settled()

    def _settle(
        self, segment: Segment, place: NDArray[np.intp], status: U8, detail: U8, before: I64, after: I64
    ) -> None:
        amounts, expected = segment.block.amounts, segment.block.expected
        if self._order.mode and not self.modifies and amounts is not None:
            definitions = self._definitions(self._order.cluster)
            asked = Asked(self._order.mode, amounts[place], None if expected is None else expected[place])
            shown = preview(asked, self._order.eids, definitions, (status, detail, before))
            status, detail, before, after = shown
        segment.settle(place, status, detail, before, after)
        self._live += np.bincount(status, minlength=256)
        self._answered(self._order.cluster, status)
        if not segment.undecided:
            self.decided()

    def maybe_sent(self, index: U32) -> NDArray[np.bool_]:
        """Tell which rows may have been sent before without an answer having come."""
        return index < self.sent_before

    def add(self, segment: Segment, doubtful: range) -> None:
        """Take a loaded segment into the window; rows in doubt are UNCERTAIN at once."""
        ruled_out = np.bincount(segment.status[segment.status != RowStatus.PENDING], minlength=256)
        self._live += ruled_out
        self._ruled_out += ruled_out
        self._live[RowStatus.UNCERTAIN] += segment.decide(doubtful.start, doubtful.stop, RowStatus.UNCERTAIN)
        self.window.add(segment)
        if not segment.undecided:
            self.decided()

    def give_back(self, undone: U32, unknown: U32) -> None:
        """Take rows back from the pool, to be sent again: surely undone ones, and those in doubt."""
        self.window.untake(undone)
        self.window.untake(unknown)
        if len(unknown):
            self.sent_before = max(self.sent_before, int(unknown.max()) + 1)

    def decide(self, start: int, stop: int, status: RowStatus) -> int:
        """Decide the rows of a range that have no outcome; return how many. None may be in flight."""
        count = self.window.decide(start, stop, status)
        self._live[status] += count
        return count
