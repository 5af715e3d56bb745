"""What an operation is held up for to look again: its canary before the rest, its read-back after all.

Says how far rows may be loaded, and what reading back has come to; the runner stops or goes on.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from eomd.evt.cluster import Cluster
from eomd.model import Counts, Model, Operation, Verify
from eomd.operations.keeper import Keeper
from eomd.operations.read_back import Found, ReadBack
from eomd.storage.rows_file import RowsFile

log = logging.getLogger(__name__)


class SecondLook:
    """Of one operation. `result` is where its rows stand on the disk, which must have them all."""

    def __init__(self, operation: Operation, keeper: Keeper, line_bytes_max: int, *, passed: bool) -> None:
        order, total = operation.order, operation.counts.total
        self._operation, self._keeper = operation, keeper
        self._wait = order.canary_wait
        self._back = ReadBack(operation, keeper, line_bytes_max)
        modifies = order.model is Model.MODIFY and not order.dry_run
        #: rows from here on are not loaded before the canary has passed; None: no such row
        self.bar = order.canary_rows if modifies and not passed and 0 < order.canary_rows < total else None
        self.verifies = modifies and order.verify is not Verify.NONE

    def cut(self, start: int, stop: int) -> int:
        """Return where rows loaded from `start` on must end, so that the canary is whole segments."""
        return stop if self.bar is None or start >= self.bar else min(stop, self.bar)

    def pass_canary(self) -> None:
        """A person lets the others go on."""
        self.bar = None

    async def look_at_canary(
        self, cluster: Cluster, rows: RowsFile, result: Path, stopping: asyncio.Event, counts: Counts
    ) -> str | None:
        """Return why the others must wait; None where they need not, or where it is to stop first."""
        try:
            found = await self._back.run(cluster, rows, result, stopping)
        except (OSError, ValueError) as error:
            return f"the canary could not be read back: {error}"
        if found is None:
            return None
        bad = counts.done - counts.ok
        told = f"the canary's {self.bar:,} rows: {bad:,} failed or uncertain; {found}"
        if bad or not found.same or self._wait:
            return f"{told}; resume it to go on, or cancel it"
        await self._keeper.tell(self._operation, told)
        self.bar = None
        return None

    async def verify(
        self, cluster: Cluster, rows: RowsFile, result: Path, stopping: asyncio.Event
    ) -> str | None:
        """Read back and put the report into the operation's folder; return what it says in a sentence.

        None where it is to stop first.
        """
        report = self._keeper.folder.verify
        try:
            found: Found | None = await self._back.run(cluster, rows, result, stopping, report=report)
        except (OSError, ValueError) as error:
            # what was changed has been changed, whether anybody can look at it or not
            log.error("not read back: %s", error, extra={"operation": self._operation.id})
            report.unlink(missing_ok=True)
            return f"could not be read back: {error}"
        return None if found is None else str(found)
