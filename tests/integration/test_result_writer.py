"""Result files: columns, cells, cutting back, guarding against formulas."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import DiskFullError
from eomd.model import NO_DETAIL, Model, RowStatus
from eomd.storage import csv_writer
from eomd.storage.csv_writer import ResultHead, ResultWriter, guard_formula, render_cells
from eomd.storage.rows_file import RowBlock

QUERY = ResultHead(None, (), (1001, 1002), Model.QUERY)
MODIFY = ResultHead("uid", (), (1001, 1002), Model.MODIFY)


def _block(users: list[int], *carried: list[str], start: int = 0) -> RowBlock:
    return RowBlock(
        start, np.array(users, np.uint64), carried=[pa.array(cells, pa.string()) for cells in carried]
    )


def _write(
    writer: ResultWriter,
    block: RowBlock,
    status: list[int] | None = None,
    detail: list[int] | None = None,
    before: list[list[int]] | None = None,
    after: list[list[int]] | None = None,
) -> int:
    rows = len(block)
    return writer.write(
        block,
        np.array(status or [RowStatus.OK] * rows, np.uint8),
        np.array(detail or [NO_DETAIL] * rows, np.uint8),
        None if before is None else np.array(before, np.int64),
        None if after is None else np.array(after, np.int64),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "partial.csv"


def test_query_has_a_column_per_eid(path: Path) -> None:
    with ResultWriter(path, QUERY) as writer:
        size = _write(writer, _block([5, 2**63 - 1]), before=[[1, -2], [-(2**63), 2**63 - 1]])
        writer.sync()
    assert path.read_bytes() == (
        b"userid,status,detail,1001,1002\n5,OK,,1,-2\n"
        b"9223372036854775807,OK,,-9223372036854775808,9223372036854775807\n"
    )
    assert size == path.stat().st_size


def test_modify_has_before_and_after_per_eid(path: Path) -> None:
    with ResultWriter(path, MODIFY) as writer:
        _write(writer, _block([5]), before=[[1, 2]], after=[[3, 4]])
    assert path.read_bytes() == (
        b"uid,status,detail,1001_before,1001_after,1002_before,1002_after\n5,OK,,1,3,2,4\n"
    )


def test_every_outcome_has_its_name_and_only_ok_rows_have_values(path: Path) -> None:
    statuses = [s for s in RowStatus if s is not RowStatus.PENDING]
    with ResultWriter(path, QUERY) as writer:
        rows = len(statuses)
        _write(writer, _block([1] * rows), [*statuses], [1] * rows, [[7, 8]] * rows)
    lines = path.read_text().splitlines()[1:]
    for status, line in zip(statuses, lines, strict=True):
        ok = status in (RowStatus.OK, RowStatus.REPLAYED)
        assert line == ("1,OK,,7,8" if ok else f"1,{status.name},1002,,")


def test_detail_is_empty_where_no_counter_decided(path: Path) -> None:
    with ResultWriter(path, QUERY) as writer:
        _write(writer, _block([1, 2]), [RowStatus.NO_SUCH_USER, RowStatus.READ_ONLY], [NO_DETAIL, 0])
    assert path.read_text().splitlines()[1:] == ["1,NO_SUCH_USER,,,", "2,READ_ONLY,1001,,"]


def test_pending_row_never_reaches_a_result(path: Path) -> None:
    with ResultWriter(path, QUERY) as writer:
        size = writer.size
        _write(writer, _block([1]), [RowStatus.OK], before=[[1, 2]])
        with pytest.raises(ValueError, match="PENDING"):
            _write(writer, _block([2]), [RowStatus.PENDING])
    assert path.stat().st_size == size + len("1,OK,,1,2\n")


def test_carried_cells_are_quoted_only_where_they_need_it(path: Path) -> None:
    cells = ["张三", "", "a,b", 'say "x"', "two\nlines", "a\rb", " c ", "'d"]
    with ResultWriter(path, ResultHead("uid", ("昵称",), (1001,), Model.QUERY)) as writer:
        _write(writer, _block([*range(1, 9)], cells), before=[[0]] * 8)
    content = path.read_bytes().decode()
    assert content.startswith(
        'uid,昵称,status,detail,1001\n1,张三,OK,,0\n2,,OK,,0\n3,"a,b",OK,,0\n4,"say ""x""",'
    )
    assert [row[1] for row in csv.reader(io.StringIO(content, newline=""))][1:] == cells


@pytest.mark.parametrize(
    ("cell", "guarded"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-x", "'-x"),
        ("@SUM", "'@SUM"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-", "'-"),
        ("-5\n", "'-5\n"),
        ("-5", "-5"),
        ("+8613800000000", "+8613800000000"),
        ("-1.5", "-1.5"),
        ("a=1", "a=1"),
        ("", ""),
        ("'=1", "'=1"),
    ],
)
def test_formulas_are_guarded_and_plain_numbers_are_not(cell: str, guarded: str) -> None:
    assert guard_formula(cell) == guarded
    assert render_cells(pa.array(["x", cell, "", "y"]), guard=True).to_pylist()[1].strip('"') == guarded


def test_headers_are_guarded_and_kept_apart_from_eomd_s_own() -> None:
    carried = ("=x", "status", "1001_before", "昵称", "uid", "amount")
    head = ResultHead("uid", carried, (1001,), Model.MODIFY)
    assert head.columns == (
        *("uid", "'=x", "status_source", "1001_before_source", "昵称", "uid_source", "amount"),
        *("status", "detail", "1001_before", "1001_after"),
    )
    assert ResultHead(None, ("column2", "1001"), (1001,), Model.QUERY).columns[:3] == (
        "userid",
        "column2",
        "1001_source",
    )


@given(st.lists(st.text(alphabet='a",\r\n=-1张', max_size=5), max_size=6), st.booleans())
def test_rendered_cells_read_back(cells: list[str], guard: bool) -> None:
    rendered = render_cells(pa.array(["", *cells], pa.string()).slice(1), guard).to_pylist()
    text = "x," + ",".join(rendered) + "\n"
    expected = [guard_formula(cell) if guard else cell for cell in cells] or [""]
    assert next(csv.reader(io.StringIO(text, newline="")))[1:] == expected


def test_writer_goes_on_where_the_checkpoint_says(path: Path) -> None:
    with ResultWriter(path, QUERY) as writer:
        size = _write(writer, _block([1]), before=[[1, 1]])
        _write(writer, _block([2], start=1), before=[[2, 2]])
    with ResultWriter(path, QUERY, resume_at=size) as writer:
        assert writer.size == size
        _write(writer, _block([3], start=1), before=[[3, 3]])
    assert path.read_text() == "userid,status,detail,1001,1002\n1,OK,,1,1\n3,OK,,3,3\n"


def test_file_left_by_an_earlier_life_is_started_anew(path: Path) -> None:
    path.write_text("half a header")
    ResultWriter(path, QUERY).close()
    assert path.read_text() == "userid,status,detail,1001,1002\n"


def test_file_shorter_than_its_checkpoint_is_refused(path: Path) -> None:
    path.write_text("short")
    with pytest.raises(ValueError, match="checkpoint speaks of 100"):
        ResultWriter(path, QUERY, resume_at=100)
    assert path.read_text() == "short"


def test_block_that_the_disk_cuts_off_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_some(file: int, data: memoryview) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return real_write(file, data[: room.pop()])

    room, real_write = [], os.write
    with ResultWriter(path, QUERY) as writer:
        monkeypatch.setattr(csv_writer.os, "write", write_some)
        size, room = writer.size, [3]
        with pytest.raises(DiskFullError):
            _write(writer, _block([1]), before=[[1, 1]])
        assert path.stat().st_size == writer.size == size
        room = [100, 100, 2]
        _write(writer, _block([2]), before=[[2, 2]])
    assert path.read_text() == "userid,status,detail,1001,1002\n2,OK,,2,2\n"


def test_long_carried_cells_are_rendered_in_portions(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_writer, "_RENDER_CARRIED_BYTES", 1000)
    with ResultWriter(path, ResultHead(None, ("x",), (1,), Model.QUERY)) as writer:
        _write(writer, _block([*range(1, 101)], ["y" * 300] * 100), before=[[user] for user in range(100)])
    assert [line.split(",")[-1] for line in path.read_text().splitlines()[1:]] == [
        str(user) for user in range(100)
    ]


def test_empty_block_writes_nothing(path: Path) -> None:
    with ResultWriter(path, QUERY) as writer:
        assert _write(writer, _block([])) == writer.size
