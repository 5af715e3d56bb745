"""What is removed when it is old: files of ended operations, their logs, uploads that nobody used, incidents.

Nothing of an operation that has not ended, however old it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from eomd.operations.board import Board
from eomd.operations.dropped_retention import DroppedRetention
from eomd.operations.incidents import IncidentBook
from eomd.operations.tools import Tools
from eomd.storage.files import parse_stored_name
from eomd.storage.ledger import Ledger

T = TypeVar("T")

#: an upload never used is removed after so long
UPLOAD_AGE = timedelta(hours=24)


class Retention:
    """Removes files and incidents, never operations of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        board: Board,
        tools: Tools,
        dropped: DroppedRetention,
        incidents: IncidentBook,
    ) -> None:
        self._ledger, self._board, self._tools = ledger, board, tools
        self._dropped, self._incidents = dropped, incidents

    @property
    def _files_age(self) -> timedelta | None:
        return _age(self._tools.rules.files_days)

    async def retire(self, now: datetime | None = None) -> int:
        """Remove what is due; return how many operations lost their files.

        Raises LedgerUnavailableError, DiskFullError, OSError; may be repeated.
        """
        now = now or datetime.now(UTC)
        await self._in_thread(self._remove_uploads, now)
        await self._in_thread(self._remove_logs, now)
        age = self._files_age
        if age is None:
            return 0
        await self._dropped.retire(now - age)
        await self._incidents.retire(now - age)
        return await self._remove_operations(now, age)

    async def _remove_operations(self, now: datetime, age: timedelta) -> int:
        removed, before = 0, now - age
        installation = self._tools.data.origin().hex()
        while expired := await self._ledger.expired(installation, before):
            listed = [operation.id for operation in expired]
            ids = await self._in_thread(self._remove, listed)
            await self._ledger.removed(ids, now)
            for identity in ids:
                # from now on the ledger's word counts: it knows that the files are gone
                self._board.forget(identity)
            removed += len(ids)
            if len(ids) < len(listed):
                # the others would be listed again and again
                break
        return removed

    def _remove(self, ids: list[int]) -> list[int]:
        """Remove the files of those operations that have ended here too; return their ids."""
        data = self._tools.data
        ended = [identity for identity in ids if not self._is_unfinished(identity)]
        for identity in ended:
            for place in (data.source, data.result, data.verify, data.log):
                place(identity).unlink(missing_ok=True)
            data.operation(identity).remove()
        return ended

    def _is_unfinished(self, identity: int) -> bool:
        folder = self._tools.data.operation(identity)
        return folder.path.exists() and not folder.ended.exists()

    def _remove_logs(self, now: datetime) -> None:
        """Remove logs that nobody has written to for `log_days`."""
        age = _age(self._tools.rules.log_days)
        for path in self._tools.data.files.glob("*-log.txt"):
            identity = parse_stored_name(path.name)
            if identity is not None and not self._is_unfinished(identity):
                _remove_if_older(path, age, now)

    def _remove_uploads(self, now: datetime) -> None:
        for upload in self._tools.data.uploads():
            if _remove_if_older(upload, self._files_age if _is_used(upload) else UPLOAD_AGE, now):
                upload.with_suffix(".json").unlink(missing_ok=True)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.serving, partial(work, *arguments))


def _age(days: int) -> timedelta | None:
    """Return None, never, for 0 days."""
    return timedelta(days=days) if days else None


def _is_used(upload: Path) -> bool:
    try:
        return bool(json.loads(upload.with_suffix(".json").read_bytes())["used"])
    except (OSError, ValueError, KeyError):
        return False


def _remove_if_older(path: Path, age: timedelta | None, now: datetime) -> bool:
    """Remove a file that nobody has written to for so long (None: never); return whether it was removed."""
    old = age is not None and path.stat().st_mtime < (now - age).timestamp()
    if old:
        path.unlink()
    return old
