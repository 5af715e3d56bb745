"""What was asked for each row of an ended operation, and what became of it: its rows and its result, paired.

Both are held against each other row by row, so that no outcome is ever taken for another user's. Blocking;
constant memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from eomd.errors import FolderDamagedError
from eomd.model import NO_DETAIL, Order, RowStatus
from eomd.storage.result_reader import NamedBlock, ResultReader
from eomd.storage.rows_file import I64, U8, Bools, RowBlock, RowsFile
from eomd.storage.settlement import Settlement, Verdict


@dataclass(frozen=True, slots=True)
class Account:
    """Where an ended operation has its rows and their outcomes."""

    order: Order
    rows: Path
    #: None where there is no result
    result: Path | None
    #: the result's rows end before the rows do: those from here on were surely not sent
    unsent_from: int
    #: bytes in a line of the source at most
    line_bytes_max: int
    #: what a person has decided about uncertain rows
    settlement: Settlement = field(default_factory=Settlement.none)


@dataclass(frozen=True, slots=True)
class OutcomeBlock:
    """n neighbouring rows and what became of them."""

    block: RowBlock
    #: uint8[n], never PENDING
    status: U8
    #: uint8[n]
    detail: U8
    #: bool[n]: `before` and `after` are known
    valued: Bools
    #: int64[n, k], 0 where unknown; the values of a query
    before: I64
    #: int64[n, k], 0 where unknown, and for a query
    after: I64

    def __len__(self) -> int:
        return len(self.block)


def read_outcomes(account: Account, rows: RowsFile) -> Iterator[OutcomeBlock]:
    """Yield all rows with their outcomes, in order; uncertain rows as they were settled.

    Settled as applied they are OK, as not applied NOT_SENT, and SUPERSEDED where they were sent again.
    Raises FolderDamagedError where result and rows do not belong together, OSError.
    """
    for block in _read(account, rows):
        start = block.block.start
        settled = account.settlement.between(start, start + len(block))
        yield _settle(block, settled) if len(settled.rows) else block


def _read(account: Account, rows: RowsFile) -> Iterator[OutcomeBlock]:
    done = 0
    try:
        for found in _scan(account):
            for part in _cut(rows, done, len(found.users)):
                yield _pair(
                    rows.block(part.start, part.stop), found, slice(part.start - done, part.stop - done)
                )
            done += len(found.users)
        for part in _cut(rows, done, rows.rows - done):
            yield _unnamed(account, rows.block(part.start, part.stop))
    except (ValueError, KeyError, OverflowError, pa.ArrowException) as error:
        raise FolderDamagedError(f"its rows or its result are not as they were written: {error}") from error


def _scan(account: Account) -> Iterator[NamedBlock]:
    if account.result is None:
        return iter(())
    return ResultReader(account.result, account.line_bytes_max).scan_named(account.order.eids)


def _cut(rows: RowsFile, start: int, count: int) -> Iterator[range]:
    stop = start + count
    if stop > rows.rows:
        raise ValueError("the result has more rows than there were")
    while start < stop:
        end = rows.cut(start, stop)
        yield range(start, end)
        start = end


def _pair(block: RowBlock, found: NamedBlock, place: slice) -> OutcomeBlock:
    if (found.users[place] != block.users).any():
        raise ValueError("the result is of other users")
    values = found.values[place]
    modify = block.amounts is not None
    before, after = (values[:, 0::2], values[:, 1::2]) if modify else (values, np.zeros_like(values))
    return OutcomeBlock(block, found.status[place], found.detail[place], found.valued[place], before, after)


def _unnamed(account: Account, block: RowBlock) -> OutcomeBlock:
    """Rows that no result speaks of: not sent, or nobody knows."""
    n, k = len(block), len(account.order.eids)
    index = np.arange(block.start, block.start + n)
    unsure = RowStatus.UNCERTAIN if account.order.sent_mode else RowStatus.NOT_SENT
    status = np.where(index < account.unsent_from, np.uint8(unsure), np.uint8(RowStatus.NOT_SENT))
    none = np.zeros((n, k), np.int64)
    return OutcomeBlock(block, status, np.full(n, NO_DETAIL, np.uint8), np.zeros(n, np.bool_), none, none)


_SETTLED = np.zeros(max(Verdict) + 1, np.uint8)
_SETTLED[Verdict.APPLIED] = RowStatus.OK
_SETTLED[Verdict.NOT_APPLIED] = RowStatus.NOT_SENT
_SETTLED[Verdict.SEND_AGAIN] = RowStatus.SUPERSEDED


def _settle(outcome: OutcomeBlock, settled: Settlement) -> OutcomeBlock:
    """Replace what nobody knew by what was decided; values where the row itself says what they must be."""
    block, place = outcome.block, settled.rows.astype(np.intp) - outcome.block.start
    status = outcome.status.copy()
    status[place] = _SETTLED[settled.verdicts]
    if block.expected is None or block.amounts is None:
        return replace(outcome, status=status)
    applied = place[settled.verdicts == Verdict.APPLIED]
    valued, before, after = outcome.valued.copy(), outcome.before.copy(), outcome.after.copy()
    valued[applied], before[applied], after[applied] = True, block.expected[applied], block.amounts[applied]
    return replace(outcome, status=status, valued=valued, before=before, after=after)
