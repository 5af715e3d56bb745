"""The proof for one hand-in: its result against its file and against what the cluster really did. Pure.

Each function returns complaints, [] where nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eomd.model import RowStatus
from tests.chaos.evidence import Applied, Past, Result
from tests.chaos.hand_ins import HandIn

#: rows named in a complaint
_SAMPLE = 5


def check_rows(asked: HandIn, result: Result, idempotent: bool) -> Iterator[str]:
    """The result has a line for each of the file's, in order, with a status that can be."""
    if len(result.users) != len(asked.users) or (result.users != asked.users).any():
        yield "the result's users are not the file's, in order"
        return
    allowed = result.status == asked.expected()
    if not idempotent or asked.cancelled:
        allowed |= (result.status == RowStatus.UNCERTAIN) & (asked.mode is not None)
    if asked.cancelled:
        allowed |= result.status == RowStatus.NOT_SENT
    yield from _name(~allowed, "a status that cannot be", result)


def check_applied(asked: HandIn, result: Result, applied: Applied | None) -> Iterator[str]:
    """What the result says was done is what was done, once and as it was asked."""
    if applied is None:
        yield from _name(result.status == RowStatus.OK, "OK, and the cluster knows nothing of it", result)
        return
    if (applied.mode, applied.eids) != (asked.mode, asked.eids) or (
        len(applied.rows) and applied.rows.max() >= len(asked.users)
    ):
        yield f"the cluster did something else: {applied.mode} of {applied.eids}"
        return
    times = np.bincount(applied.rows, minlength=len(asked.users))
    yield from _name(times > 1, "done more than once", result)
    yield from _name((times == 0) & (result.status == RowStatus.OK), "OK, and never done", result)
    done_unsaid = (result.status != RowStatus.OK) & (result.status != RowStatus.UNCERTAIN)
    yield from _name((times > 0) & done_unsaid, "done, and reported as not done", result)
    yield from _check_values(asked, result, applied)


def _check_values(asked: HandIn, result: Result, applied: Applied) -> Iterator[str]:
    assert asked.amounts is not None
    rows = applied.rows
    other = (applied.users != asked.users[rows]) | (applied.amounts != asked.amounts[rows][:, None]).any(
        axis=1
    )
    yield from _name(_spread(other, rows, len(asked.users)), "done for another user or amount", result)
    told = result.status[rows] == RowStatus.OK
    wrong = (result.before[rows] != applied.before) | (result.after[rows] != applied.after)
    yield from _name(_spread(told & wrong.any(axis=1), rows, len(asked.users)), "another's values", result)


def check_query(asked: HandIn, result: Result, past: Past) -> Iterator[str]:
    """Each value is one that the user's counter had."""
    ok = result.status == RowStatus.OK
    for column, eid in enumerate(asked.eids):
        had = past.had(eid, result.users[ok], result.before[ok, column])
        wrong = np.zeros(len(ok), np.bool_)
        wrong[ok] = ~had
        yield from _name(wrong, f"a value that counter {eid} never had", result)


def _spread(where: NDArray[np.bool_], rows: NDArray[np.uint32], n: int) -> NDArray[np.bool_]:
    """Return marks on things done as marks on the rows they were done for."""
    marked = np.zeros(n, np.bool_)
    marked[rows[where]] = True
    return marked


def _name(where: NDArray[np.bool_], what: str, result: Result) -> Iterator[str]:
    found = np.flatnonzero(where)
    if len(found):
        sample = ", ".join(
            f"row {row} user {result.users[row]} {RowStatus(int(result.status[row])).name}"
            for row in found[:_SAMPLE]
        )
        yield f"{len(found)} rows: {what} ({sample})"
