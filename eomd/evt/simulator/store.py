"""What all nodes of a simulated cluster share: counters, tokens and the journal that outlives the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eomd.evt.codec import I64, U32, U64, Head, Rows
from eomd.evt.simulator.counters import Counters, Outcome, blank_outcome, fill_outcome
from eomd.evt.simulator.journal import Journal, JournalBlock
from eomd.evt.simulator.settings import SimulatorSettings
from eomd.evt.simulator.tokens import TokenIndex, block_of, make_entries, place_of
from eomd.model import RowStatus


class Store:
    """Decides every row once and for all. One thread, no waiting but for the journal's write."""

    def __init__(self, folder: Path, settings: SimulatorSettings) -> None:
        """Bring back what the folder's journal tells.

        Raises FolderInUseError, or ConfigurationError for settings that make no cluster.
        """
        self._idempotent = settings.idempotent
        self._counters = Counters(settings)
        self._tokens = TokenIndex()
        self._journal = Journal(folder)
        for number, block in self._journal.replay():
            self._remember(number, block)

    def close(self) -> None:
        self._journal.close()

    def query(self, eids: tuple[int, ...], users: U64) -> Outcome:
        """Return the counters of these users."""
        return self._counters.query(eids, users)

    def modify(self, origin: bytes, head: Head, rows: Rows) -> Outcome:
        """Decide the rows in their order; what was decided is in the journal when this returns."""
        if _is_unique(rows.users) and (not self._idempotent or _is_unique(rows.index)):
            return self._modify_unique(origin, head, rows)
        outcome = blank_outcome(len(rows), len(head.eids))
        for level in _levels(rows):
            fill_outcome(outcome, level, self._modify_unique(origin, head, rows.pick(level)))
        return outcome

    def _modify_unique(self, origin: bytes, head: Head, rows: Rows) -> Outcome:
        """Decide rows of which no two have the same user or token."""
        if not self._idempotent:
            return self._decide(origin, head, rows)
        entries = self._tokens.find(origin, head.operation, rows.index)
        known = entries != 0
        if not known.any():
            return self._decide(origin, head, rows)
        outcome = blank_outcome(len(rows), len(head.eids))
        fill_outcome(outcome, known, self._repeat(entries[known], head, rows.pick(known)))
        if not known.all():
            fill_outcome(outcome, ~known, self._decide(origin, head, rows.pick(~known)))
        return outcome

    def _decide(self, origin: bytes, head: Head, rows: Rows) -> Outcome:
        if head.mode is None or rows.amounts is None:
            raise ValueError("a modify has a mode and amounts")
        outcome = self._counters.plan(head, rows)
        block = JournalBlock(
            origin,
            head.operation,
            head.mode,
            head.eids,
            rows.index,
            rows.users,
            rows.amounts,
            outcome.before,
            outcome.after,
            outcome.status,
            outcome.detail,
        )
        self._remember(self._journal.append(block), block)
        return outcome

    def _remember(self, number: int, block: JournalBlock) -> None:
        if self._idempotent:
            self._tokens.put(block.origin, block.operation, block.rows, make_entries(number, len(block.rows)))
        done = block.status == RowStatus.OK
        if done.all():
            self._counters.put(block.eids, block.users, block.after)
        elif done.any():
            self._counters.put(block.eids, block.users[done], block.after[done])

    def _repeat(self, entries: I64, head: Head, rows: Rows) -> Outcome:
        """Return the outcome of rows whose tokens were decided before."""
        outcome = blank_outcome(len(rows), len(head.eids))
        blocks = block_of(entries)
        for number in np.unique(blocks):
            where = blocks == number
            block = self._journal.read(int(number))
            fill_outcome(outcome, where, _recall(block, place_of(entries[where]), head, rows.pick(where)))
        return outcome


def _recall(block: JournalBlock, places: I64, head: Head, rows: Rows) -> Outcome:
    """Return what the block says of these rows, or that their tokens are misused."""
    outcome = blank_outcome(len(rows), len(head.eids))
    outcome.status[:] = RowStatus.TOKEN_MISUSED
    if block.eids != head.eids or block.mode is not head.mode:
        return outcome
    same = (block.users[places] == rows.users) & (block.amounts[places] == rows.amounts).all(axis=1)
    told = places[same]
    status = np.where(block.status[told] == RowStatus.OK, RowStatus.REPLAYED, block.status[told])
    first = Outcome(status.astype(np.uint8), block.detail[told], block.before[told], block.after[told])
    fill_outcome(outcome, same, first)
    return outcome


def _is_unique(values: U32 | U64) -> bool:
    if (values[1:] > values[:-1]).all():
        return True
    ordered = np.sort(values)
    return bool((ordered[1:] != ordered[:-1]).all())


def _levels(rows: Rows) -> list[NDArray[np.intp]]:
    """Part the rows so that of two with the same user or row number the later one is in a later part."""
    level_of_user: dict[int, int] = {}
    level_of_row: dict[int, int] = {}
    parts: list[list[int]] = []
    for place, (user, row) in enumerate(zip(rows.users.tolist(), rows.index.tolist(), strict=True)):
        level = max(level_of_user.get(user, -1), level_of_row.get(row, -1)) + 1
        level_of_user[user] = level_of_row[row] = level
        if level == len(parts):
            parts.append([])
        parts[level].append(place)
    return [np.array(part, np.intp) for part in parts]
