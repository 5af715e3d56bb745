"""Did somebody do this already? What a modify changes, looked up among the operations of late.

Between that look and the hand-in's entry into the ledger no other modify is entered: two that are handed in
at once cannot both be the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from eomd.errors import LooksRepeatedError, Repeated
from eomd.model import Kind
from eomd.operations.admission import Admission, Staged
from eomd.operations.rules import Rules
from eomd.storage.ledger import Ledger

#: operations count as of late for so long
OF_LATE = timedelta(days=7)
#: of them, the newest are named
NAMED_MAX = 20


class Repeats:
    """Everything that enters a modify into the ledger takes its turn here."""

    def __init__(self, ledger: Ledger, admission: Admission, rules: Rules) -> None:
        self._ledger, self._admission, self._rules = ledger, admission, rules
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, staged: Sequence[Staged]) -> AsyncIterator[None]:
        """Keep other modifies out of the ledger; what changes nothing need not wait for them."""
        if not any(each.new.change_hash for each in staged):
            yield
            return
        async with self._turn:
            yield

    async def look(self, staged: Staged) -> Staged:
        """Note what a hand-in repeats. Within its turn.

        Raises LooksRepeatedError where that is refused, LedgerUnavailableError, OSError.
        """
        found = await self.find([staged], OF_LATE)
        repeats = found.get(staged.new.change_hash or "", [])
        meant = staged.new.order.confirm_repeat or _is_meant(staged.new.kind)
        if repeats and self._rules.refuse_repeats and not meant:
            raise LooksRepeatedError(await self.describe(repeats))
        return await self._admission.note_repeats(staged, repeats)

    async def find(self, staged: Sequence[Staged], within: timedelta) -> dict[str, list[int]]:
        """Return by change the operations within that time that did it, newest first."""
        hashes = [each.new.change_hash for each in staged if each.new.change_hash is not None]
        if not hashes:
            return {}
        found = await self._ledger.same_changes(hashes, datetime.now(UTC) - within)
        return {change: ids[:NAMED_MAX] for change, ids in found.items()}

    async def describe(self, ids: Sequence[int]) -> list[Repeated]:
        """Return who handed them in, and when. Raises LedgerUnavailableError."""
        operations = [await self._ledger.operation(identity) for identity in ids]
        return [
            Repeated(o.id, o.order.operatorid, o.order.operatorname, o.create_time)
            for o in operations
            if o is not None
        ]


def _is_meant(kind: str | None) -> bool:
    """Tell whether nobody makes such a child by mistake: an undo that is undone does the same again."""
    return kind is not None and (kind in (Kind.UNDO, Kind.RETRY) or kind.startswith(f"{Kind.AGAIN}-"))
