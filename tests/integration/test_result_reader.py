"""Result files read back: pages, failed rows, numbers for a summary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eomd.model import NO_DETAIL, Model, RowStatus
from eomd.storage.csv_writer import ResultHead, ResultWriter
from eomd.storage.result_reader import ResultReader
from eomd.storage.rows_file import RowBlock

EIDS = (1001, 1002)
STATUSES = [
    RowStatus.OK,
    RowStatus.REPLAYED,
    RowStatus.SUPERSEDED,
    RowStatus.READ_ONLY,
    RowStatus.NOT_SENT,
    RowStatus.UNCERTAIN,
]


def _result(
    path: Path, statuses: list[RowStatus], names: list[str] | None = None, model: Model = Model.MODIFY
) -> ResultReader:
    """Write rows 1 … n with before = [row, -row] and after = [row + 5, row + 5]."""
    rows = len(statuses)
    carried = [pa.array(names or [f"n{row}" for row in range(rows)], pa.string())]
    users = np.arange(1, rows + 1)
    before = np.stack([users, -users], axis=1)
    after = np.stack([users + 5, users + 5], axis=1)
    status = np.array(statuses, np.uint8)
    block = RowBlock(0, users.astype(np.uint64), carried=carried)
    with ResultWriter(path, ResultHead("status", ("detail",), EIDS, model)) as writer:
        writer.write(block, status, np.full(rows, NO_DETAIL, np.uint8), before, after)
    return ResultReader(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "result.csv"


def test_columns_are_the_header_s(path: Path) -> None:
    result = _result(path, [RowStatus.OK])
    assert result.columns[:4] == ("status", "detail_source", "status", "detail")
    assert result.value_columns == ("1001_before", "1001_after", "1002_before", "1002_after")


def test_page_of_all_rows_stops_reading_when_it_is_full(path: Path) -> None:
    result = _result(path, [RowStatus.OK] * 10)
    total, rows = result.rows(None, 2, 3)
    assert total is None
    assert [row[0] for row in rows] == ["3", "4", "5"]
    assert rows[0] == ["3", "n2", "OK", "", "3", "8", "-3", "8"]


def test_page_at_the_end_knows_how_many_there_are(path: Path) -> None:
    result = _result(path, [RowStatus.OK] * 10)
    assert [row[0] for row in result.rows(None, 8, 5)[1]] == ["9", "10"]
    assert result.rows(None, 8, 5)[0] == 10
    assert result.rows(None, 99, 5) == (10, [])


def test_page_of_one_status_counts_only_its_rows(path: Path) -> None:
    result = _result(path, [RowStatus.OK, RowStatus.READ_ONLY] * 5)
    total, rows = result.rows("READ_ONLY", 1, 10)
    assert (total, [row[0] for row in rows]) == (5, ["4", "6", "8", "10"])
    assert result.rows("NO_SUCH_STATUS", 0, 10) == (0, [])


def test_rows_of_one_user_are_found(path: Path) -> None:
    result = _result(path, [RowStatus.OK, RowStatus.READ_ONLY] * 5)
    total, rows = result.rows(None, 0, 10, user=4)
    assert (total, [row[0] for row in rows]) == (1, ["4"])
    assert result.rows("READ_ONLY", 0, 10, user=4)[0] == 1
    assert result.rows("OK", 0, 10, user=4) == (0, [])
    assert result.rows(None, 0, 10, user=99) == (0, [])


def test_failed_rows_are_a_result_file_of_their_own(path: Path) -> None:
    names = ["a", "b", "c", 'd,"\n', "=e", "f"]
    result = _result(path, STATUSES, names)
    failed = b"".join(result.failed_rows()).decode()
    header, rest = path.read_text().split("\n", 1)
    assert failed == f"{header}\n" + rest[rest.index("4,") :]


def test_result_without_failed_rows_yields_its_header(path: Path) -> None:
    result = _result(path, [RowStatus.OK])
    assert b"".join(result.failed_rows()) == path.read_bytes().splitlines(keepends=True)[0]


@pytest.mark.parametrize("model", list(Model))
def test_scan_yields_statuses_and_values(path: Path, model: Model) -> None:
    blocks = list(_result(path, STATUSES, model=model).scan())
    status = np.concatenate([block.status for block in blocks])
    values = np.concatenate([block.values for block in blocks])
    assert status.tolist() == [0, 0, *(int(s) for s in STATUSES[2:])]
    assert np.concatenate([block.valued for block in blocks]).tolist() == [True, True, *[False] * 4]
    assert values[:2].tolist() == (
        [[1, -1], [2, -2]] if model is Model.QUERY else [[1, 6, -1, 6], [2, 7, -2, 7]]
    )
    assert not values[2:].any()


def test_result_of_no_rows_can_be_read(path: Path) -> None:
    result = _result(path, [])
    assert (result.rows(None, 0, 5), list(result.scan())) == ((0, []), [])


def test_file_that_is_no_result_is_refused(path: Path) -> None:
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError):
        ResultReader(path).rows(None, 0, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(STATUSES), st.text(alphabet='a",\r\n張=', max_size=4)),
        min_size=1,
        max_size=9,
    )
)
def test_every_row_is_either_ok_or_among_the_failed(path: Path, rows: list[tuple[RowStatus, str]]) -> None:
    result = _result(path, [status for status, _ in rows], [name for _, name in rows])
    everything = result.rows(None, 0, 99)[1]
    failed_path = path.with_name("failed.csv")
    failed_path.write_bytes(b"".join(result.failed_rows()))
    failed = ResultReader(failed_path).rows(None, 0, 99)[1]
    assert failed == [row for row in everything if row[2] not in ("OK", "SUPERSEDED")]
    assert len(everything) == len(rows)
