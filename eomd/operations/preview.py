"""What a modify would do to values just read: the arithmetic of a dry run, on columns. No I/O.

Each row is judged by itself from the value read for it: of a user that stands in a file twice both rows
show the change from today's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from eomd.evt.codec import I64, U8
from eomd.model import NO_DETAIL, VALUE_MAX, VALUE_MIN, EidDefinition, Mode, RowStatus


class Asked(NamedTuple):
    """What n rows ask for."""

    mode: Mode
    #: int64[n, k]
    amounts: I64
    #: int64[n, k], what must be found; a restore's alone
    expected: I64 | None = None


def compute_after(mode: Mode, values: I64, amounts: I64) -> tuple[I64, np.ndarray]:
    """Return (after int64[n,k], overflowed bool[n,k]); where it overflowed `after` means nothing."""
    if mode in (Mode.SET, Mode.RESTORE):
        return amounts.copy(), np.zeros(values.shape, bool)
    if mode is Mode.INC:
        return values + amounts, values > VALUE_MAX - amounts
    return values - amounts, values < VALUE_MIN + amounts


def preview(
    asked: Asked, eids: Sequence[int], definitions: Mapping[int, EidDefinition], answer: tuple[U8, U8, I64]
) -> tuple[U8, U8, I64, I64]:
    """Turn a query's answer (status, detail, values) into what a modify would have answered.

    Returns status uint8[n], detail uint8[n], before and after int64[n,k]; both are 0 where the row fails.
    """
    status, detail, values = answer[0].copy(), answer[1].copy(), answer[2]
    after, refused = compute_after(asked.mode, values, asked.amounts)
    for column, eid in enumerate(eids):
        definition = definitions.get(eid)
        if definition is None:
            continue
        if definition.minimum is not None:
            refused[:, column] |= after[:, column] < definition.minimum
        if definition.maximum is not None:
            refused[:, column] |= after[:, column] > definition.maximum
    locked = [
        column for column, eid in enumerate(eids) if eid in definitions and not definitions[eid].editable
    ]
    open_ = status <= RowStatus.REPLAYED
    if locked:
        status[open_], detail[open_] = RowStatus.READ_ONLY, locked[0]
    if asked.expected is not None:
        _fail(status, detail, values != asked.expected, RowStatus.CONFLICT)
    _fail(status, detail, refused, RowStatus.OUT_OF_RANGE)
    failed = status > RowStatus.REPLAYED
    return status, detail, np.where(failed[:, None], 0, values), np.where(failed[:, None], 0, after)


def _fail(status: U8, detail: U8, refused: np.ndarray, failure: RowStatus) -> None:
    hit = (status <= RowStatus.REPLAYED) & refused.any(axis=1)
    status[hit] = failure
    detail[hit] = np.argmax(refused[hit], axis=1)


def no_detail(count: int) -> U8:
    """Return `detail` for rows that no counter decided."""
    return np.full(count, NO_DETAIL, np.uint8)
