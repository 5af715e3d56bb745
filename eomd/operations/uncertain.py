"""The uncertain rows of an ended operation as columns, and what a verdict makes of them. Reading blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eomd.errors import FieldProblem, InvalidConfigError
from eomd.evt.codec import I64, U32, U64
from eomd.model import Counts, Mode, Operation, RowStatus
from eomd.operations.accounts import refusal
from eomd.storage.outcomes import Account, OutcomeBlock, read_outcomes
from eomd.storage.rows_file import Bools, RowsFile
from eomd.storage.settlement import Settlement, Verdict


@dataclass(frozen=True, slots=True)
class UncertainRows:
    """n rows of which nobody knows what became of them."""

    #: uint32[n], sorted
    rows: U32
    #: uint64[n]
    users: U64
    #: int64[n, k], as asked for; of a commit by restore the values after
    amounts: I64
    #: bool[n]: `before` is known, from the plan
    planned: Bools
    #: int64[n, k]
    before: I64
    #: int64[n, k], the would-be values; known where `planned`, and for a set
    after: I64


def collect(account: Account, plan: Account | None) -> UncertainRows:
    """Return them all, settled ones too; plan: the dry run that the operation has carried out.

    Raises FolderDamagedError, OSError.
    """
    with RowsFile.open(account.rows) as rows:
        unsettled = replace(account, settlement=Settlement.none())
        parts = [_pick(block) for block in read_outcomes(unsettled, rows)]
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = UncertainRows(*columns)
    return found if plan is None or not len(found.rows) else _add_plan(found, plan)


def _pick(outcome: OutcomeBlock) -> tuple[U32, U64, I64, Bools, I64, I64]:
    block = outcome.block
    where = np.flatnonzero(outcome.status == RowStatus.UNCERTAIN)
    assert block.amounts is not None
    amounts = block.amounts[where]
    planned = np.full(len(where), block.expected is not None)
    before = np.zeros_like(amounts) if block.expected is None else block.expected[where]
    return (where + block.start).astype(np.uint32), block.users[where], amounts, planned, before, amounts


def _add_plan(found: UncertainRows, plan: Account) -> UncertainRows:
    """Add what the plan's result says of the same rows."""
    planned, before, after = found.planned.copy(), found.before.copy(), found.after.copy()
    with RowsFile.open(plan.rows) as rows:
        for outcome in read_outcomes(plan, rows):
            start = outcome.block.start
            first, end = np.searchsorted(found.rows, [start, start + len(outcome)])
            here, there = slice(first, end), found.rows[first:end].astype(np.intp) - start
            planned[here] = outcome.valued[there]
            before[here], after[here] = outcome.before[there], outcome.after[there]
    return replace(found, planned=planned, before=before, after=after)


def decide(
    operation: Operation,
    found: UncertainRows,
    settlement: Settlement,
    asked: Sequence[int] | None,
    verdict: Verdict,
) -> tuple[Settlement, U32, int]:
    """Return (what is decided then, the rows decided now, the batch that sends the rows again or 0).

    asked: row numbers, None for all that are open. Raises InvalidConfigError for rows that are not uncertain,
    WrongStateError where another verdict stands, or there is nothing to decide.
    """
    wanted = found.rows if asked is None else np.unique(np.array(asked, np.uint32))
    _check_uncertain(wanted, found)
    decided = settlement.of(wanted)
    still_open = wanted[~settlement.knows(wanted)]
    others = decided.verdicts != verdict
    if asked is None and not len(still_open) and (not len(decided.rows) or others.all()):
        raise refusal(operation, "settle", "it has no uncertain rows that are open")
    if asked is not None and others.any():
        row, earlier = int(decided.rows[others][0]), Verdict(int(decided.verdicts[others][0]))
        raise refusal(operation, "settle", f"row {row} is settled as {earlier.word}")
    if not len(still_open):
        return settlement, still_open, decided.last_batch
    settlement = settlement.add(still_open, verdict)
    return settlement, still_open, settlement.of(still_open).last_batch


def _check_uncertain(wanted: U32, found: UncertainRows) -> None:
    strange = wanted[~np.isin(wanted, found.rows)]
    if len(strange):
        raise InvalidConfigError([FieldProblem("rows", f"row {int(strange[0])} is not uncertain")])


def recount(counts: Counts, settlement: Settlement) -> Counts:
    """Return the counts of an operation's end as verdicts have changed them.

    Rows that no result names were not counted as uncertain; they count once they are decided.
    """
    applied, decided = settlement.count(Verdict.APPLIED), len(settlement.rows)
    uncertain = max(0, counts.uncertain - decided)
    ok, failed = counts.ok + applied, counts.failed + decided - applied
    return replace(counts, done=ok + failed + uncertain, ok=ok, failed=failed, uncertain=uncertain)


def knows_after(found: UncertainRows, mode: Mode | None) -> Bools:
    """Tell which rows' would-be values are known: bool[n]."""
    return found.planned | (mode is Mode.SET)
