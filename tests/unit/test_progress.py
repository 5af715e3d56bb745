"""Progress in plain lines, where there is no terminal; and tables."""

from __future__ import annotations

import pytest

from eomd.cli.progress import Meter
from eomd.cli.table import format_table


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]):
    return lambda: capsys.readouterr().err.splitlines()


def test_lines_come_now_and_then_and_at_the_end(said) -> None:
    clock = Clock()
    with Meter("operation 1", "rows", clock) as meter:
        meter.update(10, 1000)
        assert said() == []
        clock.now += 2
        meter.update(500, 1000)
        assert said() == ["operation 1: 500 of 1,000 rows (50 %), 250 rows/s"]
        clock.now += 1
        meter.update(1000, 1000)
    assert said() == ["operation 1: 1,000 of 1,000 rows (100 %), 333 rows/s"]


def test_a_change_is_told_at_once_and_once(said) -> None:
    with Meter("operation 1", "rows", Clock()) as meter:
        for _ in range(3):
            meter.update(0, 10, "paused by cluster")
    assert said() == ["operation 1: 0 of 10 rows (0 %), paused by cluster"]


def test_an_end_by_an_error_says_nothing(said) -> None:
    with pytest.raises(ValueError, match="x"), Meter("upload", "bytes", Clock()) as meter:
        meter.update(5, 10)
        raise ValueError("x")
    assert said() == []


def test_a_table_counts_wide_characters_twice_and_prints_no_control_characters() -> None:
    table = format_table(("A", "B"), [("捕鱼", 1), ("\x1b[31m", None)])
    assert table.splitlines() == ["A      B", "捕鱼   1", "�[31m"]
