"""`spool/`: what the ledger could not take yet, in order, on the disk. Knows nothing of ledgers or changes.

Entries are JSON objects, one per line behind the line's CRC, in numbered segments. An entry is in the spool
once `append` has returned (fsync, folder too). A segment is never appended to by a second process, so a line
torn by a power cut is always a segment's last one, was never acknowledged, and is dropped. All methods block
on the disk.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eomd.durable import sync_folder
from eomd.errors import DiskFullError
from eomd.sealed_lines import format_line, parse_line

#: a segment that has grown to so much is followed by the next
SEGMENT_BYTES_MAX = 2**20
#: lines that nobody could take are kept here for a person to look at
ASIDE = "aside.jsonl"

_SEGMENT = re.compile(r"changes-(\d{12})\.jsonl")
_FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)

Entry = dict[str, Any]


class Spool:
    """One folder of segments. Used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing: int | None = None
        self._path: Path | None = None

    def append(self, entries: Sequence[Entry]) -> None:
        """Put entries behind all others. Raises DiskFullError, and then has put nothing."""
        data = b"".join(format_line(entry) for entry in entries)
        try:
            self._write(data)
        except OSError as error:
            self.roll()
            if error.errno in _FULL:
                raise DiskFullError("no space left for the spool") from error
            raise

    def segments(self) -> list[Path]:
        """Return what is there, oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _SEGMENT.fullmatch(path.name))

    def oldest(self) -> Path | None:
        """Return the oldest segment; nothing is appended to it from now on."""
        segments = self.segments()
        if segments and segments[0] == self._path:
            self.roll()
        return segments[0] if segments else None

    def roll(self) -> None:
        """End the segment being written: what comes next goes to a new one."""
        if self._writing is not None:
            os.close(self._writing)
        self._writing = self._path = None

    def read(self, segment: Path) -> list[Entry]:
        """Return a segment's entries; lines that are not whole are set aside and logged."""
        lines = segment.read_bytes().split(b"\n")
        if lines.pop():
            _log.warning("spool: the last line of %s was cut off while it was written", segment.name)
        return [entry for line in lines if (entry := self._parse(line, segment)) is not None]

    def remove(self, segment: Path) -> None:
        """Forget a segment whose entries have been taken."""
        if segment == self._path:
            self.roll()
        segment.unlink(missing_ok=True)
        sync_folder(self._folder)

    def replace(self, entries: Sequence[Entry]) -> None:
        """Let these stand for all that is there. A cut leaves the old ones before the new ones."""
        former = self.segments()
        self.roll()
        self.append(entries)
        for segment in former:
            self.remove(segment)

    def set_aside(self, line: bytes) -> None:
        """Keep a line that nobody can take, for a person to look at."""
        with open(self._folder / ASIDE, "ab") as aside:
            aside.write(line + b"\n")
            aside.flush()
            os.fsync(aside.fileno())

    def _write(self, data: bytes) -> None:
        handle = self._begin() if self._writing is None else self._writing
        before = os.fstat(handle).st_size
        try:
            _write_all(handle, data)
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, before)
            raise
        if before + len(data) >= SEGMENT_BYTES_MAX:
            self.roll()

    def _begin(self) -> int:
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        there = self.segments()
        last = _SEGMENT.fullmatch(there[-1].name) if there else None
        self._path = self._folder / f"changes-{int(last[1]) + 1 if last else 1:012}.jsonl"
        self._writing = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        sync_folder(self._folder)
        return self._writing

    def _parse(self, line: bytes, segment: Path) -> Entry | None:
        entry = parse_line(line)
        if entry is None:
            _log.error("spool: a line of %s is damaged and was moved to %s", segment.name, ASIDE)
            self.set_aside(line)
        return entry


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
