"""How far the rows of one operation may be sent, so that a crash leaves no doubt: rule 3 of `docs/ledger.md`.

Where every node remembers tokens, a row sent twice is applied once; rows only have to stay within a fixed
distance of the checkpoint. Elsewhere the disk must say how far rows may have gone, before they go.
"""

from __future__ import annotations

from eomd.evt.cluster import Cluster
from eomd.operations.feed import Feed
from eomd.storage.checkpoint import Checkpoint

#: rows are sent at most so far ahead of the last checkpoint
SENT_AHEAD_ROWS = 1_048_576


class Reach:
    """Moves `feed.limit`; what `promised` says must be on the disk before `allow`."""

    def __init__(self, feed: Feed, cluster: Cluster, kept: Checkpoint) -> None:
        self._feed, self._cluster, self._kept = feed, cluster, kept
        #: whether tokens were remembered, for a time in which no cluster is there to tell
        self._idempotent = kept.protected
        #: without tokens: rows from here on were not sent
        self.promised = None if kept.protected else kept.sent_until
        #: with tokens, nothing being on its way: rows from here on were not sent
        self._still: int | None = None
        #: rows of an earlier life that may have been applied and must not be sent again
        self.doubtful = range(0)

    @property
    def protected(self) -> bool:
        """Sending a row again can do no harm. Once it could, the rest of the operation is held to that."""
        known = self._cluster.idempotent
        idempotent = self._idempotent if known is None else known
        return not self._feed.modifies or (idempotent and self.promised is None)

    def meet(self, cluster: Cluster) -> None:
        """Go by another pool from now on. Nothing may be in flight."""
        known = self._cluster.idempotent
        self._idempotent = self._idempotent if known is None else known
        self._cluster = cluster

    @property
    def sent_until(self) -> int | None:
        """What the disk may say: rows from here on were not sent; None while nobody needs to know."""
        return self._still if self.promised is None else self.promised

    def set_out(self) -> None:
        """Rows are about to be sent; the disk must be told before they are."""
        self._still = None

    def recall(self) -> None:
        """Work out what an earlier life may have sent. The cluster must have greeted."""
        kept = self._kept
        if not (kept.started and self._feed.modifies):
            return
        bound = kept.rows + SENT_AHEAD_ROWS if kept.sent_until is None else kept.sent_until
        self._feed.sent_before = bound
        if not (kept.protected and self.protected):
            self.doubtful = range(kept.rows, bound)
            self.promised = bound

    def promise(self) -> bool:
        """Promise what is loaded, where that is needed. True: the disk must say so before `allow`."""
        loaded = self._feed.window.loaded
        if self.protected or (self.promised is not None and self.promised >= loaded):
            return False
        self.promised = loaded
        return True

    def allow(self, durable_rows: int) -> None:
        """Let rows be sent as far as the disk, which holds so many rows of the result, permits now."""
        self._feed.braced = self.promised is not None
        self._feed.limit = durable_rows + SENT_AHEAD_ROWS if self.promised is None else self.promised

    def is_short(self) -> bool:
        """Tell whether sending will soon wait for a checkpoint; without tokens it always does."""
        return not self.protected or self._feed.window.written > self._feed.limit - SENT_AHEAD_ROWS // 2

    def shrink(self) -> None:
        """Nothing is in flight: take back the promise for rows that were never sent."""
        sent = max(self._feed.window.decided_end(), self._feed.sent_before)
        if self.promised is None:
            self._still = sent
        else:
            self._feed.limit = self.promised = sent
