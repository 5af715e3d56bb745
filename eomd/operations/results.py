"""What is asked of files once they are there: downloads, samples of rows, summaries.

Names that people give are looked up, never joined to a path.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePath
from typing import Any, TypeVar

from eomd.durable import write_atomically
from eomd.errors import GoneError, NotFoundError
from eomd.model import Operation
from eomd.operations.plan import Plan
from eomd.operations.summary import summarize, summarize_plan
from eomd.operations.tools import Tools
from eomd.storage.doubled_users import users_of
from eomd.storage.files import OperationFolder
from eomd.storage.result_reader import ResultReader

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"
_SUFFIXES = {"source.csv": "", "result.csv": "-result", "log.txt": "-log", "verify.csv": "-verify"}


@dataclass(frozen=True, slots=True)
class Download:
    """One file as it will be sent: `lead`, then the file."""

    path: Path
    #: bytes before the file's own: a BOM for Excel, or nothing
    lead: bytes
    #: bytes in all, `lead` included; None where only sending tells (failed rows)
    size: int | None
    etag: str
    modified: datetime
    save_as: str
    content_type: str
    #: bytes in a line of the source at most
    line_bytes_max: int
    failed_only: bool = False


class Results:
    """Finds and reads an operation's files, in an executor."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        #: a summary reads a whole file twice: one at a time, and the others' threads stay free
        self._summarizing = asyncio.Lock()

    async def download(self, operation: Operation, name: str, *, failed_only: bool, bom: bool) -> Download:
        """Raises NotFoundError, GoneError."""
        path = await self._in_thread(self._locate, operation, name)
        return await self._in_thread(self._describe, operation, path, failed_only, bom)

    def _locate(self, operation: Operation, name: str) -> Path:
        """Return the path of one of an operation's files by its name."""
        data = self._tools.data
        known = {
            operation.sourcename: data.source(operation.id),
            operation.resultname: data.result(operation.id),
            operation.logname: data.log(operation.id),
            operation.verifyname: data.verify(operation.id),
        }
        path = known.get(name)
        if path is None:
            raise NotFoundError(f"operation {operation.id} has no file {name!r}")
        if not path.exists():
            if (removed := self._removed(operation, name)) is not None:
                raise GoneError(name, removed)
            raise NotFoundError(f"{name} is not there")
        return path

    def _removed(self, operation: Operation, name: str) -> datetime | None:
        """Return when retention removed a file that is not there; None where it was not retention."""
        days = self._tools.rules.log_days
        if operation.removed_time is not None or name != operation.logname or not days:
            return operation.removed_time
        due = operation.last_modify_time + timedelta(days=days)
        return due if operation.state.ended and due < datetime.now(UTC) else None

    def _describe(self, operation: Operation, path: Path, failed_only: bool, bom: bool) -> Download:
        status = path.stat()
        kind = path.name.partition("-")[2]
        result = kind == "result.csv"
        lead = BOM if result and bom else b""
        variant = f"{path.name}|{status.st_size}|{status.st_mtime_ns}|{failed_only}|{bool(lead)}"
        return Download(
            path=path,
            lead=lead,
            size=None if failed_only else status.st_size + len(lead),
            etag=f'"{hashlib.sha256(variant.encode()).hexdigest()[:32]}"',
            modified=datetime.fromtimestamp(status.st_mtime, UTC),
            save_as=_save_as(operation, kind, failed_only),
            content_type=_content_type(kind),
            line_bytes_max=self._tools.rules.read.line_bytes,
            failed_only=failed_only,
        )

    async def rows(
        self, operation: Operation, status: str | None, offset: int, limit: int, user: int | None = None
    ) -> dict[str, Any]:
        """Return {total, columns, rows} of the result; total is None where nobody has counted."""
        path = await self._in_thread(self._result, operation)
        reader = self._reader(path)
        total, columns, rows = await self._in_thread(_read_rows, reader, status, offset, limit, user)
        return {"total": total, "columns": columns, "rows": rows}

    async def summary(self, operation: Operation) -> dict[str, Any]:
        """Return counts by status and the values' statistics by EID, computed once and kept."""
        path = await self._in_thread(self._result, operation)
        folder = self._tools.data.operation(operation.id)
        async with self._summarizing:
            return await self._in_thread(_summarize_once, self._reader(path), folder, operation.state.ended)

    def _reader(self, path: Path) -> ResultReader:
        return ResultReader(path, self._tools.rules.read.line_bytes)

    def _result(self, operation: Operation) -> Path:
        if operation.resultname is None:
            raise NotFoundError(f"operation {operation.id} has no result; it is {operation.state.value}")
        return self._locate(operation, operation.resultname)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.serving, partial(work, *arguments))


def _read_rows(
    reader: ResultReader, status: str | None, offset: int, limit: int, user: int | None
) -> tuple[int | None, list[str], Any]:
    total, rows = reader.rows(status, offset, limit, user)
    return total, list(reader.columns), rows


def _summarize_once(reader: ResultReader, folder: OperationFolder, ended: bool) -> dict[str, Any]:
    kept = folder.summary
    if kept.exists():
        summary: dict[str, Any] = json.loads(kept.read_bytes())
        return summary
    summary = summarize(reader)
    if (plan := Plan.load(folder.plan)) is not None:
        facts = summarize_plan(reader, partial(users_of, folder.rows))
        summary["plan"] = {"hash": plan.hash, **facts}
    if not ended:
        # a plan's hash is not there yet
        return summary
    # a full disk, or a folder that retention has just removed: the next call computes it again
    with suppress(OSError):
        write_atomically(kept, json.dumps(summary).encode())
    return summary


def _save_as(operation: Operation, kind: str, failed_only: bool) -> str:
    original = PurePath(operation.original_name or f"operation-{operation.id}.csv")
    if kind == "source.csv":
        return original.name
    suffix = "-failed" if failed_only else _SUFFIXES[kind]
    return f"{original.stem}{suffix}{'.txt' if kind == 'log.txt' else '.csv'}"


def _content_type(kind: str) -> str:
    if kind == "source.csv":
        return "text/csv"
    return "text/plain; charset=utf-8" if kind == "log.txt" else "text/csv; charset=utf-8"
