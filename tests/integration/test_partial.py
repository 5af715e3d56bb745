"""A partial result and what is said of it agree, whoever writes and whatever an earlier life left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from eomd.model import Model, RowStatus
from eomd.operations.partial import Durable, Partial
from eomd.operations.window import Segment
from eomd.storage.csv_writer import ResultHead
from eomd.storage.rows_file import RowBlock

HEAD = ResultHead(None, (), (1001,), Model.QUERY)


def segment(start: int, rows: int) -> Segment:
    """Make a segment whose rows alternate between OK and not."""
    made = Segment(RowBlock(start, np.arange(start + 1, start + rows + 1, dtype=np.uint64)), 1, False)
    made.status[:] = RowStatus.OK
    made.status[1::2] = RowStatus.NO_SUCH_USER
    return made


def partial(folder: Path, said: Durable | None = None) -> Partial:
    said = said or Durable(0, 0, {})
    return Partial(folder / "partial.csv", HEAD, said.rows, said.length, said.statuses)


def users(content: bytes) -> list[int]:
    return [int(line.split(b",")[0]) for line in content.splitlines()[1:]]


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads interrupt each other wherever they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_a_checkpoint_made_while_rows_are_appended_tells_the_truth(tmp_path: Path) -> None:
    written, said, ended = partial(tmp_path), [], threading.Event()

    def keep_syncing() -> None:
        while not ended.is_set():
            written.sync()
            said.append(written.durable)

    syncing = threading.Thread(target=keep_syncing)
    syncing.start()
    for start in range(0, 6400, 16):
        written.append(segment(start, 16), start + 16)
    ended.set()
    syncing.join()
    written.close()
    content = (tmp_path / "partial.csv").read_bytes()
    assert users(content) == list(range(1, 6401))
    for rows, length, statuses in said:
        assert len(users(content[:length])) == rows
        assert length == 0 or content[length - 1 : length] == b"\n"
        assert sum(statuses.values()) == rows


def test_what_an_earlier_life_wrote_behind_its_checkpoint_is_written_anew(tmp_path: Path) -> None:
    first = partial(tmp_path)
    first.append(segment(0, 10), 10)
    first.sync()
    kept = first.durable
    first.append(segment(10, 10), 17)
    first.close()
    second = partial(tmp_path, kept)
    second.append(segment(10, 10), 20)
    second.sync()
    second.publish(tmp_path / "result.csv")
    assert users((tmp_path / "result.csv").read_bytes()) == list(range(1, 21))
    assert second.durable.statuses == {RowStatus.OK: 10, RowStatus.NO_SUCH_USER: 10}


def test_only_rows_that_count_are_published(tmp_path: Path) -> None:
    first = partial(tmp_path)
    first.append(segment(0, 10), 10)
    first.sync()
    kept = first.durable
    first.append(segment(10, 10), 20)
    first.close()
    partial(tmp_path, kept).publish(tmp_path / "result.csv")
    assert users((tmp_path / "result.csv").read_bytes()) == list(range(1, 11))


def test_a_result_published_by_an_earlier_life_stays_as_it_is(tmp_path: Path) -> None:
    first = partial(tmp_path)
    first.append(segment(0, 10), 10)
    first.sync()
    first.publish(tmp_path / "result.csv")
    published = (tmp_path / "result.csv").read_bytes()
    second = partial(tmp_path, first.durable)
    with pytest.raises(FileNotFoundError):
        second.append(segment(10, 10), 20)
    second.sync()
    second.publish(tmp_path / "result.csv")
    assert (tmp_path / "result.csv").read_bytes() == published
    assert not (tmp_path / "partial.csv").exists()


def test_a_partial_result_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    lost = partial(tmp_path, Durable(10, 100, {0: 10}))
    with pytest.raises(FileNotFoundError):
        lost.publish(tmp_path / "result.csv")
    assert list(tmp_path.iterdir()) == []
