"""What the watchdog believes after looking some times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.watchdog.sight import STRIKES_BAD, UNKNOWN, UP, Finding, Sight, step

START = datetime(2025, 1, 1, tzinfo=UTC)
FINDINGS = {
    "+": Finding(UP, latency_ms=1.0),
    "-": Finding("down", "refused"),
    "r": Finding("read_only", "no"),
}
FINDINGS["?"] = Finding(UNKNOWN)


def look(findings: str, sight: Sight | None = None) -> Sight:
    """Look once a second."""
    sight = sight or Sight(START)
    for second, finding in enumerate(findings, 1):
        sight = step(sight, FINDINGS[finding], START + timedelta(seconds=second))
    return sight


@pytest.mark.parametrize(
    ("findings", "state", "since_s"),
    [
        ("", UNKNOWN, 0),
        ("+", UP, 1),
        ("-", UNKNOWN, 0),
        ("--", "down", 2),
        ("+-", UP, 1),
        ("+--", "down", 3),
        ("+---", "down", 3),
        ("+--+", UP, 4),
        ("+-+-+-", UP, 1),
        ("+-r", "read_only", 3),
        ("+--r", "down", 3),
        ("+--rr", "read_only", 5),
        ("+--r-r", "down", 3),
        ("+-?-", UP, 1),
        ("+??", UP, 1),
    ],
)
def test_what_is_believed_after(findings: str, state: str, since_s: int) -> None:
    sight = look(findings)
    assert sight.state == state
    assert sight.since == START + timedelta(seconds=since_s)


def test_the_last_trouble_is_told_even_before_it_is_believed() -> None:
    assert look("+-").reason == "refused"
    assert look("+-+").reason == ""


def test_the_latency_is_of_the_last_look_that_went_well() -> None:
    assert look("+--").latency_ms == 1.0
    assert look("--").latency_ms is None
    assert step(look("+"), Finding(UP, latency_ms=2.34567), START).latency_ms == 2.346


@given(st.text("+-r?", max_size=60))
def test_something_is_believed_only_after_enough_looks_in_a_row(findings: str) -> None:
    sight = Sight(START)
    for count, finding in enumerate(findings, 1):
        before, sight = sight, step(sight, FINDINGS[finding], START)
        if sight.state != before.state:
            assert sight.state == FINDINGS[finding].state
            run = findings[:count][-(1 if sight.state == UP else STRIKES_BAD) :]
            assert all(FINDINGS[each].state not in (before.state, UNKNOWN) for each in run)
