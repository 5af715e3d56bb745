"""A person's wish that the server be stopped: it wins over every remedy and is remembered over boots."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from eomd.durable import write_atomically
from eomd.watchdog.files import read_json

FILE = "wish.json"


class Wish:
    """`wish.json` in the watchdog's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        kept = read_json(self._path)
        self.stopped = kept.get("stopped") is True
        #: ISO 8601, of the last wish
        self.since: str | None = kept.get("since")

    def set(self, *, stopped: bool) -> None:
        """Remember it. Raises OSError where the disk does not take it: it holds until the watchdog ends."""
        self.stopped = stopped
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        write_atomically(self._path, json.dumps({"stopped": stopped, "since": self.since}).encode())
