"""The rows of what comes of an ended operation: its plan's, those to give back, those to try again.

Block by block from the parent's rows and outcomes into a hand-in's folder, with a source that people can
read. No decisions about whether it may be done. Blocks on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eomd.durable import sync_file
from eomd.errors import FolderDamagedError
from eomd.model import Mode, Model, Order, RowStatus
from eomd.operations.admission import Filled
from eomd.storage.change_hash import ChangeHash
from eomd.storage.csv_writer import format_header, format_lines, render_cells
from eomd.storage.files import OperationFolder
from eomd.storage.outcomes import Account, OutcomeBlock, read_outcomes
from eomd.storage.rows_file import I64, U8, U64, Bools, RowBlock, RowsFile, RowsHead, RowsWriter
from eomd.storage.settlement import U32

#: what undoes a mode
INVERSE = {Mode.INC: Mode.DEC, Mode.DEC: Mode.INC, Mode.SET: Mode.RESTORE, Mode.RESTORE: Mode.RESTORE}
_OK = (RowStatus.OK, RowStatus.REPLAYED)
_NOT_DONE = (RowStatus.NOT_SENT, *(status for status in RowStatus if 10 <= status < RowStatus.UNCERTAIN))


@dataclass(frozen=True, slots=True)
class _Part:
    """n rows of the child."""

    users: U64
    #: int64[n, k]; None for a query
    amounts: I64 | None
    carried: list[Any]
    expected: I64 | None = None
    decided: tuple[U8, U8] | None = None
    #: what is changed, where `amounts` does not say it: for the hash alone
    change: I64 | None = None


def fill_commit(parent: Account, source: Path, order: Order, folder: OperationFolder) -> Filled:
    """Take over a plan's rows; those that would fail are decided. The source is the plan's own."""
    with _open(parent, order, folder, decides=True) as (outcomes, child):
        for outcome in outcomes:
            child.write(_planned(outcome, order))
    folder.source.hardlink_to(source)
    sync_file(folder.source)
    return child.filled()


def _planned(outcome: OutcomeBlock, order: Order) -> _Part:
    block = outcome.block
    decided = np.where(outcome.valued, np.uint8(RowStatus.PENDING), outcome.status)
    fixed = order.only_if_unchanged
    return _Part(
        block.users,
        outcome.after if fixed else block.amounts,
        block.carried,
        expected=outcome.before if fixed else block.expected,
        decided=(decided, outcome.detail),
        change=block.amounts,
    )


def fill_undo(parent: Account, order: Order, folder: OperationFolder) -> Filled:
    """Give back what was really applied: the difference of an inc or dec, the value before of a set.

    Raises FolderDamagedError where a result says that an inc has taken away or a dec has given.
    """
    with _open(parent, order, folder, written=True) as (outcomes, child):
        for outcome in outcomes:
            child.write(_given_back(outcome, parent.order.mode))
    return child.filled()


def _given_back(outcome: OutcomeBlock, mode: Mode | None) -> _Part:
    applied = np.isin(outcome.status, _OK)
    if mode in (Mode.SET, Mode.RESTORE):
        where = applied & outcome.valued
        block, before, after = outcome.block, outcome.before[where], outcome.after[where]
        return _Part(block.users[where], before, _pick(block.carried, where), expected=after)
    amounts = _amounts_applied(outcome, mode)[applied]
    if len(amounts) and int(amounts.min()) < 0:
        raise FolderDamagedError("its result shows changes against its mode")
    return _Part(outcome.block.users[applied], amounts, _pick(outcome.block.carried, applied))


def _amounts_applied(outcome: OutcomeBlock, mode: Mode | None) -> I64:
    """Return by how much an inc or dec has changed each value: as answered, else as it was asked for."""
    # one that was applied stayed within int64
    shown = outcome.after - outcome.before if mode is Mode.INC else outcome.before - outcome.after
    asked = outcome.block.amounts
    return shown if asked is None else np.where(outcome.valued[:, None], shown, asked)


def fill_retry(parent: Account, order: Order, folder: OperationFolder) -> Filled:
    """Take the rows that failed or were not sent, as they were asked for; not those that a plan ruled out."""
    with _open(parent, order, folder, written=True) as (outcomes, child):
        for outcome in outcomes:
            child.write(_again(outcome))
    return child.filled()


def _again(outcome: OutcomeBlock) -> _Part:
    where = np.isin(outcome.status, _NOT_DONE)
    if outcome.block.decided is not None:
        where &= outcome.block.decided == RowStatus.PENDING
    return _as_asked(outcome.block, where)


def fill_again(parent: Account, rows: U32, order: Order, folder: OperationFolder) -> Filled:
    """Take these rows, uint32[n], as they were asked for."""
    with _open(parent, order, folder, written=True) as (outcomes, child):
        for outcome in outcomes:
            index = np.arange(outcome.block.start, outcome.block.start + len(outcome), dtype=np.uint32)
            child.write(_as_asked(outcome.block, np.isin(index, rows)))
    return child.filled()


def _as_asked(block: RowBlock, where: Bools) -> _Part:
    amounts = None if block.amounts is None else block.amounts[where]
    expected = None if block.expected is None else block.expected[where]
    return _Part(block.users[where], amounts, _pick(block.carried, where), expected=expected)


def _pick(carried: list[Any], where: Bools) -> list[Any]:
    mask = pa.array(where)
    return [cells.filter(mask) for cells in carried]


class _Child:
    """Writes rows, their hash, and a source where the child has one of its own."""

    def __init__(self, writer: RowsWriter, head: RowsHead, order: Order, source: Any) -> None:
        self._writer, self._source = writer, source
        self._change = ChangeHash(order) if order.sent_mode else None
        if source is not None:
            columns = (head.user_header or "userid", *head.carried_headers, *map(str, head.eids))
            source.write(format_header(columns))

    def write(self, part: _Part) -> None:
        if not len(part.users):
            return
        self._writer.write(
            part.users, part.amounts, part.carried, expected=part.expected, decided=part.decided
        )
        if self._change is not None:
            self._count(part)
        if self._source is not None:
            self._source.write(_lines(part))

    def _count(self, part: _Part) -> None:
        assert self._change is not None
        amounts = part.amounts if part.change is None else part.change
        if part.decided is None:
            self._change.add(part.users, amounts)
            return
        sent = part.decided[0] == RowStatus.PENDING
        self._change.add(part.users[sent], None if amounts is None else amounts[sent])

    def filled(self) -> Filled:
        return Filled(self._writer.rows, self._change.hexdigest() if self._change else None)


def _lines(part: _Part) -> bytes:
    carried = [render_cells(cells, guard=False) for cells in part.carried]
    columns: list[Any] = [part.users] if part.amounts is None else [part.users, *part.amounts.T]
    users, *numbers = (pc.cast(pa.array(np.ascontiguousarray(column)), pa.string()) for column in columns)
    return bytes(format_lines([users, *carried, *numbers])) + b"\n"


@contextmanager
def _open(
    parent: Account, order: Order, folder: OperationFolder, *, decides: bool = False, written: bool = False
) -> Iterator[tuple[Iterator[OutcomeBlock], _Child]]:
    """Open the parent's rows with their outcomes, and the child's files; both are on the disk at the end."""
    with RowsFile.open(parent.rows) as rows:
        head = replace(
            rows.head,
            amount=None,
            amounts_per_row=len(order.eids) if order.model is Model.MODIFY else 0,
            expects=Mode.RESTORE in (order.mode, order.sent_mode),
            supersedes=False,
            decides=decides,
        )
        with RowsWriter(folder.rows, head) as writer, ExitStack() as files:
            source = files.enter_context(open(folder.source, "xb")) if written else None
            yield read_outcomes(parent, rows), _Child(writer, head, order, source)
    if written:
        sync_file(folder.source)
