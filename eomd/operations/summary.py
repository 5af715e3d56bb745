"""What a result says as a whole: rows by status, and each value column's range, mean, sum and histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomd.model import RowStatus
from eomd.storage.doubled_users import find_doubled
from eomd.storage.result_reader import ResultReader
from eomd.storage.rows_file import U64

#: bars of a histogram
BINS = 20
#: rows of a plan that are listed for each EID
LARGEST_MAX = 10


class ColumnSummary:
    """Statistics of one value column, taken in two passes: first the range, then the histogram."""

    def __init__(self) -> None:
        self.rows = 0
        self.minimum: int | None = None
        self.maximum: int | None = None
        self.sum = 0
        self.bars = np.zeros(BINS, np.int64)

    def measure(self, values: NDArray[np.int64]) -> None:
        if not len(values):
            return
        low, high = int(values.min()), int(values.max())
        self.minimum = low if self.minimum is None else min(low, self.minimum)
        self.maximum = high if self.maximum is None else max(high, self.maximum)
        self.sum += exact_sum(values)
        self.rows += len(values)

    def count(self, values: NDArray[np.int64]) -> None:
        if not self.rows:
            return
        inner = np.array(self._edges()[1:-1], np.int64)
        self.bars += np.bincount(np.searchsorted(inner, values, side="right"), minlength=BINS)

    def _edges(self) -> list[int]:
        """Return BINS + 1 whole numbers; a bar holds its lower one, the last bar both."""
        assert self.minimum is not None and self.maximum is not None
        width = self.maximum - self.minimum
        return [self.minimum + -(-width * step // BINS) for step in range(BINS + 1)]

    def view(self) -> dict[str, Any]:
        """Return the statistics; all null where no row has a value."""
        histogram = None
        if self.rows:
            histogram = {"edges": self._edges(), "counts": self.bars.tolist()}
        mean = self.sum / self.rows if self.rows else None
        ranges = {"min": self.minimum, "max": self.maximum, "mean": mean, "sum": self.sum}
        return {"rows": self.rows, **ranges, "histogram": histogram}


def exact_sum(values: NDArray[np.int64]) -> int:
    """Sum int64 values without overflow."""
    high, low = values >> 32, values & 0xFFFFFFFF
    return (int(high.sum()) << 32) + int(low.sum())


def summarize(reader: ResultReader) -> dict[str, Any]:
    """Return {statuses: {name: rows}, eids: {eid: statistics, or {before, after}}}. Blocks."""
    statuses: Counter[str] = Counter()
    columns = {name: ColumnSummary() for name in reader.value_columns}
    for block in reader.scan():
        for status, rows in enumerate(np.bincount(block.status, minlength=256).tolist()):
            if rows:
                statuses[RowStatus(status).result_name] += rows
        for position, column in enumerate(columns.values()):
            column.measure(block.values[block.valued, position])
    for block in reader.scan():
        for position, column in enumerate(columns.values()):
            column.count(block.values[block.valued, position])
    return {"statuses": dict(statuses), "eids": _by_eid(columns)}


def summarize_plan(reader: ResultReader, users: Callable[[], Iterable[U64]]) -> dict[str, Any]:
    """Return what a dry run's result says would be changed. Blocks.

    {rows: {change, same, fail, superseded}, doubled_users, eids: {eid: {up, down, largest}}}; `largest` are
    the rows of the largest changes: {row, user, before, after}.
    """
    eids = [int(name.partition("_")[0]) for name in reader.value_columns[::2]]
    changes = {eid: _Changes() for eid in eids}
    rows = {"change": 0, "same": 0, "fail": 0, "superseded": 0}
    start = 0
    for block in reader.scan_named(eids):
        before, after = block.values[:, 0::2], block.values[:, 1::2]
        changing = int(np.count_nonzero((before != after).any(axis=1)))
        superseded = int(np.count_nonzero(block.status == RowStatus.SUPERSEDED))
        rows["change"] += changing
        rows["same"] += int(np.count_nonzero(block.valued)) - changing
        rows["superseded"] += superseded
        rows["fail"] += int(np.count_nonzero(~block.valued)) - superseded
        for position, change in enumerate(changes.values()):
            change.count(start, block.users, before[:, position], after[:, position])
        start += len(block.users)
    doubled = len(find_doubled(users, start))
    return {
        "rows": rows,
        "doubled_users": doubled,
        "eids": {str(eid): change.view() for eid, change in changes.items()},
    }


class _Changes:
    """What would become of one counter, of all users together."""

    def __init__(self) -> None:
        self._up = self._down = 0
        self._largest: list[tuple[int, dict[str, int]]] = []

    def count(self, start: int, users: U64, before: NDArray[np.int64], after: NDArray[np.int64]) -> None:
        up = after > before
        # a difference may need the 64th bit
        old, new = before.view(np.uint64), after.view(np.uint64)
        sizes = np.where(up, new - old, old - new)
        self._up += exact_sum_unsigned(sizes[up])
        self._down += exact_sum_unsigned(sizes[~up])
        for place in np.argsort(sizes, kind="stable")[-LARGEST_MAX:]:
            row = {"row": start + place, "user": users[place], "before": before[place], "after": after[place]}
            self._largest.append((int(sizes[place]), {name: int(value) for name, value in row.items()}))
        self._largest.sort(key=lambda pair: (-pair[0], pair[1]["row"]))
        del self._largest[LARGEST_MAX:]

    def view(self) -> dict[str, Any]:
        largest = [row for size, row in self._largest if size]
        return {"up": self._up, "down": self._down, "largest": largest}


def exact_sum_unsigned(values: NDArray[np.uint64]) -> int:
    """Sum uint64 values without overflow."""
    low = int((values & np.uint64(0xFFFFFFFF)).sum())
    return (int((values >> np.uint64(32)).sum()) << 32) + low


def _by_eid(columns: dict[str, ColumnSummary]) -> dict[str, Any]:
    eids: dict[str, Any] = {}
    for name, column in columns.items():
        eid, _, when = name.partition("_")
        if when:
            eids.setdefault(eid, {})[when] = column.view()
        else:
            eids[eid] = column.view()
    return eids
