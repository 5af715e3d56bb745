"""What is removed of dropped files when it is old: those taken and refused, and answers that nobody fetched.

A file in `.taken` goes only once it is an operation: until then it is all there is of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from eomd.inbox_layout import PROBLEMS, hand_in_of, parse_taken_time
from eomd.operations.dropped_files import DroppedFiles
from eomd.operations.tools import Tools
from eomd.storage.ledger import Ledger

#: hand-ins asked about in one go
TOGETHER = 500

T = TypeVar("T")


class DroppedRetention:
    """Beside Retention, for what stands in inbox and outbox."""

    def __init__(self, ledger: Ledger, files: DroppedFiles, outbox: Path, tools: Tools) -> None:
        self._ledger, self._files, self._outbox, self._tools = ledger, files, outbox, tools

    async def retire(self, before: datetime) -> None:
        """Remove what is older. Raises LedgerUnavailableError, OSError; may be repeated."""
        await self._in_thread(self._remove_refused, before)
        await self._in_thread(self._remove_answers, before)
        old = await self._in_thread(_old_names, self._files.taken, before)
        origin = self._tools.data.origin()
        for start in range(0, len(old), TOGETHER):
            hand_ins = {hand_in_of(origin, name): name for name in old[start : start + TOGETHER]}
            known = await self._ledger.operations_of_uuids(list(hand_ins))
            await self._in_thread(self._remove_taken, [hand_ins[each] for each in known])

    def _remove_taken(self, names: list[str]) -> None:
        for name in names:
            (self._files.taken / name).unlink(missing_ok=True)

    def _remove_refused(self, before: datetime) -> None:
        for name in _old_names(self._files.refused, before):
            # the file before its problems: these are found by it
            for path in (self._files.refused / name, self._files.refused / f"{name}{PROBLEMS}"):
                path.unlink(missing_ok=True)

    def _remove_answers(self, before: datetime) -> None:
        for path in self._outbox.iterdir() if self._outbox.is_dir() else ():
            facts = path.lstat()
            if path.is_file() and datetime.fromtimestamp(facts.st_mtime, UTC) < before:
                path.unlink(missing_ok=True)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.serving, partial(work, *arguments))


def _old_names(folder: Path, before: datetime) -> list[str]:
    """Return the taken names in a folder whose time is before then."""
    names = os.listdir(folder) if folder.is_dir() else []
    times = ((name, parse_taken_time(name)) for name in names)
    return [name for name, time in times if time is not None and time < before]
