"""What a result says as a whole: rows by status, and each value column's range, mean, sum and histogram."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomd.model import RowStatus
from eomd.storage.result_reader import ResultReader

#: bars of a histogram
BINS = 20


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


def _by_eid(columns: dict[str, ColumnSummary]) -> dict[str, Any]:
    eids: dict[str, Any] = {}
    for name, column in columns.items():
        eid, _, when = name.partition("_")
        if when:
            eids.setdefault(eid, {})[when] = column.view()
        else:
            eids[eid] = column.view()
    return eids
