"""What is removed when it is old: files of ended operations, their logs, uploads that nobody used."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from eomd.operations.tools import Tools
from eomd.storage.ledger import Ledger

log = logging.getLogger(__name__)

T = TypeVar("T")

#: an upload never used is removed after so long
UPLOAD_HOURS = 24


class Retention:
    """Removes files, never rows of the ledger."""

    def __init__(self, ledger: Ledger, tools: Tools, files_days: int, log_days: int) -> None:
        self._ledger, self._tools = ledger, tools
        self._files_age, self._log_age = timedelta(days=files_days), timedelta(days=log_days)

    async def retire(self, now: datetime | None = None) -> int:
        """Remove what is due; return how many operations lost their files. Raises LedgerUnavailableError."""
        now = now or datetime.now(UTC)
        await self._in_thread(self._remove_uploads)
        await self._in_thread(self._remove_logs)
        removed = 0
        installation = self._tools.data.origin().hex()
        while expired := await self._ledger.expired(installation, now - self._files_age):
            ids = [operation.id for operation in expired]
            await self._in_thread(self._remove, ids)
            await self._ledger.removed(ids, now)
            removed += len(ids)
        return removed

    def _remove(self, ids: list[int]) -> None:
        data = self._tools.data
        for identity in ids:
            for path in (data.source(identity), data.result(identity), data.log(identity)):
                path.unlink(missing_ok=True)
            data.operation(identity).remove()

    def _remove_logs(self) -> None:
        """Remove logs nobody wrote to for `log_days`, of whatever state: a long pause starts a new one."""
        _remove_older(list(self._tools.data.files.glob("*-log.txt")), self._log_age)

    def _remove_uploads(self) -> None:
        uploads = self._tools.data.uploads()
        unused = [path for path in uploads if not _is_used(path)]
        _remove_older(unused, timedelta(hours=UPLOAD_HOURS))
        _remove_older([path for path in uploads if path not in unused], self._files_age)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.serving, partial(work, *arguments))


def _is_used(upload: Path) -> bool:
    try:
        return bool(json.loads(upload.with_suffix(".json").read_bytes())["used"])
    except (OSError, ValueError, KeyError):
        return False


def _remove_older(paths: list[Path], age: timedelta) -> None:
    limit = time.time() - age.total_seconds()
    for path in paths:
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
