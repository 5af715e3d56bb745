"""Who descends from whom: the one child of a kind, the first ancestor, whether what an undo did still stands.

Asks the ledger; changes nothing but the places of undos that were undone and of what a second person forbade.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from weakref import WeakValueDictionary

from eomd.errors import NotFoundError
from eomd.model import Kind, Operation, State
from eomd.operations.board import Board
from eomd.storage.ledger import Ledger

#: generations that are looked back
ANCESTORS_MAX = 100


class Lineage:
    """Families of operations."""

    def __init__(self, ledger: Ledger, board: Board) -> None:
        self._ledger, self._board = ledger, board
        self._families: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def find(self, operation: int) -> Operation:
        """Return an operation as it stands this moment. Raises NotFoundError, LedgerUnavailableError."""
        found = self._board.find(operation) or await self._ledger.operation(operation)
        if found is None:
            raise NotFoundError(f"there is no operation {operation}")
        return found

    async def family(self, operation: Operation) -> asyncio.Lock:
        """Return what is held while something is made of an operation, or decided about it."""
        return self._families.setdefault(await self._root(operation), asyncio.Lock())

    async def child(self, parent: int, kind: str) -> Operation | None:
        """Return the child as it stands this moment. Raises LedgerUnavailableError."""
        found = await self._ledger.child(parent, kind)
        return found and (self._board.find(found.id) or found)

    async def _root(self, operation: Operation) -> int:
        """Return the id of the first ancestor: one family is dealt with at a time."""
        for _ in range(ANCESTORS_MAX):
            if operation.parent is None:
                break
            parent = await self._ledger.operation(operation.parent)
            if parent is None:
                return operation.parent
            operation = parent
        return operation.id

    async def free_rejected(self, child: Operation) -> bool:
        """Give up the place of a child that another person forbade: nothing of it was sent."""
        if child.state is not State.REJECTED:
            return False
        await self.free(child)
        return True

    async def free(self, child: Operation) -> None:
        """Let its parent have another child of its kind."""
        await self._ledger.free_child(child.id)
        self._board.amend(replace(child, kind=None))

    async def is_undone(self, operation: Operation) -> bool:
        """Tell whether all that it and its retry changed was given back for good."""
        if not operation.state.ended or operation.counts.uncertain:
            return False
        undo = await self.child(operation.id, Kind.UNDO)
        if undo is None or undo.state is not State.SUCCEEDED:
            return False
        if undo.counts.total < operation.counts.ok:
            # of what was uncertain then, some has been settled as applied since
            return False
        if await self.child(undo.id, Kind.UNDO) is not None:
            return False
        return await self._sends_nothing_again(operation)

    async def _sends_nothing_again(self, operation: Operation) -> bool:
        """Tell whether nothing stands of what came of its rows that had not been done."""
        if await self.child(operation.id, f"{Kind.AGAIN}-1") is not None:
            return False
        retry = await self.child(operation.id, Kind.RETRY)
        if retry is None:
            return True
        if retry.state.ended and not (retry.counts.ok or retry.counts.uncertain):
            # it changed nothing: there is nothing to undo
            return await self._sends_nothing_again(retry)
        return await self.is_undone(retry)

    async def is_given_up(self, operation: Operation) -> bool:
        """Tell whether it is, or tried again what was left of, an undo whose parent may be undone again."""
        for _ in range(ANCESTORS_MAX):
            if operation.parent is None:
                return False
            if operation.kind != Kind.RETRY:
                return operation.kind is None
            parent = await self._ledger.operation(operation.parent)
            if parent is None:
                return False
            operation = parent
        return False

    async def is_superseded(self, operation: Operation) -> bool:
        """Tell whether it undid an undo, or its retry, whose parent has been freed to be undone again.

        To give back what it did would bring that undo to life a second time.
        """
        if operation.parent is None or operation.kind != Kind.UNDO:
            return False
        parent = await self._ledger.operation(operation.parent)
        return parent is not None and await self.is_given_up(parent)
