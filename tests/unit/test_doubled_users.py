"""Users that stand in a file twice are found, in parts as in one piece."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eomd.storage.doubled_users import find_doubled

USERS = st.lists(st.one_of(st.integers(1, 9), st.integers(1, 2**63 - 1)), max_size=40)


@given(USERS, st.integers(1, 7), st.integers(1, 50))
def test_doubled_users_are_found_whatever_the_parts(
    users: list[int], block_rows: int, part_rows: int
) -> None:
    array = np.array(users, np.uint64)
    blocks = [array[start : start + block_rows] for start in range(0, len(users), block_rows)]
    found = find_doubled(lambda: blocks, len(users), part_rows)
    assert found.tolist() == sorted(user for user, count in Counter(users).items() if count > 1)


@given(USERS)
def test_what_is_looked_at_is_not_changed(users: list[int]) -> None:
    array = np.array(users, np.uint64)
    find_doubled(lambda: [array], len(users))
    assert array.tolist() == users
