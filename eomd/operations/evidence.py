"""Everything there is to show of an ended operation, in one zip: what was asked, decided, done and seen.

The zip holds the SHA-256 of each file, and says what is not there any more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from eomd import __version__
from eomd.errors import FolderDamagedError, WrongStateError
from eomd.model import Operation
from eomd.operations.caller import Caller
from eomd.operations.tools import Tools
from eomd.storage.evidence_zip import Entry, Written, write_zip
from eomd.storage.ledger import AuditEntry, Ledger
from eomd.storage.settlement import Settlement
from eomd.version import commit

SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A zip to be sent."""

    name: str
    pieces: AsyncGenerator[bytes, None]


class EvidenceRoom:
    """Collects; decides nothing and changes nothing."""

    def __init__(self, ledger: Ledger, tools: Tools) -> None:
        self._ledger, self._tools = ledger, tools

    async def collect(self, operation: Operation, plan: Operation | None, caller: Caller) -> Evidence:
        """Return the evidence of an operation, and of the plan that it carries out.

        Raises WrongStateError for one that has not ended, LedgerUnavailableError: the audit is part of it.
        """
        if not operation.state.ended:
            raise WrongStateError(operation.id, operation.state.value, "evidence")
        audit = await self._audit(operation)
        entries, missing = await self._in_thread(self._find_files, operation, "")
        entries += [_as_json("operation.json", operation), _as_json("audit.json", audit)]
        if operation.approval is not None:
            entries.append(_as_json("approval.json", operation.approval.format()))
        if plan is not None:
            found, gone = await self._in_thread(self._find_files, plan, "plan/")
            plan_audit = await self._audit(plan)
            entries += [
                *found,
                _as_json("plan/operation.json", plan),
                _as_json("plan/audit.json", plan_audit),
            ]
            missing += gone
        conclude = partial(_conclude, operation, missing, caller)
        return Evidence(f"operation-{operation.id}-evidence.zip", self._pieces(entries, conclude))

    async def _audit(self, operation: Operation) -> list[AuditEntry]:
        return await self._ledger.audit_of(f"operation {operation.id}")

    def _find_files(self, operation: Operation, under: str) -> tuple[list[Entry], list[str]]:
        """Return the files that are there, and the names of those that were and are not."""
        data, folder = self._tools.data, self._tools.data.operation(operation.id)
        named: dict[str, tuple[str | None, Path]] = {
            "source.csv": (operation.sourcename, data.source(operation.id)),
            "result.csv": (operation.resultname, data.result(operation.id)),
            "log.txt": (operation.logname, data.log(operation.id)),
            "verify.csv": (operation.verifyname, data.verify(operation.id)),
            "summary.json": (None, folder.summary),
            "manifest.json": (None, folder.manifest),
            "plan.json": (None, folder.plan),
        }
        entries = [Entry(under + name, path) for name, (_, path) in named.items() if path.exists()]
        there = {entry.name for entry in entries}
        missing = [under + n for n, (known, _) in named.items() if known and under + n not in there]
        if folder.settlement.exists():
            try:
                verdicts = Settlement.load(folder.settlement).format_csv()
                entries.append(Entry(f"{under}settlement.csv", verdicts))
            except FolderDamagedError:
                missing.append(f"{under}settlement.csv")
        return entries, missing

    async def _pieces(self, entries: Sequence[Entry], conclude: Any) -> AsyncGenerator[bytes, None]:
        steps = write_zip(entries, conclude)
        try:
            while (piece := await self._in_thread(next, steps, None)) is not None:
                yield piece
        finally:
            await self._in_thread(steps.close)

    async def _in_thread(self, work: Any, *arguments: object) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.serving, partial(work, *arguments))


def _conclude(
    operation: Operation, missing: Sequence[str], caller: Caller, written: Sequence[Written]
) -> list[Entry]:
    """Say what the zip is, and what each of its files should be."""
    about = {
        "operation": operation.id,
        "made": datetime.now(UTC),
        "made_for": caller.who,
        "eomd": {"version": __version__, "commit": commit()},
        "files": [asdict(each) for each in written],
        "missing": list(missing),
        "removed": operation.removed_time,
    }
    entry = _as_json("evidence.json", about)
    sums = "".join(f"{each.sha256}  {each.name}\n" for each in written)
    return [entry, Entry(SUMS, sums.encode())]


def _as_json(name: str, value: Any) -> Entry:
    return Entry(
        name, json.dumps(value, ensure_ascii=False, indent=1, default=_plain).encode("utf-8", "replace")
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return asdict(value)
