"""Changes reach the ledger in order, each of them, whatever happens to the ledger in between."""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ledger_homes import MariaHome, SqliteHome, change_of, five_done, new_operation, until

from eomd.errors import EomdError, LedgerUnavailableError
from eomd.model import Counts, PausedBy, State
from eomd.storage import recorder as recorder_module
from eomd.storage.operation_records import OperationChange
from eomd.storage.recorder import Recorder
from eomd.storage.spool import ASIDE, Spool


class FakeLedger:
    """Takes changes, or does not."""

    def __init__(self):
        self.taken = []
        self.up = True
        self.poisoned = set()
        self._listeners = []

    def add_listener(self, listener):
        self._listeners.append(listener)

    def turn(self, up):
        self.up = up
        for listener in self._listeners:
            listener()

    async def record_many(self, changes):
        await asyncio.sleep(0)
        if not self.up:
            raise LedgerUnavailableError("away")
        if self.poisoned & {change.id for change in changes}:
            raise EomdError("no")
        self.taken += changes


def change(operation, done, state=State.RUNNING):
    return OperationChange(
        id=operation,
        uuid=f"uuid-{operation}",
        state=state,
        paused_by=None,
        message=None,
        counts=Counts(total=1000, done=done),
        resultname=None,
        time=datetime(2026, 3, 1, tzinfo=UTC),
    )


def run(folder, scenario, ledger=None):
    ledger = ledger or FakeLedger()

    async def main():
        async with opened(ledger, folder) as recorder:
            return await scenario(ledger, recorder)

    return asyncio.run(main())


@asynccontextmanager
async def opened(ledger, folder):
    recorder = Recorder(ledger, Spool(folder))
    await recorder.open()
    try:
        yield recorder
    finally:
        await recorder.close()


def test_a_change_goes_through_a_spool_and_comes_out_the_same():
    there = replace(change(1, 5), paused_by=PausedBy.DISK, message="没有地方", resultname="1-result.csv")
    assert OperationChange.parse(there.format()) == there


def test_changes_go_straight_to_a_ledger_that_is_up(tmp_path):
    async def scenario(ledger, recorder):
        await recorder.record(change(1, 1))
        assert (ledger.taken, recorder.pending) == ([change(1, 1)], 0)
        assert Spool(tmp_path).segments() == []

    run(tmp_path, scenario)


def test_changes_wait_in_order_until_the_ledger_is_back(tmp_path):
    async def scenario(ledger, recorder):
        changes = [change(number % 3, number) for number in range(30)]
        for number, each in enumerate(changes):
            if number == 10:
                ledger.turn(up=False)
            await recorder.record(each)
        assert recorder.pending == 20
        assert recorder.waiting[2] == changes[29]
        ledger.turn(up=True)
        await until(lambda: recorder.pending == 0 and not recorder.waiting)
        assert ledger.taken == changes
        assert Spool(tmp_path).segments() == []

    run(tmp_path, scenario)


def test_changes_of_many_tasks_keep_each_operations_order(tmp_path):
    async def scenario(ledger, recorder):
        async def work(operation):
            for done in range(40):
                await recorder.record(change(operation, done))

        async def flap():
            for _ in range(10):
                ledger.turn(up=not ledger.up)
                await asyncio.sleep(0.005)

        await asyncio.gather(*map(work, range(5)), flap())
        ledger.turn(up=True)
        await until(lambda: recorder.pending == 0)
        for operation in range(5):
            taken = [each.counts.done for each in ledger.taken if each.id == operation]
            assert taken == list(range(40))

    run(tmp_path, scenario)


def test_a_new_process_drains_what_an_old_one_has_left(tmp_path):
    away = FakeLedger()
    away.up = False

    async def leave(ledger, recorder):
        for done in range(5):
            await recorder.record(change(1, done))

    async def find(ledger, recorder):
        assert recorder.pending == 5
        assert recorder.waiting[1].counts.done == 4
        await recorder.record(change(1, 5))
        await until(lambda: recorder.pending == 0)
        assert [each.counts.done for each in ledger.taken] == [0, 1, 2, 3, 4, 5]

    run(tmp_path, leave, away)
    run(tmp_path, find)


def test_drain_at_start_waits_until_the_ledger_has_it_all(tmp_path):
    away = FakeLedger()
    away.up = False
    run(tmp_path, lambda ledger, recorder: recorder.record(change(1, 1)), away)

    async def scenario(ledger, recorder):
        await recorder.drain()
        assert ledger.taken == [change(1, 1)]

    run(tmp_path, scenario)


def test_a_ledger_that_is_up_and_refuses_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.02)

    async def scenario(ledger, recorder):
        ledger.up = False
        await recorder.record(change(1, 1))
        # no edge: a lock went away, or the server's disk has space again
        ledger.up = True
        await until(lambda: recorder.pending == 0)
        assert ledger.taken == [change(1, 1)]

    run(tmp_path, scenario)


def test_a_change_that_no_ledger_takes_holds_up_no_other(tmp_path, caplog):
    async def scenario(ledger, recorder):
        ledger.poisoned = {2}
        await recorder.record(change(2, 0))
        ledger.turn(up=False)
        for operation in (1, 2, 3):
            await recorder.record(change(operation, 1))
        ledger.turn(up=True)
        await until(lambda: recorder.pending == 0)
        assert ledger.taken == [change(1, 1), change(3, 1)]

    with caplog.at_level(logging.ERROR):
        run(tmp_path, scenario)
    assert caplog.text.count("set aside") == 2
    assert len((tmp_path / ASIDE).read_text().splitlines()) == 2


def test_an_entry_that_is_no_change_holds_up_no_other(tmp_path, caplog):
    Spool(tmp_path).append([change(1, 1).format(), {"kind": "riddle"}, change(1, 2).format()])

    async def scenario(ledger, recorder):
        await until(lambda: recorder.pending == 0)
        assert ledger.taken == [change(1, 1), change(1, 2)]

    with caplog.at_level(logging.ERROR):
        run(tmp_path, scenario)
    assert "no change of an operation" in caplog.text


def test_a_long_wait_is_shortened_to_the_latest_of_each_operation(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "WAITING_MAX", 50)

    async def scenario(ledger, recorder):
        ledger.turn(up=False)
        await recorder.record(change(3, 1, State.FAILED))
        for done in range(200):
            await recorder.record(change(done % 2, done))
        assert recorder.pending <= 51
        ledger.turn(up=True)
        await until(lambda: recorder.pending == 0)
        last = {each.id: each for each in ledger.taken}
        assert last == {0: change(0, 198), 1: change(1, 199), 3: change(3, 1, State.FAILED)}

    run(tmp_path, scenario)


def test_a_spooled_end_stays_the_latest(tmp_path):
    async def scenario(ledger, recorder):
        ledger.turn(up=False)
        await recorder.record(change(1, 9, State.CANCELLED))
        await recorder.record(change(1, 8))
        assert recorder.waiting[1].state is State.CANCELLED

    run(tmp_path, scenario)


# --- with ledgers


@pytest.fixture
def maria(mariadb):
    return MariaHome(mariadb)


def test_an_operation_ends_while_its_database_is_gone(maria, tmp_path):
    async def scenario(ledger):
        operation = await ledger.admit(new_operation())
        async with opened(ledger, tmp_path) as recorder:
            await recorder.record(change_of(operation, State.RUNNING))
            maria.server.kill()
            try:
                for seconds in range(2, 20):
                    await recorder.record(change_of(operation, State.RUNNING, seconds))
                end = change_of(operation, State.PARTIAL, 20, counts=five_done(), resultname="1-result.csv")
                await recorder.record(end)
                assert recorder.pending == 19
            finally:
                maria.server.start()
            await until(lambda: recorder.pending == 0)
        read = await ledger.operation(operation.id)
        assert (read.state, read.counts, read.resultname) == (State.PARTIAL, five_done(), "1-result.csv")

    maria.run(scenario)


def test_a_spool_drained_twice_leaves_what_has_ended(tmp_path):
    home = SqliteHome(tmp_path)

    async def scenario(ledger):
        operation = await ledger.admit(new_operation())
        states = [change_of(operation, State.RUNNING), change_of(operation, State.SUCCEEDED, 2)]
        for _ in range(2):
            Spool(tmp_path / "spool").append([each.format() for each in states])
            async with opened(ledger, tmp_path / "spool") as recorder:
                await until(lambda recorder=recorder: recorder.pending == 0)
        assert (await ledger.operation(operation.id)).state is State.SUCCEEDED

    home.run(scenario)
