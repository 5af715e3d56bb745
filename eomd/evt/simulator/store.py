"""What all nodes of a simulated cluster share: counters, tokens and the journal that outlives the process."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eomd.evt.codec import I64, U32, U64, Head, Rows
from eomd.evt.simulator.counters import Counters, Outcome, blank_outcome, fill_outcome
from eomd.evt.simulator.journal import Journal, JournalBlock
from eomd.evt.simulator.settings import SimulatorSettings
from eomd.evt.simulator.snapshot import Snapshot, read_snapshot, write_snapshot
from eomd.evt.simulator.tokens import TokenIndex, block_of, make_entries, place_of
from eomd.model import RowStatus

#: a snapshot is taken when so much of the journal would have to be read at a start: at a start or an end,
#: and in between, where everybody waits for it
SNAPSHOT_BYTES_IDLE = 16 * 1024 * 1024
SNAPSHOT_BYTES_BUSY = 1024 * 1024 * 1024

_logger = logging.getLogger(__name__)


class Store:
    """Decides every row once and for all. One thread, no waiting but for the journal's write."""

    def __init__(self, folder: Path, settings: SimulatorSettings) -> None:
        """Bring back what the folder's journal tells.

        Raises FolderInUseError, JournalDamagedError, or ConfigurationError for settings that make no cluster.
        """
        self._folder = folder
        self._counters = Counters(settings)
        self._tokens = TokenIndex()
        self._journal = Journal(folder)
        #: of the last snapshot: what it spares of the journal, and its own size, in bytes
        self._spared = self._snapshot_bytes = 0
        #: the disk takes nothing; said once
        self._is_full = False
        try:
            self._restore()
        except BaseException:
            self._journal.close()
            raise
        self._take_snapshot(SNAPSHOT_BYTES_IDLE)

    def close(self) -> None:
        self._take_snapshot(SNAPSHOT_BYTES_IDLE)
        self._journal.close()

    def query(self, eids: tuple[int, ...], users: U64) -> Outcome:
        """Return the counters of these users."""
        return self._counters.query(eids, users)

    def modify(self, origin: bytes, head: Head, rows: Rows, idempotent: bool = True) -> Outcome:
        """Decide the rows in their order; what was decided is in the journal when this returns.

        Without `idempotent` tokens are neither asked for nor remembered. Rows that the journal cannot take
        are INTERNAL, not done.
        """
        if _is_unique(rows.users) and (not idempotent or _is_unique(rows.index)):
            return self._modify_unique(origin, head, rows, idempotent)
        outcome = blank_outcome(len(rows), len(head.eids))
        for level in _levels(rows):
            fill_outcome(outcome, level, self._modify_unique(origin, head, rows.pick(level), idempotent))
        return outcome

    def _modify_unique(self, origin: bytes, head: Head, rows: Rows, idempotent: bool) -> Outcome:
        """Decide rows of which no two have the same user or token."""
        if not idempotent:
            return self._decide(origin, head, rows, idempotent)
        entries = self._tokens.find(origin, head.operation, rows.index)
        known = entries != 0
        if not known.any():
            return self._decide(origin, head, rows, idempotent)
        outcome = blank_outcome(len(rows), len(head.eids))
        fill_outcome(outcome, known, self._repeat(entries[known], head, rows.pick(known)))
        if not known.all():
            fill_outcome(outcome, ~known, self._decide(origin, head, rows.pick(~known), idempotent))
        return outcome

    def _decide(self, origin: bytes, head: Head, rows: Rows, idempotent: bool) -> Outcome:
        if head.mode is None or rows.amounts is None:
            raise ValueError("a modify has a mode and amounts")
        outcome = self._counters.plan(head, rows)
        block = JournalBlock(
            origin,
            head.operation,
            head.mode,
            head.eids,
            idempotent,
            rows.index,
            rows.users,
            rows.amounts,
            outcome.before,
            outcome.after,
            outcome.status,
            outcome.detail,
        )
        try:
            number = self._journal.append(block)
        except OSError as error:
            return self._fail(error, outcome)
        self._is_full = False
        self._remember(number, block)
        self._take_snapshot(SNAPSHOT_BYTES_BUSY)
        return outcome

    def _fail(self, error: OSError, outcome: Outcome) -> Outcome:
        if not self._is_full:
            _logger.error("the journal cannot be written, rows end as INTERNAL: %s", error)
        self._is_full = True
        failed = blank_outcome(*outcome.before.shape)
        failed.status[:] = RowStatus.INTERNAL
        return failed

    def _remember(self, number: int, block: JournalBlock) -> None:
        if block.idempotent:
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

    def _restore(self) -> None:
        if snapshot := read_snapshot(self._folder, self._counters.layout):
            self._journal.skip(snapshot.starts, snapshot.end)
            self._counters.load(snapshot.values)
            self._tokens.load(snapshot.origins, snapshot.operations, snapshot.numbers, snapshot.entries)
            self._spared, self._snapshot_bytes = self._journal.reading_bytes, snapshot.nbytes
        for number, block in self._journal.replay():
            self._remember(number, block)

    def _take_snapshot(self, bytes_min: int) -> None:
        """Write a snapshot where that much would have to be read, and more than the snapshot itself."""
        if self._journal.reading_bytes - self._spared < max(bytes_min, self._snapshot_bytes):
            return
        counters, journal = self._counters, self._journal
        snapshot = Snapshot(
            counters.layout, journal.starts, journal.end, counters.values, *self._tokens.export()
        )
        try:
            write_snapshot(self._folder, snapshot)
        except OSError as error:
            _logger.warning("no snapshot: %s", error)
        self._spared, self._snapshot_bytes = journal.reading_bytes, snapshot.nbytes


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
