"""What waits for the dispatcher: first in, first out, one entry per subject. Pure.

A repetition updates the entry that waits and keeps its place. Every method takes the same time whatever the
queue's length.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

ENTRIES_MAX = 1000

Subject = TypeVar("Subject", bound=Hashable)
Entry = TypeVar("Entry")


class SubjectQueue(Generic[Subject, Entry]):
    """At most `entries_max` entries, each under its subject."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        # not a plain dict: taking the first of that again and again walks over all that were taken before
        self._entries: OrderedDict[Subject, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[Subject, Entry]]:
        """Yield what waits, the next one first."""
        yield from self._entries.items()

    def put(self, subject: Subject, entry: Entry) -> bool:
        """Let it wait behind all others, or in the place of its subject's former entry.

        False where the queue is full: it does not wait then.
        """
        if subject not in self._entries and len(self._entries) >= self._entries_max:
            return False
        self._entries[subject] = entry
        return True

    def take(self) -> tuple[Subject, Entry] | None:
        """Remove and return what has waited longest; None where nothing waits."""
        return self._entries.popitem(last=False) if self._entries else None

    def find(self, subject: Subject) -> Entry | None:
        """Return what waits under this subject."""
        return self._entries.get(subject)

    def delete(self, subject: Subject) -> Entry | None:
        """Remove and return what waits under this subject."""
        return self._entries.pop(subject, None)
