"""Source files for tests: made of bytes, read by either pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eomd.errors import InvalidFileError
from eomd.model import Duplicates, Mode, Model, Order
from eomd.storage.csv_encoding import SourceText, scan_source
from eomd.storage.csv_exact import ExactPass
from eomd.storage.csv_fast import read_fast
from eomd.storage.csv_layout import Layout, find_layout
from eomd.storage.csv_reader import ReadLimits, SourceFacts, read_source
from eomd.storage.rows_file import RowBlock, RowsFile

LIMITS = ReadLimits(rows=1000, line_bytes=1 << 20)
QUERY = Order(Model.QUERY, "fish", (1001,))


def modify(
    mode: Mode = Mode.INC,
    eids: tuple[int, ...] = (1001, 1002),
    amount: int | None = None,
    duplicates: Duplicates = Duplicates.ALLOW,
) -> Order:
    return Order(Model.MODIFY, "fish", eids, mode, amount, duplicates)


class Kept:
    """Takes rows and keeps them as plain values."""

    def __init__(self) -> None:
        self.rows = 0
        self.kept: list[tuple[Any, ...]] = []

    def write(self, users: Any, amounts: Any, carried: list[Any], /) -> None:
        self.rows += len(users)
        lists = amounts.tolist() if amounts is not None else [None] * len(users)
        self.kept += zip(users.tolist(), lists, *(cells.to_pylist() for cells in carried), strict=True)


class SourceFolder:
    """A folder with one source and its rows."""

    def __init__(self, path: Path) -> None:
        self.path, self.source, self.rows = path, path / "source.csv", path / "rows.arrow"

    def read(self, data: bytes, order: Order = QUERY, limits: ReadLimits = LIMITS) -> SourceFacts:
        self.source.write_bytes(data)
        return read_source(self.source, order, limits, self.rows)

    def block(self) -> RowBlock:
        """Return all rows that were read."""
        with RowsFile.open(self.rows) as rows:
            return rows.block(0, rows.rows)

    def problems(self, data: bytes, order: Order = QUERY, limits: ReadLimits = LIMITS) -> list[Any]:
        """Return the (line, column, value, reason) of what is refused; nothing is left behind."""
        try:
            self.read(data, order, limits)
        except InvalidFileError as error:
            assert [path.name for path in self.path.iterdir()] == ["source.csv"]
            assert error.total_problems >= len(error.problems)
            return [(p.line, p.column, p.value, p.reason) for p in error.problems]
        return []

    def layout(self, data: bytes, order: Order = QUERY) -> tuple[SourceText, Layout]:
        self.source.write_bytes(data)
        text = scan_source(self.source)
        return text, find_layout(text, order, LIMITS.line_bytes)


def fast_rows(
    text: SourceText, layout: Layout, block_bytes: int, line_bytes: int = 1 << 20
) -> list[Any] | None:
    """Return what the quick pass reads; None where it calls the file not good."""
    sink = Kept()
    good = read_fast(text, layout, sink, rows_max=1000, line_bytes_max=line_bytes, block_bytes=block_bytes)
    return sink.kept if good else None


def exact_rows(
    text: SourceText, layout: Layout, line_bytes: int = 1 << 20
) -> tuple[list[Any], list[Any], int]:
    """Return rows, problems listed, and how many there are."""
    sink = Kept()
    exact = ExactPass(text, layout, sink, 1000)
    exact.read(line_bytes)
    return sink.kept, exact.problems.listed, exact.problems.total
