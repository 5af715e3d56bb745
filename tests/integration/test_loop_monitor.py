"""What holds the loop is seen."""

from __future__ import annotations

import asyncio
import time

import pytest

from eomd.loop_monitor import INTERVAL_S, LoopMonitor


def test_a_hold_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[float] = []

    async def hold() -> float:
        monitor = LoopMonitor(seen.append)
        monitor.start()
        while len(seen) < 3:
            await asyncio.sleep(INTERVAL_S)
        monitor.take_worst()
        count = len(seen)
        time.sleep(0.6)
        while len(seen) == count:
            await asyncio.sleep(0)
        worst = monitor.take_worst()
        assert monitor.take_worst() <= worst
        monitor.stop()
        return worst

    assert 0.6 - INTERVAL_S - 0.01 <= asyncio.run(hold()) < 5
    assert "held for 0." in caplog.text
