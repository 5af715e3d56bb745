"""When a file counts as standing still."""

from __future__ import annotations

import pytest

from eomd.watchdog import quiet
from eomd.watchdog.quiet import StandStill


def test_a_file_stands_still_once_it_looked_the_same_for_so_long() -> None:
    still = StandStill(5.0)
    assert not still.has_stood(("a", 1), 100.0)
    assert not still.has_stood(("a", 1), 104.9)
    assert still.has_stood(("a", 1), 105.0)


def test_a_change_starts_the_wait_anew() -> None:
    still = StandStill(5.0)
    still.has_stood(("a", 1), 100.0)
    assert not still.has_stood(("a", 2), 105.0)
    assert still.has_stood(("a", 2), 110.0)


def test_a_file_that_was_away_for_a_look_waits_anew() -> None:
    still = StandStill(5.0)
    still.has_stood("a", 100.0)
    still.end_look()
    still.end_look()
    assert not still.has_stood("a", 106.0)


def test_a_file_seen_at_every_look_does_not() -> None:
    still = StandStill(5.0)
    for now_s in (100.0, 102.0, 104.0):
        still.has_stood("a", now_s)
        still.end_look()
    assert still.has_stood("a", 105.0)


def test_the_next_one_due_is_known() -> None:
    still = StandStill(5.0)
    assert still.due_s(100.0) is None
    still.has_stood("a", 100.0)
    still.has_stood("b", 103.0)
    assert still.due_s(104.0) == 105.0
    assert still.due_s(105.0) == 108.0
    assert still.due_s(108.0) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "TRACKED_MAX", 2)
    still = StandStill(5.0)
    for name in "abc":
        still.has_stood(name, 100.0)
    still.end_look()
    assert [still.has_stood(name, 105.0) for name in "abc"] == [True, True, False]
    still.end_look()
    still.end_look()
    assert not still.has_stood("c", 106.0)
    assert still.has_stood("c", 111.0)
