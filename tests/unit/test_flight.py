import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import FrameError
from eomd.evt.codec import Head, Replied, Rows
from eomd.evt.flight import Flight
from eomd.evt.lane import Lane
from eomd.evt.parcel import Parcel
from eomd.model import Mode


class SilentWork:
    def __init__(self, mode=None):
        self.head = Head((1, 2), mode, 7)


def lane_of(mode=None):
    return Lane(SilentWork(mode))


def parcel_of(start, rows):
    index = np.arange(start, start + rows, dtype=np.uint32)
    return Parcel(Rows(index, index.astype(np.uint64) + 1))


def launch(flight, start, rows, rows_per_request, lane=None, sent_s=0.0):
    return flight.launch(lane or lane_of(), parcel_of(start, rows), rows_per_request, sent_s, True)


def replied(requests, rows, k=2, modify=False):
    n = len(requests) * rows
    values = np.repeat(np.array(requests, np.int64), rows)[:, None].repeat(k, 1)
    zeros = np.zeros(n, np.uint8)
    return Replied(np.array(requests, np.uint32), zeros, zeros, values, values if modify else None)


def landed_rows(landed):
    return [row for part in landed for row in part.index.tolist()]


def test_requests_are_numbered_upwards_across_portions():
    flight = Flight()
    assert launch(flight, 0, 10, 4).requests == 3
    assert flight.next_request == 4
    assert flight.number() == 4
    assert launch(flight, 10, 1, 4).first == 5
    assert (flight.requests, flight.rows) == (4, 11)


def test_an_answer_finds_the_rows_of_its_request():
    flight = Flight()
    launch(flight, 100, 10, 4)
    assert landed_rows(flight.land(replied([2], 4))) == [104, 105, 106, 107]
    assert landed_rows(flight.land(replied([3], 2))) == [108, 109]
    assert (flight.requests, flight.rows) == (1, 4)
    assert landed_rows(flight.land(replied([1], 4))) == [100, 101, 102, 103]
    assert (flight.requests, flight.rows, list(flight.portions)) == (0, 0, [])


def test_answers_in_any_order_keep_their_columns_beside_their_rows():
    flight = Flight()
    launch(flight, 0, 6, 2)
    (part,) = flight.land(replied([3, 1, 2], 2))
    assert part.index.tolist() == [4, 5, 0, 1, 2, 3]
    assert part.before[:, 0].tolist() == [3, 3, 1, 1, 2, 2]


def test_one_event_may_answer_several_portions():
    flight = Flight()
    first, second = launch(flight, 0, 4, 1), launch(flight, 50, 4, 1)
    parts = flight.land(replied([5, 1, 8, 2], 1))
    assert [part.portion for part in parts] == [first, second]
    assert landed_rows(parts) == [0, 1, 50, 53]
    assert parts[1].before[:, 0].tolist() == [5, 8]


@pytest.mark.parametrize(
    "event",
    [
        replied([9], 1),
        replied([0], 1),
        replied([1, 1], 1),
        replied([1], 2),
        replied([1], 1, k=1),
        replied([1], 1, modify=True),
        replied([1, 4], 1),
    ],
    ids=["unknown", "zero", "twice", "rows", "counters", "modify", "half unknown"],
)
def test_an_answer_that_was_not_asked_for_is_refused(event):
    flight = Flight()
    launch(flight, 0, 3, 1)
    with pytest.raises(FrameError):
        flight.land(event)


def test_a_second_answer_is_refused():
    flight = Flight()
    launch(flight, 0, 3, 1)
    flight.land(replied([2], 1))
    with pytest.raises(FrameError):
        flight.land(replied([2], 1))


def test_an_answer_with_nothing_in_flight_is_refused():
    with pytest.raises(FrameError):
        Flight().land(replied([1], 1))


def test_a_modify_must_be_answered_as_one():
    flight = Flight()
    launch(flight, 0, 1, 1, lane=lane_of(Mode.INC))
    with pytest.raises(FrameError):
        flight.land(replied([1], 1))


def test_a_struck_request_hands_its_rows_back_once():
    flight = Flight()
    portion = launch(flight, 0, 5, 2)
    struck, parcel = flight.strike(3)
    assert struck is portion
    assert parcel.rows.index.tolist() == [4]
    assert flight.strike(3) is None
    assert flight.strike(99) is None
    assert (flight.requests, flight.rows) == (2, 4)


def test_abandoning_gives_back_what_is_unanswered_and_nothing_else():
    flight = Flight()
    launch(flight, 0, 5, 2)
    launch(flight, 10, 2, 2)
    flight.land(replied([2], 2))
    rows = [parcel.rows.index.tolist() for _, parcel in flight.abandon()]
    assert rows == [[0, 1, 4], [10, 11]]
    assert (flight.requests, flight.rows, flight.oldest_s) == (0, 0, None)


def test_the_oldest_portion_is_known():
    flight = Flight()
    assert flight.oldest_s is None
    launch(flight, 0, 1, 1, sent_s=3.0)
    launch(flight, 1, 1, 1, sent_s=5.0)
    assert flight.oldest_s == 3.0
    flight.land(replied([1], 1))
    assert flight.oldest_s == 5.0


@given(st.data())
def test_every_row_lands_exactly_once_whatever_the_order(data):
    flight, start, expected = Flight(), 0, []
    for rows in data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=6)):
        launch(flight, start, rows, 1)
        expected += range(start, start + rows)
        start += rows
    order = data.draw(st.permutations(range(1, start + 1)))
    seen = []
    while order:
        count = data.draw(st.integers(1, len(order)))
        seen += landed_rows(flight.land(replied(order[:count], 1)))
        order = order[count:]
    assert sorted(seen) == expected
    assert (flight.requests, flight.rows) == (0, 0)
