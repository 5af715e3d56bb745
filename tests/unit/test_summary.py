"""Statistics of a result's columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eomd.operations.summary import BINS, ColumnSummary, exact_sum, exact_sum_unsigned

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(INT64, max_size=50))
def test_sums_never_overflow(values):
    assert exact_sum(np.array(values, np.int64)) == sum(values)
    sizes = [abs(value) for value in values]
    assert exact_sum_unsigned(np.array(sizes, np.uint64)) == sum(sizes)


@given(st.lists(INT64, min_size=1, max_size=50))
def test_every_value_falls_into_one_bar(values):
    column = ColumnSummary()
    column.measure(np.array(values, np.int64))
    column.count(np.array(values, np.int64))
    view = column.view()
    assert sum(view["histogram"]["counts"]) == len(values)
    assert (view["min"], view["max"], view["sum"]) == (min(values), max(values), sum(values))
    assert len(view["histogram"]["edges"]) == BINS + 1


def test_a_column_without_values_says_so():
    view = ColumnSummary().view()
    assert view["min"] is None
    assert view["histogram"] is None
