"""What went wrong in a run, in the order it was seen. For any thread."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

#: one fault of the product may be seen a thousand times
COMPLAINTS_MAX = 40


class Complaints:
    """A run without any has passed."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._unsaid = 0
        self._lock = Lock()

    def add(self, complaint: str) -> None:
        with self._lock:
            if len(self._said) < COMPLAINTS_MAX:
                self._said.append(complaint)
            else:
                self._unsaid += 1

    def __bool__(self) -> bool:
        return bool(self._said)

    def __iter__(self) -> Iterator[str]:
        more = [f"and {self._unsaid} more"] if self._unsaid else []
        return iter([*self._said, *more])
