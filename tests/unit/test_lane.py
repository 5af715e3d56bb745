import numpy as np

from eomd.evt.codec import Head, Rows
from eomd.evt.lane import Lane
from eomd.evt.parcel import Parcel
from eomd.model import Mode, RowStatus


class Work:
    braced = True

    def __init__(self, rows=0, mode=Mode.INC):
        self.head = Head((1,), mode, 7)
        self.left, self.settled, self.earlier = rows, [], set()

    def take(self, rows_max):
        count = min(rows_max, self.left)
        self.left -= count
        return parcel_of(*range(count)).rows if count else None

    def settle(self, index, status, detail, before, after):
        self.settled += zip(index.tolist(), status.tolist(), strict=True)

    def maybe_sent(self, index):
        return np.isin(index, list(self.earlier))


def parcel_of(*index):
    return Parcel(Rows(np.array(index, np.uint32), np.array(index, np.uint64) + 1))


def taken(parcel):
    return parcel.rows.index.tolist()


def test_what_came_back_goes_out_before_anything_new():
    lane = Lane(Work(rows=5))
    lane.put_back(parcel_of(90))
    lane.put_back(parcel_of(91, 92, 93))
    assert taken(lane.take(3, new=True)) == [90, 91, 92]
    assert taken(lane.take(3, new=True)) == [93]
    assert taken(lane.take(3, new=True)) == [0, 1, 2]


def test_no_new_rows_while_they_are_not_wanted_or_the_lane_leaves():
    lane = Lane(Work(rows=5))
    assert lane.take(3, new=False) is None
    lane.leave([])
    assert lane.take(3, new=True) is None


def test_leaving_keeps_lost_rows_to_be_sent_and_gives_the_others_back():
    work = Work()
    work.earlier = {3, 4}
    lane = Lane(work)
    lane.put_back(parcel_of(1, 3))
    lane.put_back(parcel_of(2).mark_lost())
    lane.leave([parcel_of(4, 5)])
    assert taken(lane.take(9, new=True)) == [2]
    undone, unknown = lane.finish([])
    assert (undone.tolist(), unknown.tolist()) == ([1, 5], [3, 4])


def test_a_query_leaves_nothing_unknown():
    lane = Lane(Work(mode=None))
    lane.put_back(parcel_of(1).mark_lost())
    lane.leave([parcel_of(2)])
    undone, unknown = lane.finish([parcel_of(3)])
    assert (undone.tolist(), unknown.tolist()) == ([1, 2, 3], [])


def test_what_is_in_flight_at_the_end_is_unknown_for_a_modify():
    undone, unknown = Lane(Work()).finish([parcel_of(3, 1)])
    assert (undone.tolist(), unknown.tolist()) == ([], [1, 3])


def test_failed_rows_are_told_without_values():
    work = Work()
    Lane(work).settle_uncertain(np.array([4, 5], np.uint32))
    Lane(work).settle_uncertain(np.array([], np.uint32))
    assert work.settled == [(4, RowStatus.UNCERTAIN), (5, RowStatus.UNCERTAIN)]


def test_joined_parcels_keep_each_rows_history():
    joined = Parcel.join([parcel_of(1), parcel_of(2).mark_lost()])
    assert joined.lost.tolist() == [False, True]
    assert joined.pick(np.array([1])).lost.tolist() == [True]
    assert Parcel.join([parcel_of(1), parcel_of(2)]).history is None
