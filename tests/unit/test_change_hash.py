"""The hash of what a modify changes: the same for the same change, however it is written down."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eomd.model import Mode, Model, Order
from eomd.storage.change_hash import ChangeHash

ORDER = Order(Model.MODIFY, "fish", (1001, 1002), Mode.SET)
AMOUNTS = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(st.tuples(st.integers(1, 2**63 - 1), AMOUNTS, AMOUNTS), max_size=20)
FEW = st.lists(st.tuples(st.integers(1, 3), st.integers(-1, 1), st.integers(-1, 1)), max_size=4)

Row = tuple[int, int, int]


def change(rows: list[Row], order: Order = ORDER, blocks: int = 1) -> str:
    hashed = ChangeHash(order)
    for part in range(blocks):
        add(hashed, rows[part::blocks])
    return hashed.hexdigest()


def add(hashed: ChangeHash, rows: list[Row]) -> None:
    hashed.add(*columns(rows))


def columns(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    users = np.array([row[0] for row in rows], np.uint64)
    return users, np.array([row[1:] for row in rows], np.int64).reshape(-1, 2)


@given(ROWS, st.randoms(), st.integers(1, 4))
def test_neither_the_order_of_rows_nor_blocks_matter(rows: list[Row], chance, blocks: int) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert change(shuffled, blocks=blocks) == change(rows)


@given(FEW, FEW)
def test_other_rows_make_another_hash(rows: list[Row], others: list[Row]) -> None:
    assert (change(rows) == change(others)) == (Counter(rows) == Counter(others))


@given(ROWS)
def test_the_order_of_eids_does_not_matter_where_their_amounts_follow(rows: list[Row]) -> None:
    turned = [(user, second, first) for user, first, second in rows]
    assert change(turned, replace(ORDER, eids=(1002, 1001))) == change(rows)


@given(st.lists(st.integers(1, 2**63 - 1), max_size=5), AMOUNTS)
def test_one_amount_for_all_is_the_same_as_writing_it_everywhere(users: list[int], amount: int) -> None:
    everywhere = change([(user, amount, amount) for user in users])
    with warnings.catch_warnings(action="error"):
        of_rows, of_order = ChangeHash(ORDER), ChangeHash(replace(ORDER, amount=amount))
        of_rows.add(np.array(users, np.uint64), np.full((len(users), 1), amount, np.int64))
        of_order.add(np.array(users, np.uint64), None)
    assert of_rows.hexdigest() == of_order.hexdigest() == everywhere


@given(ROWS, ROWS)
def test_rows_taken_out_leave_no_trace(rows: list[Row], others: list[Row]) -> None:
    hashed = ChangeHash(ORDER)
    add(hashed, rows + others)
    hashed.take_out(*columns(others))
    assert hashed.hexdigest() == change(rows)


def test_cluster_mode_and_eids_count() -> None:
    rows = [(1, 5, 5)]
    others = [
        replace(ORDER, cluster="label"),
        replace(ORDER, mode=Mode.INC),
        replace(ORDER, eids=(1001, 1003)),
    ]
    hashes = {change(rows, order) for order in [ORDER, *others]}
    assert len(hashes) == 4


def test_who_asks_and_why_does_not() -> None:
    other = replace(ORDER, operatorid=9, operatorname="x", description="again")
    assert change([(1, 5, 5)], other) == change([(1, 5, 5)])


def test_a_million_rows_in_a_row_do_not_cancel_out() -> None:
    users = np.arange(1, 1_000_001, dtype=np.uint64)
    amounts = np.ones((len(users), 2), np.int64)
    hashes = set()
    for moved in (0, 1, 2**32):
        hashed = ChangeHash(ORDER)
        hashed.add(users + np.uint64(moved), amounts)
        hashes.add(hashed.hexdigest())
    assert len(hashes) == 3
