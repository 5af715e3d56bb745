"""The arithmetic of a dry run."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eomd.model import VALUE_MAX, VALUE_MIN, EidDefinition, Mode, RowStatus
from eomd.operations.preview import Asked, preview

VALUES = st.integers(VALUE_MIN, VALUE_MAX)
AMOUNTS = st.integers(0, VALUE_MAX)


def show(mode, values, amounts, definitions=None, status=None, expected=None):
    expected = None if expected is None else np.array(expected, np.int64)
    values, amounts = np.array(values, np.int64), np.array(amounts, np.int64)
    n = len(values)
    answer = (np.array(status or [0] * n, np.uint8), np.full(n, 255, np.uint8), values)
    eids = list(range(1, values.shape[1] + 1))
    return preview(Asked(mode, amounts, expected), eids, definitions or {}, answer)


def test_inc_dec_and_set_show_what_they_would_leave():
    assert show(Mode.INC, [[1]], [[5]])[3].tolist() == [[6]]
    assert show(Mode.DEC, [[1]], [[5]])[3].tolist() == [[-4]]
    assert show(Mode.SET, [[1]], [[-5]])[3].tolist() == [[-5]]


def test_a_restore_conflicts_where_the_value_is_another():
    status, detail, before, after = show(Mode.RESTORE, [[1, 2], [1, 3]], [[7, 8]] * 2, expected=[[1, 2]] * 2)
    assert status.tolist() == [RowStatus.OK, RowStatus.CONFLICT]
    assert detail.tolist() == [255, 1]
    assert before.tolist() == [[1, 2], [0, 0]]
    assert after.tolist() == [[7, 8], [0, 0]]


def test_a_row_the_cluster_refuses_stays_refused():
    status, detail, before, after = show(Mode.INC, [[0]], [[5]], status=[RowStatus.NO_SUCH_USER])
    assert (status[0], detail[0], before[0, 0], after[0, 0]) == (10, 255, 0, 0)


def test_a_counter_that_would_leave_its_limits_names_itself():
    limits = {2: EidDefinition("fish", 2, minimum=0, maximum=10)}
    status, detail, before, after = show(Mode.INC, [[1, 6], [1, 5]], [[5, 5], [5, 5]], limits)
    assert status.tolist() == [RowStatus.OUT_OF_RANGE, RowStatus.OK]
    assert detail.tolist() == [1, 255]
    assert before.tolist() == [[0, 0], [1, 5]]
    assert after.tolist() == [[0, 0], [6, 10]]


def test_a_counter_that_is_not_editable_is_read_only():
    fixed = {1: EidDefinition("fish", 1, editable=False)}
    status, detail, *_ = show(Mode.SET, [[1]], [[5]], fixed)
    assert (status[0], detail[0]) == (RowStatus.READ_ONLY, 0)


@given(VALUES, AMOUNTS)
def test_inc_is_exact_or_out_of_range(value, amount):
    status, _, _, after = show(Mode.INC, [[value]], [[amount]])
    fits = value + amount <= VALUE_MAX
    assert status[0] == (RowStatus.OK if fits else RowStatus.OUT_OF_RANGE)
    assert after[0, 0] == (value + amount if fits else 0)


@given(VALUES, AMOUNTS)
def test_dec_is_exact_or_out_of_range(value, amount):
    status, _, _, after = show(Mode.DEC, [[value]], [[amount]])
    fits = value - amount >= VALUE_MIN
    assert status[0] == (RowStatus.OK if fits else RowStatus.OUT_OF_RANGE)
    assert after[0, 0] == (value - amount if fits else 0)
