"""Ctrl-C and SIGTERM for a command with processes to look after.

Python raises KeyboardInterrupt wherever it is at that moment, and swallows it inside the hooks that run
around a fork. So processes are made while it is deferred, and nothing interrupts the clearing up.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Takes the signals over for the rest of the process's life."""

    def __init__(self) -> None:
        self._heard = False
        self._deferred = False
        for number in SIGNALS:
            # explicit: a shell that starts us in the background has SIGINT ignored
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: object) -> None:
        self._heard = True
        self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came, unless it is deferred."""
        if self._heard and not self._deferred:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let what stands inside come to its end first."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self.check()

    def ignore(self) -> None:
        """From now on nothing interrupts."""
        self._deferred = True
