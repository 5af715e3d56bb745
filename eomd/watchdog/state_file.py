"""`state.json`: how everything stood at the last look, for when nobody is there to ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from eomd.watchdog.files import replace_quickly
from eomd.watchdog.schedule import Entry, Schedule
from eomd.watchdog.writer import Writer

FILE = "state.json"
#: between two writings while nothing changes
PERIOD_S = 5.0
#: changes that come together are written together
SOON_S = 0.05


class StateFile:
    """Written every few seconds, and when something has changed."""

    def __init__(
        self, folder: Path, view: Callable[[], Mapping[str, object]], writer: Writer, schedule: Schedule
    ) -> None:
        self._path, self._view, self._writer = folder / FILE, view, writer
        self._schedule = schedule
        self._periodic = schedule.every(PERIOD_S, self.write)
        self._soon: Entry | None = None

    def write(self) -> None:
        """Write how everything stands now."""
        self._write()

    def write_soon(self) -> None:
        """Something has changed."""
        if self._soon is None:
            self._soon = self._schedule.after(SOON_S, self._write_now)

    def end(self) -> None:
        """Write for the last time, and that this is it."""
        for entry in (self._periodic, self._soon):
            if entry is not None:
                entry.cancel()
        self._write(ended=True)

    def _write_now(self) -> None:
        self._soon = None
        self._write()

    def _write(self, **last_words: object) -> None:
        state = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **self._view(), **last_words}
        self._writer.later(replace_quickly, self._path, json.dumps(state, ensure_ascii=False).encode())
