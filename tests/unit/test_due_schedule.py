"""The watchdog's schedule, with a clock that is stepped by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.watchdog.schedule import Entry, Schedule


class Clock:
    """A clock and the one timer that may hang on it."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[tuple[float, Callable[[], None], Handle]] = []

    def __call__(self) -> float:
        return self.now_s

    def call_at(self, when_s: float, what: Callable[[], None]) -> Handle:
        handle = Handle()
        self.timers.append((when_s, what, handle))
        return handle

    def live(self) -> list[tuple[float, Callable[[], None]]]:
        return [(when_s, what) for when_s, what, handle in self.timers if not handle.cancelled]

    def step(self, until_s: float) -> None:
        """Go on to that time, ringing whenever it is due."""
        while due := [(when_s, what) for when_s, what in self.live() if when_s <= until_s]:
            assert len(self.live()) == 1, "more than one timer"
            when_s, what = due[0]
            self.timers.clear()
            self.now_s = max(self.now_s, when_s)
            what()
        self.now_s = until_s


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(clock: Clock) -> Schedule:
    return Schedule(clock, clock.call_at, Random(1))


def test_things_happen_in_the_order_of_their_times(clock: Clock, schedule: Schedule) -> None:
    done: list[str] = []
    schedule.after(3, lambda: done.append("c"))
    schedule.at(101, lambda: done.append("a"))
    schedule.after(2, lambda: done.append("b"))
    clock.step(102)
    assert done == ["a", "b"]
    clock.step(103)
    assert done == ["a", "b", "c"]
    assert len(schedule) == 0 and not clock.live()


def test_what_is_due_at_the_same_time_happens_in_the_order_it_was_added(
    clock: Clock, schedule: Schedule
) -> None:
    done: list[int] = []
    for number in range(5):
        schedule.at(101, lambda number=number: done.append(number))
    clock.step(101)
    assert done == [0, 1, 2, 3, 4]


def test_a_cancelled_entry_does_not_happen(clock: Clock, schedule: Schedule) -> None:
    done: list[str] = []
    entry = schedule.after(1, lambda: done.append("a"))
    schedule.after(2, lambda: done.append("b"))
    entry.cancel()
    entry.cancel()
    clock.step(110)
    assert done == ["b"]


def test_an_entry_cancelled_by_one_that_was_due_with_it_does_not_happen(
    clock: Clock, schedule: Schedule
) -> None:
    done: list[str] = []
    schedule.at(101, lambda: later.cancel())
    later = schedule.at(101, lambda: done.append("late"))
    clock.step(110)
    assert done == []


def test_what_comes_again_stays_within_its_jitter(clock: Clock, schedule: Schedule) -> None:
    times: list[float] = []
    schedule.every(10, lambda: times.append(clock.now_s), jitter=0.2)
    clock.step(600)
    assert 100 <= times[0] <= 110
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(8 <= pause <= 12 for pause in pauses)
    assert len(set(pauses)) > 1


def test_what_came_late_is_not_made_up_for(clock: Clock, schedule: Schedule) -> None:
    times: list[float] = []
    schedule.every(1, lambda: times.append(clock.now_s), jitter=0)
    clock.now_s = 150
    clock.step(150)
    assert times == [150]


def test_what_cancels_itself_does_not_come_again(clock: Clock, schedule: Schedule) -> None:
    done: list[float] = []

    def once() -> None:
        done.append(clock.now_s)
        entry.cancel()

    entry = schedule.every(1, once)
    clock.step(200)
    assert len(done) == 1 and len(schedule) == 0


def test_a_failure_stops_neither_itself_nor_the_others(
    clock: Clock, schedule: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("failed")
        raise RuntimeError("broken")

    schedule.every(1, fail, jitter=0)
    schedule.every(1, lambda: done.append("well"), jitter=0)
    clock.step(103)
    assert done.count("failed") >= 2 and done.count("well") >= 2
    assert "something that was due failed" in caplog.text


def test_what_adds_itself_for_now_does_not_hold_the_loop(clock: Clock, schedule: Schedule) -> None:
    done: list[int] = []

    def again() -> None:
        done.append(1)
        schedule.at(0, again)

    schedule.at(0, again)
    [(_, ring)] = clock.live()
    clock.timers.clear()
    ring()
    assert len(done) == 1
    assert len(clock.live()) == 1


def test_nothing_happens_after_the_close(clock: Clock, schedule: Schedule) -> None:
    done: list[int] = []

    def close() -> None:
        done.append(1)
        schedule.close()

    schedule.every(1, close)
    schedule.every(5, lambda: done.append(2))
    clock.step(101)
    clock.step(200)
    assert done.count(1) == 1 and len(schedule) == 0 and not clock.live()


@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.booleans()),
        max_size=40,
    ),
    st.floats(0, 60),
)
def test_exactly_what_is_due_and_not_cancelled_happens(
    wanted: list[tuple[float, bool]], until_s: float
) -> None:
    clock = Clock()
    schedule = Schedule(clock, clock.call_at, Random(0))
    done: list[int] = []
    entries: list[Entry] = []
    for number, (when_s, _) in enumerate(wanted):
        entries.append(schedule.at(100 + when_s, lambda number=number: done.append(number)))
    for entry, (_, cancelled) in zip(entries, wanted, strict=True):
        if cancelled:
            entry.cancel()
    clock.step(100 + until_s)
    due = [
        (100 + when_s, number)
        for number, (when_s, cancelled) in enumerate(wanted)
        if not cancelled and 100 + when_s <= 100 + until_s
    ]
    assert done == [number for _, number in sorted(due)]
    assert len(schedule) == sum(not cancelled for _, cancelled in wanted) - len(due)
