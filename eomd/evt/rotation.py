"""Whose turn it is: a fair round of items, of which those with nothing to do sleep. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Rotation(Generic[T]):
    """Items in the order of their turns; every step is O(1) whatever their number."""

    def __init__(self) -> None:
        self._awake: OrderedDict[T, None] = OrderedDict()
        self._asleep: set[T] = set()

    def __len__(self) -> int:
        """Count the items that are awake."""
        return len(self._awake)

    def add(self, item: T) -> None:
        """Let a new item have its turn after all others."""
        self._awake[item] = None

    def remove(self, item: T) -> None:
        self._awake.pop(item, None)
        self._asleep.discard(item)

    def peek(self) -> T | None:
        """Return whose turn it is, None where all sleep."""
        return next(iter(self._awake), None)

    def turn(self) -> None:
        """End the turn of the item that `peek` returned."""
        if self._awake:
            self._awake.move_to_end(next(iter(self._awake)))

    def sleep(self, item: T) -> None:
        """Pass the item over until it is woken."""
        if item in self._awake:
            del self._awake[item]
            self._asleep.add(item)

    def wake(self, item: T) -> None:
        """Let a sleeping item have its turn after all others; others keep theirs."""
        if item in self._asleep:
            self._asleep.remove(item)
            self._awake[item] = None

    def wake_all(self) -> None:
        for item in list(self._asleep):
            self.wake(item)
