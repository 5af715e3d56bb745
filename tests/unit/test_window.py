"""The window of rows in hand: what is taken, what comes back, what may be written."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.model import RowStatus
from eomd.operations.window import Segment, Window
from eomd.storage.rows_file import RowBlock


def make_segment(start: int, rows: int, superseded: list[int] | None = None) -> Segment:
    users = np.arange(start, start + rows, dtype=np.uint64) + 100
    mask = None
    if superseded is not None:
        mask = np.zeros(rows, bool)
        mask[superseded] = True
    return Segment(RowBlock(start, users, np.ones((rows, 1), np.int64), mask), 1, modify=True)


def make_window(*sizes: int) -> Window:
    window = Window(0)
    for size in sizes:
        window.add(make_segment(window.loaded, size))
    return window


def settle(window: Window, index: np.ndarray, status: int = 0) -> None:
    for segment, part in window.split(index):
        place = index[part].astype(np.intp) - segment.start
        n = len(place)
        columns = np.full(n, status, np.uint8), np.full(n, 255, np.uint8)
        segment.settle(place, *columns, np.zeros((n, 1), np.int64), np.ones((n, 1), np.int64))


def test_rows_are_taken_in_order_and_never_twice():
    window = make_window(3, 3)
    taken = [window.take(2, 6) for _ in range(5)]
    assert [rows.index.tolist() for rows in taken if rows] == [[0, 1], [2], [3, 4], [5]]
    assert taken[4] is None


def test_nothing_is_taken_past_the_limit():
    window = make_window(10)
    assert window.take(100, 4).index.tolist() == [0, 1, 2, 3]
    assert window.take(100, 4) is None
    assert window.take(100, 6).index.tolist() == [4, 5]


def test_the_limit_holds_for_rows_taken_back():
    window = make_window(10)
    window.take(10, 10)
    window.untake(np.array([2, 7], np.uint32))
    assert window.take(10, 5).index.tolist() == [2]
    assert window.take(10, 10).index.tolist() == [7]


def test_superseded_rows_are_never_taken():
    window = Window(0)
    window.add(make_segment(0, 4, superseded=[0, 2]))
    rows = window.take(10, 4)
    assert rows.index.tolist() == [1, 3]
    assert rows.users.tolist() == [101, 103]


def test_a_segment_of_superseded_rows_alone_may_be_written_at_once():
    window = Window(0)
    window.add(make_segment(0, 2, superseded=[0, 1]))
    assert window.writable()[1] == 2


def test_rows_decided_before_are_never_taken_and_keep_what_decided_them():
    decided = np.array([255, RowStatus.NO_SUCH_EID, 255], np.uint8), np.array([255, 0, 255], np.uint8)
    users, amounts = np.arange(1, 4, dtype=np.uint64), np.ones((3, 1), np.int64)
    segment = Segment(RowBlock(0, users, amounts, None, [], None, *decided), 1, modify=True)
    assert segment.undecided == 2
    assert segment.take(10, 10).index.tolist() == [0, 2]
    assert (segment.status[1], segment.detail[1]) == (RowStatus.NO_SUCH_EID, 0)


def test_rows_are_writable_only_without_a_gap():
    window = make_window(2, 2)
    window.take(2, 4)
    window.take(2, 4)
    settle(window, np.array([2, 3], np.uint32))
    assert window.writable() is None
    settle(window, np.array([0, 1], np.uint32))
    assert window.writable()[1] == 2
    window.mark_written(2)
    assert window.writable()[1] == 4


def test_a_row_answered_twice_is_a_broken_invariant():
    window = make_window(2)
    window.take(2, 2)
    settle(window, np.array([0], np.uint32))
    with pytest.raises(RuntimeError, match="twice"):
        settle(window, np.array([0], np.uint32))


def test_the_decided_prefix_ends_before_the_first_gap():
    window = make_window(5)
    window.take(5, 5)
    settle(window, np.array([0, 1, 3], np.uint32))
    assert window.decided_prefix()[1] == 2
    assert window.decided_end() == 4
    window.mark_written(2)
    assert window.decided_prefix() is None


def test_undecided_rows_of_a_range_get_a_status_of_their_own():
    window = make_window(4)
    window.take(4, 4)
    settle(window, np.array([1], np.uint32))
    assert window.decide(0, 3, RowStatus.UNCERTAIN) == 2
    segment, _ = window.split(np.array([0], np.uint32))[0]
    assert segment.status.tolist() == [200, 0, 200, 255]


def test_a_range_before_a_segment_decides_nothing_in_it():
    segment = make_segment(10, 20)
    assert segment.decide(0, 0, RowStatus.UNCERTAIN) == 0
    assert segment.decide(0, 5, RowStatus.UNCERTAIN) == 0
    assert segment.undecided == 20


def test_segments_must_follow_each_other():
    window = make_window(3)
    with pytest.raises(RuntimeError, match="does not follow"):
        window.add(make_segment(4, 1))


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(0, 2**32))
def test_whatever_the_order_of_answers_every_row_is_sent_once_and_written_in_order(sizes, seed):
    random = Random(seed)
    window = make_window(*sizes)
    total = sum(sizes)
    flying: list[int] = []
    sent: list[int] = []
    written = 0
    while written < total:
        act = random.choice(["take", "answer", "return", "write"])
        if act == "take" and (rows := window.take(random.randint(1, 4), random.randint(0, total))):
            flying += rows.index.tolist()
        elif act == "answer" and flying:
            picked = random.sample(flying, random.randint(1, len(flying)))
            flying = [row for row in flying if row not in picked]
            sent += picked
            settle(window, np.array(picked, np.uint32))
        elif act == "return" and flying:
            row = flying.pop(random.randrange(len(flying)))
            window.untake(np.array([row], np.uint32))
        elif act == "write" and (prefix := window.decided_prefix()):
            assert prefix[1] > written
            written = prefix[1]
            window.mark_written(written)
    assert sorted(sent) == list(range(total))
