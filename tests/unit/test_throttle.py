"""Passwords are guessed slowly, and not for long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eomd.operations.throttle import (
    ADDRESS_TRIES_MAX,
    FORGET_S,
    FREE_TRIES,
    LOCKED_S,
    REMEMBERED_MAX,
    TRIES_MAX,
    Throttle,
)


def fail(throttle: Throttle, name: str, address: str, now_s: float, times: int = 1) -> bool:
    return [throttle.begin(name, address, now_s) for _ in range(times)][-1]


def test_the_first_tries_are_free_and_the_next_ones_wait_ever_longer() -> None:
    throttle, now_s, waited = Throttle(), 100.0, []
    for _ in range(TRIES_MAX - 1):
        waited.append(throttle.wait_s("li", "a", now_s))
        now_s += waited[-1]
        assert not fail(throttle, "li", "a", now_s)
    assert waited == [0.0] * FREE_TRIES + [2.0**more for more in range(TRIES_MAX - 1 - FREE_TRIES)]
    assert throttle.wait_s("li", "a", now_s) == 2.0 ** (TRIES_MAX - 1 - FREE_TRIES)


def test_the_last_try_locks_the_name_from_everywhere() -> None:
    throttle = Throttle()
    assert fail(throttle, "li", "a", 0.0, TRIES_MAX)
    assert throttle.wait_s("li", "b", 1.0) == LOCKED_S - 1.0
    assert throttle.wait_s("wang", "a", 1.0) == 0.0
    assert throttle.wait_s("li", "b", LOCKED_S) == 0.0


def test_many_names_from_one_address_are_guesses_too() -> None:
    throttle = Throttle()
    for number in range(ADDRESS_TRIES_MAX):
        assert throttle.wait_s(f"user{number}", "a", 0.0) == 0.0
        throttle.begin(f"user{number}", "a", 0.0)
    assert throttle.wait_s("another", "a", 1.0) == FORGET_S - 1.0
    assert throttle.wait_s("another", "b", 1.0) == 0.0


def test_the_right_password_takes_the_name_s_failures_back_and_not_the_address_s() -> None:
    throttle = Throttle()
    fail(throttle, "wang", "a", 0.0, ADDRESS_TRIES_MAX - 1)
    fail(throttle, "li", "a", 0.0)
    throttle.succeeded("li", "a")
    assert throttle.wait_s("li", "a", 0.0) == 0.0
    fail(throttle, "li", "a", 0.0)
    assert throttle.wait_s("li", "a", 0.0) == FORGET_S


def test_who_was_unlocked_tries_at_once() -> None:
    throttle = Throttle()
    fail(throttle, "li", "a", 0.0, TRIES_MAX)
    throttle.forget("li")
    assert throttle.wait_s("li", "a", 0.0) == 0.0


@given(st.lists(st.sampled_from("abcd"), max_size=50))
def test_no_wait_is_longer_than_a_lock(names: list[str]) -> None:
    throttle = Throttle()
    for second, name in enumerate(names):
        throttle.begin(name, name, float(second))
        assert 0 <= throttle.wait_s(name, name, float(second)) <= max(LOCKED_S, FORGET_S)


def test_no_more_is_remembered_than_its_maximum() -> None:
    throttle = Throttle()
    for number in range(REMEMBERED_MAX + 1):
        throttle.begin(f"user{number}", f"address{number}", 0.0)
    assert len(throttle._names) == len(throttle._addresses) == REMEMBERED_MAX
