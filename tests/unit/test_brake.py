"""When the brake of a modify trips, and when not."""

from __future__ import annotations

import pytest

from eomd.model import Counts
from eomd.operations.brake import ROWS_MIN, ROWS_OF_LATE, Brake, BrakeLimits

TENTH = BrakeLimits(failed_share=0.1)


def counts(good: int, bad: int = 0, uncertain: int = 0) -> Counts:
    return Counts(10**6, good + bad + uncertain, good, bad, uncertain)


def test_it_trips_over_the_share_and_not_at_it() -> None:
    assert Brake().judge_rows(counts(900, 100), TENTH) is None
    reason = Brake().judge_rows(counts(899, 101), TENTH)
    assert reason == "101 of the last 1,000 rows failed or are uncertain, over 10.00%"


def test_uncertain_rows_count() -> None:
    assert Brake().judge_rows(counts(890, 60, 60), TENTH) is not None


def test_a_few_rows_tell_nothing() -> None:
    assert Brake().judge_rows(counts(0, ROWS_MIN - 1), TENTH) is None
    assert Brake().judge_rows(counts(0, ROWS_MIN), TENTH) is not None


def test_without_a_limit_it_never_trips() -> None:
    assert Brake().judge_rows(counts(0, 10**5), BrakeLimits()) is None
    assert [Brake().judge_latency(10**6, BrakeLimits()) for _ in range(9)] == [None] * 9


def test_trouble_after_many_good_rows_shows_soon() -> None:
    brake, good, bad = Brake(), 500_000, 0
    for done in range(0, good, 1000):
        assert brake.judge_rows(counts(done), TENTH) is None
    while brake.judge_rows(counts(good, bad), TENTH) is None:
        bad += 100
    assert bad <= ROWS_OF_LATE // 4


def test_who_resumes_has_seen_what_was_before() -> None:
    brake = Brake()
    assert brake.judge_rows(counts(0, 500), TENTH) is not None
    brake.begin(counts(0, 500))
    assert brake.judge_rows(counts(1000, 500), TENTH) is None
    assert brake.judge_rows(counts(1000, 700), TENTH) is not None


def test_answers_must_be_slow_three_times_in_a_row() -> None:
    brake, limits = Brake(), BrakeLimits(latency_ms=50)
    looks = [60, 60, 50, 60, 60, None, 60, 60, 61]
    told = [brake.judge_latency(look, limits) for look in looks]
    assert told == [None] * 8 + ["answers take 61 ms, over 50 ms"]


@pytest.mark.parametrize("latency_ms", [None, 49.0, 50.0])
def test_quick_or_unknown_answers_are_none_of_its_business(latency_ms: float | None) -> None:
    brake = Brake()
    assert [brake.judge_latency(latency_ms, BrakeLimits(latency_ms=50)) for _ in range(5)] == [None] * 5
