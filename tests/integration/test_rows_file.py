"""`rows.arrow`: what is written is read back, in whatever blocks."""

from __future__ import annotations

import errno
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import pytest

from eomd.errors import DiskFullError
from eomd.storage import rows_file
from eomd.storage.rows_file import RowsFile, RowsHead, RowsWriter, disk_errors

ROWS = 150_000
EIDS = (1001, 1002)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.arrow"


def _users(start: int, stop: int) -> np.ndarray:
    return np.arange(start, stop, dtype=np.uint64) * np.uint64(7) + np.uint64(1)


def _write(path: Path, head: RowsHead, rows: int = ROWS, step: int = 40_000) -> None:
    with RowsWriter(path, head) as writer:
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            width = head.amounts_per_row
            amounts = np.arange(start * width, stop * width).reshape(-1, width) if width else None
            carried = [pa.array([f"n{row}" for row in range(start, stop)]) for _ in head.carried_headers]
            writer.write(_users(start, stop), amounts, carried)


def test_blocks_cross_batches(path: Path) -> None:
    _write(path, RowsHead("uid", ("昵称",), EIDS, amounts_per_row=2))
    with RowsFile.open(path) as rows:
        assert (rows.rows, rows.eid_count) == (ROWS, 2)
        assert (rows.user_header, rows.carried_headers) == ("uid", ("昵称",))
        for start, stop in [(0, 1), (65_535, 65_537), (60_000, 140_000), (149_999, 200_000), (0, ROWS)]:
            block = rows.block(start, stop)
            end = min(stop, ROWS)
            assert (block.start, len(block)) == (start, end - start)
            assert np.array_equal(block.users, _users(start, end))
            assert block.amounts is not None
            assert block.amounts[[0, -1]].tolist() == [[2 * start, 2 * start + 1], [2 * end - 2, 2 * end - 1]]
            assert block.carried[0][0].as_py() == f"n{start}"
            assert block.superseded is None
            assert block.expected is None


def test_batches_are_bounded_in_rows_and_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_file, "BATCH_BYTES_MAX", 100_000)
    with RowsWriter(path, RowsHead(None, ("x",))) as writer:
        for start in range(0, 1000, 10):
            writer.write(_users(start, start + 10), None, [pa.array(["y" * 1000] * 10)])
    with RowsFile.open(path) as rows:
        lengths = [len(block) for block in rows.blocks()]
        assert sum(lengths) == rows.rows == 1000
        assert max(lengths) <= 110
        assert rows.cut(0, 1000) == lengths[0]
        assert rows.cut(lengths[0], lengths[0] + 1) == lengths[0] + 1
        assert np.array_equal(np.concatenate([users for _, users in rows.users()]), _users(0, 1000))
        assert [start for start, _ in rows.users(backwards=True)][-1] == 0


def test_one_amount_in_the_file_is_every_eid_s(path: Path) -> None:
    _write(path, RowsHead(None, (), EIDS, amounts_per_row=1), rows=3)
    with RowsFile.open(path) as rows:
        amounts = rows.block(0, 3).amounts
        assert amounts is not None
        assert amounts.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_amount_of_the_order_is_in_every_block(path: Path) -> None:
    _write(path, RowsHead(None, (), EIDS, amount=-4), rows=3)
    with RowsFile.open(path) as rows:
        amounts = rows.block(1, 3).amounts
        assert amounts is not None
        assert amounts.tolist() == [[-4, -4], [-4, -4]]


def test_query_has_no_amounts(path: Path) -> None:
    _write(path, RowsHead(None), rows=3)
    with RowsFile.open(path) as rows:
        assert rows.eid_count == 0
        assert rows.block(0, 3).amounts is None
        assert len(rows.block(3, 3)) == 0


def test_expected_values_and_superseded_rows_are_kept(path: Path) -> None:
    head = RowsHead(None, (), EIDS, amounts_per_row=2, expects=True, supersedes=True)
    with RowsWriter(path, head) as writer:
        values = np.array([[1, 2], [3, 4]])
        writer.write(_users(0, 2), values, expected=values * 10, superseded=np.array([True, False]))
    with RowsFile.open(path) as rows:
        block = rows.block(0, 2)
        assert block.expected is not None
        assert block.superseded is not None
        assert (block.expected.tolist(), block.superseded.tolist()) == ([[10, 20], [30, 40]], [True, False])


def test_failed_writing_leaves_nothing(path: Path) -> None:
    with pytest.raises(RuntimeError), RowsWriter(path, RowsHead(None)) as writer:
        writer.write(_users(0, 5))
        raise RuntimeError
    assert list(path.parent.iterdir()) == []


def test_file_cut_off_is_not_opened(path: Path) -> None:
    _write(path, RowsHead(None), rows=100)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(pa.ArrowInvalid):
        RowsFile.open(path)


def test_blocks_are_read_from_several_threads(path: Path) -> None:
    _write(path, RowsHead(None))
    wrong: list[int] = []
    with RowsFile.open(path) as rows:

        def read(offset: int) -> None:
            for start in range(offset, ROWS - 100, 9_973):
                if not np.array_equal(rows.block(start, start + 100).users, _users(start, start + 100)):
                    wrong.append(start)

        threads = [Thread(target=read, args=(offset,)) for offset in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_full_disk_is_named() -> None:
    with pytest.raises(DiskFullError), disk_errors():
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), disk_errors():
        raise PermissionError


def test_full_disk_is_named_when_arrow_writes() -> None:
    with pytest.raises(DiskFullError), disk_errors(), pa.OSFile("/dev/full", "wb") as sink:
        sink.write(b"x")
