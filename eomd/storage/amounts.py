"""How much a modify changes in all: its amounts summed up, straight from `rows.arrow`. Blocks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eomd.storage.rows_file import RowBlock, RowsFile


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts without their signs; for a restore, how far each value is moved."""

    #: over all rows that are sent and all EIDs
    total: int
    #: of one row and EID
    largest: int


def measure_amounts(rows_path: Path) -> Amounts:
    """Raises OSError, pyarrow.ArrowInvalid where the file is not whole."""
    total = largest = 0
    with RowsFile.open(rows_path) as rows:
        for block in rows.blocks():
            sizes = _sizes(block)
            if sizes.size:
                total += _exact_sum(sizes)
                largest = max(largest, int(sizes.max()))
    return Amounts(total, largest)


def _sizes(block: RowBlock) -> NDArray[np.uint64]:
    """Return uint64[n, k] of the rows that are sent."""
    if block.amounts is None:
        return np.zeros((0, 0), np.uint64)
    if block.expected is None:
        # the smallest int64 has no positive one, but as bits it is its own
        sizes = np.abs(block.amounts).view(np.uint64)
    else:
        higher = np.maximum(block.amounts, block.expected).astype(np.uint64)
        sizes = higher - np.minimum(block.amounts, block.expected).astype(np.uint64)
    return sizes if block.superseded is None else sizes[~block.superseded]


def _exact_sum(values: NDArray[np.uint64]) -> int:
    high, low = values >> np.uint64(32), values & np.uint64(0xFFFFFFFF)
    return (int(high.sum()) << 32) + int(low.sum())
