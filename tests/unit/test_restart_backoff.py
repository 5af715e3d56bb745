"""How long the watchdog waits before it starts the server again."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from eomd.watchdog.backoff import HEALTHY_S_MIN, Backoff


class Highest(random.Random):
    """Chance that always takes the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 1.0, Highest())
    assert [backoff.after_exit(0.5) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_healthy_while_forgets_earlier_exits() -> None:
    backoff = Backoff(0.1, 1.0, Highest())
    for _ in range(5):
        backoff.after_exit(0.0)
    assert backoff.after_exit(HEALTHY_S_MIN) == 0.1
    assert backoff.after_exit(0.0) == 0.2


def test_a_life_shorter_than_the_longest_pause_is_not_healthy() -> None:
    backoff = Backoff(1.0, 60.0, Highest())
    backoff.after_exit(0.0)
    assert backoff.after_exit(59.0) == 2.0


@given(st.lists(st.floats(0, 100), max_size=30), st.integers())
def test_a_pause_is_never_longer_than_the_longest(lives: list[float], seed: int) -> None:
    backoff = Backoff(0.1, 10.0, random.Random(seed))
    assert all(0.05 <= backoff.after_exit(lived) <= 10.0 for lived in lives)
