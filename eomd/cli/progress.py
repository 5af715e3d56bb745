"""Progress for people: a bar on a terminal, now and then a plain line elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LINE_EVERY_S = 2.0


class Meter:
    """One thing that is getting done: bytes sent, rows answered."""

    def __init__(self, title: str, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._unit = unit
        self._clock = clock
        self._started = clock()
        self._said = self._started
        self._bar: RichProgress | None = None
        self._done = self._total = 0
        self._said_done = -1
        self._note = ""

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from eomd.cli.bar import make_bar

            self._bar = make_bar(self._unit)
            self._task = self._bar.add_task(self._title, total=None, note="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self._total and self._said_done < self._done:
            self._say()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show how much is done; `note` says what else there is to know, such as `paused by cluster`."""
        changed = note != self._note
        self._done, self._total, self._note = done, total, note
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total or None, note=note)
        elif changed or self._clock() - self._said >= LINE_EVERY_S:
            self._say()

    def _say(self) -> None:
        self._said, self._said_done = self._clock(), self._done
        print(f"{self._title}: {self._describe()}", file=sys.stderr, flush=True)

    def _describe(self) -> str:
        seconds = max(self._said - self._started, 1e-3)
        share = f" ({100 * self._done // self._total} %)" if self._total else ""
        rate = f", {self._done / seconds:,.0f} {self._unit}/s" if self._done else ""
        note = f", {self._note}" if self._note else ""
        return f"{self._done:,} of {self._total:,} {self._unit}{share}{rate}{note}"


def tell(reason: str) -> None:
    """Say that a request is sent again, and why."""
    print(f"eomd: {reason}; trying again", file=sys.stderr, flush=True)
