"""The restart diary: who started, stopped or killed the server, when and why. `diary.jsonl`, a line each.

What is old goes when something new is noted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import dropwhile
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
        self,
        folder: Path,
        writer: Writer,
        keep_days: Callable[[], int],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`keep_days`: how long entries are kept; 0: for good."""
        self._path = folder / FILE
        self._writer, self._keep_days, self._now = writer, keep_days, now

    def note(self, what: str, why: str, **facts: object) -> None:
        """Write down what was done, and why; `facts` that are None are left out."""
        now, days = self._now(), self._keep_days()
        entry: dict[str, object] = {"at": now.isoformat(timespec="milliseconds"), "what": what, "why": why}
        entry |= {name: value for name, value in facts.items() if value is not None}
        self._writer.later(self._write, entry, now - timedelta(days=days) if days else None)

    def _write(self, entry: dict[str, object], oldest: datetime | None) -> None:
        append_line(self._path, entry)
        if self._path.stat().st_size > BYTES_MAX:
            newer = self._path.read_bytes()[-BYTES_MAX // 2 :]
            write_atomically(self._path, newer.partition(b"\n")[2])
        if oldest is not None:
            self._forget(oldest)

    def _forget(self, oldest: datetime) -> None:
        """Remove the entries of before. They stand in order, but for a clock set back."""
        with open(self._path, "rb") as diary:
            if not _is_before(diary.readline(), oldest):
                return
        lines = self._path.read_bytes().splitlines(keepends=True)
        newer: Iterable[bytes] = dropwhile(lambda line: _is_before(line, oldest), lines)
        write_atomically(self._path, b"".join(newer))


def read_diary(folder: Path, count: int) -> list[dict[str, Any]]:
    """Return a watchdog's newest entries, oldest first, whether it runs or not; a torn line is left out."""
    try:
        lines = (folder / FILE).read_bytes().splitlines()[-count:]
    except OSError:
        return []
    return [entry for line in lines if (entry := _parse(line)) is not None]


def _is_before(line: bytes, moment: datetime) -> bool:
    """Tell whether an entry is older; one that is damaged counts as old."""
    entry = _parse(line)
    try:
        return entry is None or datetime.fromisoformat(str(entry.get("at"))) < moment
    except ValueError:
        return True


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
