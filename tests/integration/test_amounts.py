"""How much a modify changes, exactly, whatever its rows are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.storage.amounts import Amounts, measure_amounts
from eomd.storage.rows_file import RowsHead, RowsWriter

INT64 = st.integers(-(2**63), 2**63 - 1)
PAIRS = st.lists(st.tuples(INT64, INT64, st.booleans()), min_size=1, max_size=20)


def write(path: Path, rows: list[tuple[int, int, bool]], *, restore: bool) -> Path:
    head = RowsHead(None, eids=(1,), amounts_per_row=1, expects=restore, supersedes=True)
    column = [np.array([row[place] for row in rows], np.int64).reshape(-1, 1) for place in (0, 1)]
    with RowsWriter(path, head) as writer:
        writer.write(
            np.arange(1, len(rows) + 1, dtype=np.uint64),
            column[0],
            expected=column[1] if restore else None,
            superseded=np.array([row[2] for row in rows]),
        )
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "rows.arrow"


@given(rows=PAIRS)
def test_amounts_are_summed_without_their_signs(path: Path, rows: list[tuple[int, int, bool]]) -> None:
    sizes = [abs(amount) for amount, _, superseded in rows if not superseded]
    assert measure_amounts(write(path, rows, restore=False)) == Amounts(sum(sizes), max(sizes, default=0))


@given(rows=PAIRS)
def test_a_restore_counts_by_how_far_it_moves(path: Path, rows: list[tuple[int, int, bool]]) -> None:
    sizes = [abs(to - from_) for to, from_, superseded in rows if not superseded]
    assert measure_amounts(write(path, rows, restore=True)) == Amounts(sum(sizes), max(sizes, default=0))


def test_one_amount_for_all_counts_for_every_row_and_eid(path: Path) -> None:
    with RowsWriter(path, RowsHead(None, eids=(1, 2), amount=-7)) as writer:
        writer.write(np.arange(1, 11, dtype=np.uint64))
    assert measure_amounts(path) == Amounts(140, 7)


def test_a_query_has_none(path: Path) -> None:
    with RowsWriter(path, RowsHead(None)) as writer:
        writer.write(np.arange(1, 11, dtype=np.uint64))
    assert measure_amounts(path) == Amounts(0, 0)
