"""Who did what, from where, when: one entry in the ledger per act of a person."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from eomd.errors import EomdError, UnavailableError
from eomd.operations.caller import Caller
from eomd.storage.ledger import AuditEntry, Ledger

__all__ = ["Audit", "Caller"]

log = logging.getLogger(__name__)


class Audit:
    """Only ever appended to."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def note(self, caller: Caller, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """Write an entry; one that the ledger does not take goes to the server's log instead.

        Never raises: what is noted has been done, and must not be answered with an error.
        """
        await self.note_all(caller, action, [(subject, detail)])

    async def write(self, caller: Caller, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """Write an entry before the deed. Raises LedgerUnavailableError: then it must not be done."""
        now = datetime.now(UTC)
        await self._ledger.audit([AuditEntry(now, caller.who, action, subject, dict(detail), caller.address)])

    async def note_all(
        self, caller: Caller, action: str, deeds: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> None:
        """Write an entry per (subject, detail), in one transaction. As `note`."""
        now = datetime.now(UTC)
        entries = [
            AuditEntry(now, caller.who, action, subject, dict(detail), caller.address)
            for subject, detail in deeds
        ]
        subjects = ", ".join(entry.subject for entry in entries)
        try:
            await self._ledger.audit(entries)
        except UnavailableError:
            log.warning("audit entry kept here alone: %s %s %s", caller.who, action, subjects)
        except EomdError as error:
            log.error("audit entry refused: %s %s %s: %s", caller.who, action, subjects, error)
