"""The restart diary: who started, stopped or killed the server, when and why. `diary.jsonl`, a line each."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eomd.durable import write_atomically
from eomd.watchdog.files import append_line
from eomd.watchdog.writer import Writer

FILE = "diary.jsonl"
#: over so many bytes the older half is forgotten
BYTES_MAX = 1 << 20


class Diary:
    """Written in order by the writer's thread."""

    def __init__(
        self, folder: Path, writer: Writer, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = folder / FILE
        self._writer, self._now = writer, now

    def note(self, what: str, why: str, **facts: object) -> None:
        """Write down what was done, and why; `facts` that are None are left out."""
        entry: dict[str, object] = {
            "at": self._now().isoformat(timespec="milliseconds"),
            "what": what,
            "why": why,
        }
        entry |= {name: value for name, value in facts.items() if value is not None}
        self._writer.later(self._write, entry)

    def _write(self, entry: dict[str, object]) -> None:
        append_line(self._path, entry)
        if self._path.stat().st_size > BYTES_MAX:
            newer = self._path.read_bytes()[-BYTES_MAX // 2 :]
            write_atomically(self._path, newer.partition(b"\n")[2])


def read_diary(folder: Path, count: int) -> list[dict[str, Any]]:
    """Return a watchdog's newest entries, oldest first, whether it runs or not; a torn line is left out."""
    try:
        lines = (folder / FILE).read_bytes().splitlines()[-count:]
    except OSError:
        return []
    return [entry for line in lines if (entry := _parse(line)) is not None]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
