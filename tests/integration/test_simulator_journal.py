"""What a simulated cluster keeps on disk: what comes back after a kill, an end, a torn write, a full disk."""

import errno
import os
import shutil
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eomd.errors import FolderInUseError, JournalDamagedError
from eomd.evt.codec import Head, Rows
from eomd.evt.simulator import Counter, SimulatorSettings, UserRange, read_journal
from eomd.evt.simulator import store as store_module
from eomd.evt.simulator.journal import JOURNAL_NAME
from eomd.evt.simulator.snapshot import SNAPSHOT_NAME
from eomd.evt.simulator.store import Store
from eomd.model import Mode, RowStatus

ORIGIN = bytes(range(16))
A, B = 1001, 1002
SETTINGS = SimulatorSettings(users=(UserRange(100, 199),), counters=(Counter(A, -50, 50), Counter(B)))
USERS = np.arange(100, 200, dtype=np.uint64)


class Opener:
    """Opens the folder's store, having closed the one before."""

    def __init__(self, folder):
        self._folder, self._store = folder, None

    def __call__(self, settings=SETTINGS):
        self.close()
        self._store = Store(self._folder, settings)
        return self._store

    def close(self):
        if self._store:
            self._store.close()
        self._store = None


@pytest.fixture
def make_store(tmp_path):
    opener = Opener(tmp_path)
    yield opener
    opener.close()


@pytest.fixture
def eager(monkeypatch):
    """Take a snapshot at every start and end."""
    monkeypatch.setattr(store_module, "SNAPSHOT_BYTES_IDLE", 0)


def change(store, mode, users, amounts, *, eids=(A,), operation=1, index=None, idempotent=True):
    index = np.array(range(len(users)) if index is None else index, np.uint32)
    rows = Rows(index, np.array(users, np.uint64), np.array(amounts, np.int64).reshape(len(users), -1))
    return store.modify(ORIGIN, Head(eids, mode, operation), rows, idempotent)


def value(store, user, eid=A):
    return int(store.query((eid,), np.array([user], np.uint64)).before[0, 0])


def crash(folder, to):
    """Return the folder as a kill at this moment would leave it."""
    return shutil.copytree(folder, to, dirs_exist_ok=True)


def flip_byte(path, at):
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes((byte[0] ^ 0x55,)))


def test_counters_tokens_and_refusals_come_back(make_store):
    store = make_store()
    first = change(store, Mode.INC, [100, 99, 101, 100], [[1, 2]] * 4, eids=(B, A))
    store = make_store()
    assert (value(store, 100, B), value(store, 100), value(store, 101)) == (2, 4, 2)
    again = change(store, Mode.INC, [100, 99, 101, 100], [[1, 2]] * 4, eids=(B, A))
    assert again.status.tolist() == [1, RowStatus.NO_SUCH_USER, 1, 1]
    assert (again.before == first.before).all()
    assert (again.after == first.after).all()


def test_the_journal_tells_every_applied_row_once(make_store, tmp_path):
    store = make_store()
    for _ in range(3):
        change(
            store,
            Mode.INC,
            [100, 99, 101],
            [[1, 2], [3, 4], [5, 6]],
            eids=(A, B),
            operation=7,
            index=[4, 5, 6],
        )
    [block] = read_journal(tmp_path)
    assert (block.origin, block.operation, block.mode, block.eids) == (ORIGIN, 7, Mode.INC, (A, B))
    assert (block.rows.tolist(), block.users.tolist()) == ([4, 6], [100, 101])
    assert block.amounts.tolist() == block.after.tolist() == [[1, 2], [5, 6]]
    assert block.before.tolist() == [[0, 0], [0, 0]]
    assert block.idempotent


def test_a_second_cluster_is_kept_out_of_the_folder(make_store, tmp_path):
    make_store()
    with pytest.raises(FolderInUseError):
        Store(tmp_path, SETTINGS)


# --- torn and damaged


@pytest.mark.parametrize("cut", [1, 11, 12, 40, 84])
def test_a_torn_last_block_is_cut_off_and_what_was_before_stays(tmp_path, cut):
    store = Store(tmp_path, SETTINGS)
    change(store, Mode.INC, [100], [5])
    change(store, Mode.INC, [101], [6], operation=2)
    store.close()
    whole = (tmp_path / JOURNAL_NAME).stat().st_size
    os.truncate(tmp_path / JOURNAL_NAME, whole - cut)
    reopened = Store(tmp_path, SETTINGS)
    assert (value(reopened, 100), value(reopened, 101)) == (5, 0)
    assert change(reopened, Mode.INC, [101], [6], operation=2).status[0] == RowStatus.OK
    reopened.close()
    assert [block.operation for block in read_journal(tmp_path)] == [1, 2]
    assert (tmp_path / JOURNAL_NAME).stat().st_size == whole


def test_a_last_block_with_a_wrong_checksum_is_cut_off(make_store, tmp_path):
    change(make_store(), Mode.INC, [100], [5])
    flip_byte(tmp_path / JOURNAL_NAME, -3)
    assert list(read_journal(tmp_path)) == []
    assert value(make_store(), 100) == 0


def test_a_length_beyond_the_file_is_no_reason_to_read_gigabytes(make_store, tmp_path):
    change(make_store(), Mode.INC, [100], [5])
    with open(tmp_path / JOURNAL_NAME, "ab") as file:
        file.write(struct.pack("<4sII", b"EVTJ", 2**32 - 1, 0) + b"rest")
    assert value(make_store(), 100) == 5


@pytest.mark.parametrize("at", [0, 4, 20, 60])
def test_damage_before_the_last_block_refuses_the_start_and_keeps_the_file(tmp_path, at):
    store = Store(tmp_path, SETTINGS)
    for operation in range(300):
        change(store, Mode.INC, [100], [0], operation=operation)
    store.close()
    flip_byte(tmp_path / JOURNAL_NAME, at)
    damaged = (tmp_path / JOURNAL_NAME).read_bytes()
    for _ in range(2):
        with pytest.raises(JournalDamagedError, match="byte 0"):
            Store(tmp_path, SETTINGS)
    with pytest.raises(JournalDamagedError):
        list(read_journal(tmp_path))
    assert (tmp_path / JOURNAL_NAME).read_bytes() == damaged


def test_a_full_disk_decides_nothing(make_store, tmp_path, monkeypatch, caplog):
    store = make_store()
    change(store, Mode.INC, [100], [5])
    size = (tmp_path / JOURNAL_NAME).stat().st_size
    write = os.pwrite

    def write_half(file, data, at):
        if at > size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: len(data) // 2], at)

    monkeypatch.setattr(os, "pwrite", write_half)
    for _ in range(3):
        outcome = change(store, Mode.INC, [100, 99], [1, 1], operation=2)
        assert outcome.status.tolist() == [RowStatus.INTERNAL] * 2
        assert not outcome.before.any()
    assert len(caplog.records) == 1
    monkeypatch.undo()
    assert value(store, 100) == 5
    assert (tmp_path / JOURNAL_NAME).stat().st_size == size
    assert change(store, Mode.INC, [100, 99], [1, 1], operation=2).status.tolist() == [0, 10]
    assert value(make_store(), 100) == 6


# --- snapshots


def test_a_start_reads_no_block_that_the_snapshot_knows(make_store, tmp_path, eager):
    store = make_store()
    for operation in range(5):
        change(store, Mode.INC, [100], [1], operation=operation)
    make_store.close()
    flip_byte(tmp_path / JOURNAL_NAME, 30)
    store = make_store()
    assert value(store, 100) == 5
    assert change(store, Mode.INC, [100], [1], operation=4).after.tolist() == [[5]]


def test_a_snapshot_is_taken_while_running_and_not_for_every_block(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SNAPSHOT_BYTES_BUSY", 100_000)
    store, taken = Store(tmp_path, SETTINGS), set()
    for operation in range(30):
        change(store, Mode.INC, [100], [1], operation=operation)
        if (tmp_path / SNAPSHOT_NAME).exists():
            taken.add((tmp_path / SNAPSHOT_NAME).stat().st_ino)
    assert 2 <= len(taken) <= 8
    image = crash(tmp_path, tmp_path / "image")
    store.close()
    store = Store(image, SETTINGS)
    assert value(store, 100) == 30
    store.close()


@pytest.mark.parametrize("size", [0, 100, 2000, -1])
def test_an_unreadable_snapshot_is_passed_over(make_store, tmp_path, eager, caplog, size):
    change(make_store(), Mode.INC, [100, 101], [5, 6])
    make_store.close()
    path = tmp_path / SNAPSHOT_NAME
    if size < 0:
        flip_byte(path, path.stat().st_size // 3)
    else:
        os.truncate(path, size)
    store = make_store()
    assert change(store, Mode.INC, [100, 101], [5, 6]).status.tolist() == [1, 1]
    assert (value(store, 100), value(store, 101)) == (5, 6)
    assert "not readable" in caplog.text


def test_other_users_or_counters_are_served_from_the_journal(make_store, eager):
    change(make_store(), Mode.INC, [100, 150], [[5, 1], [6, 2]], eids=(A, B))
    fewer = SimulatorSettings(users=(UserRange(140, 300),), counters=(Counter(B), Counter(7), Counter(A)))
    store = make_store(fewer)
    assert store.query((A, B, 7), np.array([150, 300, 100], np.uint64)).before.tolist() == [
        [6, 2, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]
    assert value(make_store(SETTINGS), 100) == 5


def test_a_journal_that_lost_what_the_snapshot_knows_is_refused(make_store, tmp_path, eager):
    change(make_store(), Mode.INC, [100], [5])
    make_store.close()
    (tmp_path / JOURNAL_NAME).unlink()
    with pytest.raises(JournalDamagedError, match="snapshot"):
        make_store()
    (tmp_path / SNAPSHOT_NAME).unlink()
    assert value(make_store(), 100) == 0


def test_a_snapshot_that_cannot_be_written_leaves_the_old_one(make_store, tmp_path, eager, monkeypatch):
    change(make_store(), Mode.INC, [100], [5])
    store = make_store()
    old = (tmp_path / SNAPSHOT_NAME).read_bytes()
    change(store, Mode.INC, [100], [5], operation=2)

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    store = make_store()
    assert (tmp_path / SNAPSHOT_NAME).read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == [JOURNAL_NAME, SNAPSHOT_NAME]
    monkeypatch.undo()
    assert value(store, 100) == 10


ROWS = st.tuples(st.integers(0, 3000), st.integers(98, 104), st.integers(0, 20))
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from([Mode.INC, Mode.DEC, Mode.SET]),
            st.integers(1, 3),
            st.sampled_from([(A,), (B, A)]),
            st.booleans(),
            st.lists(ROWS, min_size=1, max_size=6),
        ),
        st.sampled_from(["kill", "end", "end with a snapshot"]),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_kill_and_no_end_changes_what_a_cluster_answers(tmp_path_factory, steps):
    folder, steady_folder = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("steady")
    store, steady = Store(folder, SETTINGS), Store(steady_folder, SETTINGS)
    for number, step in enumerate(steps):
        if isinstance(step, str):
            image = crash(folder, tmp_path_factory.mktemp(f"image{number}")) if step == "kill" else folder
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(store_module, "SNAPSHOT_BYTES_IDLE", 0 if "snapshot" in step else 2**40)
                store.close()
            folder, store = image, Store(image, SETTINGS)
            continue
        mode, operation, eids, idempotent, rows = step
        index, users, amounts = zip(*rows, strict=True)
        asked = mode, users, [[amount] * len(eids) for amount in amounts]
        fields = {"eids": eids, "operation": operation, "index": index, "idempotent": idempotent}
        for found, wanted in zip(
            change(store, *asked, **fields), change(steady, *asked, **fields), strict=True
        ):
            assert (found == wanted).all()
    assert (store.query((A, B), USERS).before == steady.query((A, B), USERS).before).all()
    store.close()
    steady.close()
    assert sum(len(block.rows) for block in read_journal(folder)) == sum(
        len(block.rows) for block in read_journal(steady_folder)
    )
