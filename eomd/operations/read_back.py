"""Reading back what a modify has left: the result's `after` beside what the cluster says now.

It goes by what is on the disk, and so may start again after any crash. It judges nothing: players go on
playing, and a value that is another one now need not be wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eomd.evt.cluster import Cluster
from eomd.evt.codec import U64
from eomd.model import Duplicates, Operation, RowStatus, Verify
from eomd.operations.keeper import Keeper
from eomd.operations.reading import Reading
from eomd.storage.doubled_users import find_doubled, users_of
from eomd.storage.result_reader import ResultReader, ScanBlock
from eomd.storage.rows_file import RowsFile
from eomd.storage.verify_writer import Differences, VerifyWriter

#: rows of a sample, spread over the file
SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """What reading back has come to, in rows."""

    read: int = 0
    #: of those, with another value now
    differ: int = 0
    #: that were to be read, and could not
    unread: int = 0

    @property
    def same(self) -> bool:
        return not self.differ and not self.unread

    def __str__(self) -> str:
        rows = f"{self.read:,} rows were read back"
        told = f"{self.differ:,} are different now" if self.differ else "all are as they were left"
        return f"{rows}: {told}" + (f"; {self.unread:,} could not be read" if self.unread else "")

    def plus(self, differences: Differences, asked: int) -> Found:
        unread = int(np.count_nonzero(~differences.read))
        differ = len(differences.index) - unread
        return Found(self.read + asked - unread, self.differ + differ, self.unread + unread)


class ReadBack:
    """Of one operation that has rows on the disk."""

    def __init__(self, operation: Operation, keeper: Keeper, line_bytes_max: int) -> None:
        self._operation, self._order, self._keeper = operation, operation.order, keeper
        self._line_bytes_max = line_bytes_max

    async def run(
        self, cluster: Cluster, rows: RowsFile, result: Path, stopping: asyncio.Event, *,
        report: Path | None = None,
    ) -> Found | None:  # fmt: skip
        """Read back the rows that the result holds; None where it is to stop first.

        With a report, every difference goes there, and a sample is enough where the order says so.
        """
        step = max(1, rows.rows // SAMPLE_ROWS) if report and self._order.verify is Verify.SAMPLE else 1
        doubled = await self._keeper.in_thread(self._find_doubled, rows.rows)
        writer = await self._keeper.on_disk(VerifyWriter, report, self._order.eids) if report else None
        try:
            found = await self._go_through(
                cluster, _Chosen(rows, result, self, doubled, step), stopping, writer
            )
            if found is not None and writer is not None:
                await self._keeper.on_disk(writer.sync)
        finally:
            if writer is not None:
                await self._keeper.in_thread(writer.close)
        return found

    async def _go_through(
        self, cluster: Cluster, chosen: _Chosen, stopping: asyncio.Event, writer: VerifyWriter | None
    ) -> Found | None:
        found, blocks = Found(), iter(chosen)
        while (block := await self._keeper.in_thread(next, blocks, None)) is not None:
            reading = Reading(block.users, self._order.eids, self._operation.number or 0)
            if not await reading.run(cluster, stopping):
                return None
            differences = _compare(block, reading)
            found = found.plus(differences, len(block.users))
            if writer is not None and len(differences.index):
                await self._keeper.on_disk(writer.write, differences)
        return found

    def reader(self, result: Path) -> ResultReader:
        return ResultReader(result, self._line_bytes_max)

    def _find_doubled(self, rows: int) -> U64:
        """Return the users with several rows: what one of those left, the next one may have changed."""
        if self._order.duplicates is not Duplicates.ALLOW:
            return np.zeros(0, np.uint64)
        return find_doubled(lambda: users_of(self._keeper.folder.rows), rows)


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows to be read back: their numbers, users uint64[n] and what they were left at, int64[n, k]."""

    index: NDArray[np.int64]
    users: U64
    after: NDArray[np.int64]


class _Chosen:
    """The rows of a result that have values and were asked for. Iterating blocks on the disk."""

    def __init__(self, rows: RowsFile, result: Path, back: ReadBack, doubled: U64, step: int) -> None:
        self._rows, self._doubled, self._step = rows, doubled, step
        self._reader = back.reader(result)

    def __iter__(self) -> Iterator[_Block]:
        start = 0
        for block in self._reader.scan():
            chosen = self._choose(start, block)
            start += len(block.status)
            if len(chosen.index):
                yield chosen

    def _choose(self, start: int, block: ScanBlock) -> _Block:
        users = self._rows.block(start, start + len(block.status)).users
        wanted = block.valued & ~np.isin(users, self._doubled)
        wanted &= (np.arange(start, start + len(users)) % self._step) == 0
        place = np.flatnonzero(wanted)
        # before and after stand in turns
        return _Block(place + start, users[place], block.values[place, 1::2])


def _compare(block: _Block, reading: Reading) -> Differences:
    read = reading.status <= RowStatus.REPLAYED
    other = ~read | (reading.values != block.after).any(axis=1)
    return Differences(
        index=block.index[other],
        users=block.users[other],
        status=reading.status[other],
        read=read[other],
        after=block.after[other],
        now=reading.values[other],
    )
