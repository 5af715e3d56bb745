"""Every sample file reads, or is refused, as `cases.json` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eomd.errors import InvalidFileError
from eomd.model import Duplicates, Mode, Model, Order
from eomd.storage.csv_reader import ReadLimits, SourceFacts, inspect_source, read_source
from eomd.storage.rows_file import RowsFile

DATA = Path(__file__).parents[1] / "data"
CASES: list[dict[str, Any]] = json.loads((DATA / "cases.json").read_text())
LIMITS = ReadLimits(rows=20_000_000, line_bytes=1 << 20)


def _order(case: dict[str, Any]) -> Order:
    mode = Mode(case["mode"]) if "mode" in case else None
    eids = tuple(case.get("eids", (1001,)))
    duplicates = Duplicates.REFUSE if mode is Mode.SET else Duplicates.ALLOW
    return Order(Model(case["model"]), "fish", eids, mode, duplicates=duplicates)


def _read(case: dict[str, Any], folder: Path) -> SourceFacts:
    return read_source(DATA / case["file"], _order(case), LIMITS, folder / "rows.arrow")


@pytest.mark.parametrize("case", [c for c in CASES if "rows" in c], ids=lambda c: c["file"])
def test_good_file_is_read(case: dict[str, Any], tmp_path: Path) -> None:
    facts = _read(case, tmp_path)
    assert facts.rows == case["rows"]
    assert list(facts.carried) == case.get("carried", [])
    with RowsFile.open(tmp_path / "rows.arrow") as rows:
        assert rows.rows == case["rows"]
        assert rows.block(0, 1).users[0] == 100000000


@pytest.mark.parametrize("case", [c for c in CASES if "problems" in c], ids=lambda c: c["file"])
def test_bad_file_is_refused_with_its_problems(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError) as caught:
        _read(case, tmp_path)
    found = caught.value.problems
    assert len(found) == caught.value.total_problems == len(case["problems"])
    for problem, expected in zip(found, case["problems"], strict=True):
        assert all(getattr(problem, name) == value for name, value in expected.items())
    assert list(tmp_path.iterdir()) == []


def test_amounts_follow_the_order_of_the_eids(tmp_path: Path) -> None:
    case = next(c for c in CASES if c["file"] == "modify-per-eid.csv")
    _read(case, tmp_path)
    with RowsFile.open(tmp_path / "rows.arrow") as rows:
        amounts = rows.block(0, 2).amounts
        assert amounts is not None
        assert amounts.tolist() == [[662, 2], [419, 4]]


def test_full_width_separators_and_digits_are_read(tmp_path: Path) -> None:
    case = next(c for c in CASES if c["file"] == "modify-fullwidth-semicolon.csv")
    _read(case, tmp_path)
    with RowsFile.open(tmp_path / "rows.arrow") as rows:
        block = rows.block(0, 3)
        assert block.users.tolist() == [100000000, 100000007, 100000014]
        assert block.amounts is not None
        assert block.amounts.tolist() == [[5], [6], [7]]


def test_workbook_is_named_as_such(tmp_path: Path) -> None:
    case = next(c for c in CASES if c["file"] == "bad-binary.xlsx.csv")
    with pytest.raises(InvalidFileError, match="Excel workbook"):
        _read(case, tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["file"])
def test_every_file_can_be_inspected(case: dict[str, Any]) -> None:
    inspection = inspect_source(DATA / case["file"], LIMITS)
    assert inspection.bytes == (DATA / case["file"]).stat().st_size
    if "rows" in case:
        assert (inspection.rows, inspection.total_problems) == (case["rows"], 0)
        assert len(inspection.sample) == min(case["rows"], 20)
