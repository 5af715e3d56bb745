"""`state.json`: how everything stood at the last look, for when nobody is there to ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from eomd.watchdog.files import replace_quickly
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.writer import Writer

FILE = "state.json"
#: between two writings while nothing changes
PERIOD_S = 5.0


class StateFile:
    """Written every few seconds, and when told to."""

    def __init__(
        self, folder: Path, view: Callable[[], Mapping[str, object]], writer: Writer, schedule: Schedule
    ) -> None:
        self._path, self._view, self._writer = folder / FILE, view, writer
        schedule.every(PERIOD_S, self.write)

    def write(self, **last_words: object) -> None:
        """Write how everything stands now, and what else there is to say."""
        state = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **self._view(), **last_words}
        self._writer.later(replace_quickly, self._path, json.dumps(state, ensure_ascii=False).encode())
