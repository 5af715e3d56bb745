"""How far rows may be sent: with tokens near the checkpoint, without as far as it promises."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from eomd.model import Counts, Mode, Model, Operation, Order, RowStatus, State
from eomd.operations.feed import Feed
from eomd.operations.reach import SENT_AHEAD_ROWS, Reach
from eomd.operations.window import Segment
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.rows_file import RowBlock

FRESH = Checkpoint(State.QUEUED)
STARTED = replace(FRESH, started=True, rows=100)


def feed_with(rows: int, kept: Checkpoint = FRESH, mode: Mode | None = Mode.INC) -> Feed:
    """Return a feed that has loaded so many rows."""
    now = datetime.now(UTC)
    order = Order(Model.MODIFY if mode else Model.QUERY, "fish", (1001,), mode)
    operation = Operation(1, "u", 1, order, State.QUEUED, Counts(10 * SENT_AHEAD_ROWS), now, now)
    feed = Feed(operation, kept, lambda _: {}, lambda *_: None)
    if rows:
        users = np.arange(1, rows + 1, dtype=np.uint64)
        block = RowBlock(kept.rows, users, np.ones((rows, 1), np.int64))
        feed.add(Segment(block, 1, mode is not None), range(0))
    return feed


def reach_of(feed: Feed, kept: Checkpoint = FRESH, *, idempotent: bool) -> Reach:
    reach = Reach(feed, SimpleNamespace(idempotent=idempotent), kept)
    reach.recall()
    return reach


def test_with_tokens_rows_stay_within_a_distance_of_the_checkpoint():
    feed = feed_with(10)
    reach = reach_of(feed, idempotent=True)
    assert not reach.promise()
    reach.allow(0)
    assert feed.limit == SENT_AHEAD_ROWS and not feed.braced
    reach.allow(500)
    assert feed.limit == SENT_AHEAD_ROWS + 500


@pytest.mark.parametrize(("written", "short"), [(0, False), (SENT_AHEAD_ROWS // 2 + 1, True)])
def test_a_checkpoint_is_asked_for_before_the_distance_is_used_up(written, short):
    feed = feed_with(0)
    reach = reach_of(feed, idempotent=True)
    reach.allow(0)
    feed.window.written = written
    assert reach.is_short() is short


def test_without_tokens_rows_go_as_far_as_was_promised_and_each_promise_is_asked_for_once():
    feed = feed_with(10)
    reach = reach_of(feed, idempotent=False)
    assert reach.promise() and not reach.promise()
    assert feed.limit == 0 and not feed.braced
    reach.allow(0)
    assert feed.limit == 10 and feed.braced


def test_a_query_needs_no_promise():
    reach = reach_of(feed_with(10, mode=None), idempotent=False)
    assert not reach.promise()


def test_what_an_earlier_life_may_have_sent_under_tokens_is_sent_again():
    feed = feed_with(0, STARTED)
    reach = reach_of(feed, STARTED, idempotent=True)
    assert not reach.doubtful
    assert feed.sent_before == 100 + SENT_AHEAD_ROWS


def test_what_an_earlier_life_promised_without_tokens_is_in_doubt():
    kept = replace(STARTED, protected=False, sent_until=300)
    reach = reach_of(feed_with(0, kept), kept, idempotent=True)
    assert reach.doubtful == range(100, 300)
    assert not reach.protected, "the rest is held to it, whatever the cluster has become"


def test_a_cluster_that_lost_its_tokens_makes_all_in_doubt_that_may_have_been_sent():
    reach = reach_of(feed_with(0, STARTED), STARTED, idempotent=False)
    assert reach.doubtful == range(100, 100 + SENT_AHEAD_ROWS)


def test_after_a_pause_the_promise_for_rows_never_sent_is_taken_back():
    feed = feed_with(10)
    reach = reach_of(feed, idempotent=False)
    reach.promise()
    reach.allow(0)
    feed.decide(0, 4, RowStatus.OK)
    reach.shrink()
    assert (reach.promised, feed.limit) == (4, 4)
    assert reach.promise(), "the rows are promised again before they go out"
