"""Words of several people about one operation at the same moment: it runs once, and the last word stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Operation, PausedBy, State
from eomd.storage.recorder import OperationChange, Recorder
from tests.integration.life import CALLER, Home, Life, lines, order, users
from tests.journal import count_applied
from tests.on_loop import on_loop

ROWS = users(20_000)
CONTENT = lines(ROWS, 5)
INC = order("inc")
SAID = {"reason": "agreed", "operatorid": 8, "operatorname": "王"}


@pytest.fixture(params=[True, False], ids=["tokens", "no-tokens"])
def fish(request: pytest.FixtureRequest) -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(faults=Faults(no_idempotent=not request.param))) as cluster:
        yield cluster


@asynccontextmanager
async def paused(home: Home) -> AsyncIterator[tuple[Life, int]]:
    """Give an operation that a person has paused on its way."""
    async with home.life() as life:
        operation = (await life.hand_in(INC, CONTENT)).id
        await life.progress(operation, 1_000)
        await life.act("pause", operation)
        yield life, operation


@on_loop
async def test_two_resumes_run_it_once(tmp_path: Path, fish: SimulatedCluster) -> None:
    async with paused(Home(tmp_path, {"fish": fish}, rows_per_s=20_000)) as (life, operation):
        await asyncio.gather(*(life.act("resume", operation) for _ in range(3)))
        ended = await life.reach(operation)
    assert (ended.state, ended.counts.ok) == (State.SUCCEEDED, len(ROWS))
    assert count_applied(fish.state) == dict.fromkeys(ROWS, 1)


@pytest.mark.parametrize("words", [("resume", "cancel"), ("cancel", "resume"), ("cancel", "cancel")])
@on_loop
async def test_a_cancel_beside_a_resume_stands(
    tmp_path: Path, fish: SimulatedCluster, words: tuple[str, str]
) -> None:
    async with paused(Home(tmp_path, {"fish": fish}, rows_per_s=20_000)) as (life, operation):
        await asyncio.gather(*(life.act(word, operation) for word in words))
        ended = await life.recorded(operation)
        assert (ended.state, (await life.view(operation)).state) == (State.CANCELLED, State.CANCELLED)
        applied = {int(row[0]) for row in life.result(operation)[1:] if row[1] == "OK"}
    assert count_applied(fish.state) == dict.fromkeys(applied, 1)
    assert len(applied) < len(ROWS)


@pytest.mark.parametrize("word", ["cancel", "pause"])
@on_loop
async def test_a_word_right_after_the_approval_stands(
    tmp_path: Path, fish: SimulatedCluster, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has not heard of the approval yet when the word comes."""
    heard, record = asyncio.Event(), Recorder.record

    async def late(self: Recorder, change: OperationChange) -> None:
        await heard.wait()
        await record(self, change)

    def decide(life: Life, operation: int) -> asyncio.Task[Operation]:
        return asyncio.create_task(life.desk.decide(operation, CALLER, SAID, approve=True))

    async with Home(tmp_path, {"fish": fish}, approval={"rows": 1}).life() as life:
        operation = (await life.hand_in(INC, CONTENT)).id
        monkeypatch.setattr(Recorder, "record", late)
        deciding = decide(life, operation)
        await life.reach(operation, State.QUEUED)
        acting = asyncio.create_task(life.act(word, operation))
        await asyncio.sleep(0)
        heard.set()
        await asyncio.gather(deciding, acting)
        if word == "pause":
            assert (await life.view(operation)).paused_by is PausedBy.PERSON
            await life.act("cancel", operation)
        assert (await life.recorded(operation)).state is State.CANCELLED
        assert (await life.view(operation)).state is State.CANCELLED
        applied = set()
        if (await life.view(operation)).resultname:
            applied = {int(row[0]) for row in life.result(operation)[1:] if row[1] == "OK"}
    assert count_applied(fish.state) == dict.fromkeys(applied, 1)
