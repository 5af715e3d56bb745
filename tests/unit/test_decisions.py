"""What is tried against which incident, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.watchdog.decisions import DECISIONS, RECYCLE, RELOAD, RESTART, Decision, Plan, Step, decide
from eomd.watchdog.kinds import KINDS, Kind

TABLE = {"ill": Plan((Step("small", 0), Step("small", 10), Step("great", 60)))}


@pytest.mark.parametrize(
    ("tried", "waited_s", "decision"),
    [
        (0, 0, Decision("small", 0)),
        (1, 0, Decision("small", 10)),
        (1, 4, Decision("small", 6)),
        (1, 11, Decision("small", 0)),
        (2, 59, Decision("great", 1)),
        (3, 0, Decision("great", 60)),
        (99, 61, Decision("great", 0)),
    ],
)
def test_small_remedies_come_first_and_the_last_is_repeated(
    tried: int, waited_s: float, decision: Decision
) -> None:
    assert decide("ill", tried, waited_s, TABLE) == decision


def test_what_is_not_in_the_table_is_left_alone() -> None:
    assert decide("well", 0, 1000, TABLE) == Decision(None)
    assert decide(Kind.NODE_DOWN, 0, 1000) == Decision(None)
    assert decide("a kind of a later version", 0, 1000) == Decision(None)


@given(st.sampled_from(sorted(DECISIONS)), st.integers(0, 1000), st.floats(0, 1e9))
def test_something_can_always_be_tried_and_never_twice_at_once(
    kind: str, tried: int, waited_s: float
) -> None:
    assert decide(kind, tried, waited_s).remedy in (RECYCLE, RELOAD, RESTART)
    if tried:
        assert decide(kind, tried, 0).wait_s > 0


def test_every_kind_says_how_much_it_matters_and_what_to_do() -> None:
    assert set(KINDS) == set(Kind)
    assert set(DECISIONS) <= set(KINDS)
    assert all(facts.advice.endswith(".") or not facts.advice for facts in KINDS.values())
