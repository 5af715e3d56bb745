"""Who works on rows takes turns in the loop's rounds."""

from __future__ import annotations

import asyncio

import pytest

from eomd.evt import shift as module
from eomd.evt.shift import Shift


async def work(shift: Shift, name: str, done: list[str]) -> None:
    await shift.turn()
    done.append(name)


async def rounds_of(names: str) -> list[str]:
    """Return who worked in each round of the loop, until all have."""
    shift, done = Shift(), list[str]()
    tasks = [asyncio.create_task(work(shift, name, done)) for name in names]
    rounds = []
    while len(done) < len(tasks):
        before = len(done)
        await asyncio.sleep(0)
        rounds.append("".join(done[before:]))
    return rounds


def test_one_a_round_works_where_no_time_is_left_in_the_order_they_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SHIFT_S_MAX", 0.0)
    rounds = asyncio.run(rounds_of("abcd"))
    assert "".join(rounds) == "abcd"
    assert max(map(len, rounds)) == 1


def test_all_work_in_one_round_that_has_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHIFT_S_MAX", 3600.0)
    assert [each for each in asyncio.run(rounds_of("abcd")) if each] == ["abcd"]
