import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eomd.evt.codec import Rows
from eomd.evt.parcel import Parcel
from eomd.evt.retries import BUSY_S_MAX, INTERNAL_RESENDS_MAX, TICK_S, Pauses, judge
from eomd.model import RowStatus

BUSY, INTERNAL = int(RowStatus.BUSY), int(RowStatus.INTERNAL)


def parcel_of(*index):
    return Parcel(Rows(np.array(index, np.uint32), np.array(index, np.uint64) + 1))


def answered(parcel, *status, now_s):
    return judge(parcel, np.array(status, np.uint8), now_s)


def index_of(parcels):
    return sorted(int(row) for _, parcel in parcels for row in parcel.rows.index)


def test_busy_pauses_double_to_two_seconds():
    parcel, now_s, pauses = parcel_of(0), 0.0, []
    for _ in range(8):
        judged = answered(parcel, BUSY, now_s=now_s)
        pauses.append(round(float(judged.due_s[0]) - now_s, 3))
        parcel, now_s = judged.parcel, float(judged.due_s[0])
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_busy_ends_sixty_seconds_after_the_first_busy_answer():
    parcel, now_s, tries = parcel_of(0), 100.0, 0
    while True:
        judged = answered(parcel, BUSY, now_s=now_s)
        if judged.exhausted[0]:
            break
        parcel, now_s, tries = judged.parcel, float(judged.due_s[0]), tries + 1
    assert now_s == 100.0 + BUSY_S_MAX
    assert 30 <= tries <= 40


def test_internal_is_sent_again_five_times():
    parcel, sent = parcel_of(0), 1
    while not (judged := answered(parcel, INTERNAL, now_s=float(sent))).exhausted[0]:
        parcel, sent = judged.parcel, sent + 1
    assert sent == 1 + INTERNAL_RESENDS_MAX


def test_rows_are_judged_each_by_its_own_history():
    old = answered(parcel_of(1), BUSY, now_s=0.0).parcel
    judged = answered(Parcel.join([old, parcel_of(2)]), BUSY, BUSY, now_s=BUSY_S_MAX)
    assert judged.exhausted.tolist() == [True, False]
    judged = answered(Parcel.join([old, parcel_of(2)]), INTERNAL, BUSY, now_s=BUSY_S_MAX)
    assert judged.exhausted.tolist() == [False, False]


def test_busy_and_internal_are_counted_apart():
    parcel = parcel_of(0)
    for round_ in range(INTERNAL_RESENDS_MAX):
        parcel = answered(parcel, INTERNAL, now_s=float(round_)).parcel
        judged = answered(parcel, BUSY, now_s=float(round_))
        assert not judged.exhausted[0]
        parcel = judged.parcel
    assert answered(parcel, INTERNAL, now_s=9.0).exhausted[0]


def test_a_lost_copy_is_remembered_through_pauses():
    judged = answered(Parcel.join([parcel_of(0).mark_lost(), parcel_of(1)]), BUSY, BUSY, now_s=0.0)
    assert judged.parcel.lost.tolist() == [True, False]


def test_pauses_give_rows_back_when_due_and_not_before():
    pauses = Pauses()
    pauses.add("a", parcel_of(0, 1, 2), np.array([1.0, 2.0, 1.0]))
    assert pauses.due(0.99) == []
    assert index_of(pauses.due(1.0 + TICK_S)) == [0, 2]
    assert pauses.next_due_s >= 2.0
    assert index_of(pauses.due(3.0)) == [1]
    assert pauses.next_due_s is None


def test_rows_due_together_come_back_as_one_parcel():
    pauses = Pauses()
    for row in range(50):
        pauses.add("a", parcel_of(row), np.array([1.0]))
    ((owner, parcel),) = pauses.due(2.0)
    assert owner == "a"
    assert len(parcel) == 50


def test_removing_an_owner_leaves_the_others():
    pauses = Pauses()
    pauses.add("a", parcel_of(0), np.array([1.0]))
    pauses.add("b", parcel_of(1), np.array([1.0]))
    pauses.add("a", parcel_of(2), np.array([5.0]))
    assert sum(map(len, pauses.remove("a"))) == 2
    assert pauses.remove("a") == []
    assert index_of(pauses.due(9.0)) == [1]
    assert pauses.next_due_s is None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_no_row_is_lost_or_doubled_or_early(due):
    pauses = Pauses()
    pauses.add("a", parcel_of(*range(len(due))), np.array(due))
    seen = []
    while (next_s := pauses.next_due_s) is not None:
        for _, parcel in pauses.due(next_s):
            for row in parcel.rows.index:
                assert due[row] <= next_s + 1e-9
                seen.append(int(row))
    assert sorted(seen) == list(range(len(due)))
