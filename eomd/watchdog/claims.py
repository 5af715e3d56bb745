"""The journal of claims: what was taken out of the inbox and is not dealt with yet. Blocks on the disk.

A claim is on the disk before its file is moved, so that whatever dies, a file that lies in `.taken` is known
here until the server has admitted or refused it. Claims stand in numbered segments, `claims-N-FOLDER.jsonl`,
FOLDER being the id of the `.taken` folder they are about: a line per claim, then lines of those that ended. A
segment whose claims have all ended is removed. Claims are given out a segment at a time, so that of fifty
thousand only a few are in memory. For one thread at a time.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eomd.durable import sync_folder, write_atomically
from eomd.sealed_lines import format_line, parse_line

#: in one segment; also what may be noted at once
CLAIMS_MAX = 1000
#: ids of `.taken` folders that are remembered
FOLDERS_MAX = 100
KNOWN = "folders.json"

_SEGMENT = re.compile(r"claims-(\d{12})-([0-9a-f]+)\.jsonl")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """One file taken out of the inbox, and what is to be done with it."""

    #: its name in `.taken`
    taken: str
    #: as it was dropped
    name: str
    #: the recipe whose folder it was dropped into; "" for the inbox itself
    recipe: str
    #: when it was taken
    size: int
    mtime_ns: int
    #: None where `problem` says why there is no hand-in
    model: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    confirm_repeat: bool = False
    #: why the file is to be refused without a look into it
    problem: str | None = None
    #: the segment it stands in, and the id of the `.taken` folder that is about
    segment: int = 0
    folder: str = ""

    def format(self) -> dict[str, Any]:
        """Return its line in the journal: everything but the place of that line."""
        return {name: getattr(self, name) for name in self.__slots__ if name not in ("segment", "folder")}


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    #: the id of the `.taken` folder
    folder: str
    claims: int = 0
    ended: int = 0
    given_out: bool = False

    @property
    def open(self) -> int:
        return self.claims - self.ended

    def place(self, claims: Sequence[Claim]) -> list[Claim]:
        return [replace(claim, segment=self.number, folder=self.folder) for claim in claims]


class Claims:
    """One folder of segments."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segments: dict[int, _Segment] = {}
        self._writing: int | None = None
        self._known: list[str] = []
        #: of the newest segment
        self._number = 0
        #: claims that have not ended
        self.open = 0
        #: lines were not as they were written: files in `.taken` may be known to nobody
        self.damaged = False

    def load(self) -> None:
        """Learn what an earlier process left. Raises OSError."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            self._known = json.loads((self._folder / KNOWN).read_bytes())
        for path in sorted(self._folder.iterdir()):
            if match := _SEGMENT.fullmatch(path.name):
                self._number = int(match[1])
                self._load(_Segment(self._number, path, match[2]))

    def _load(self, segment: _Segment) -> None:
        _cut_torn_line(segment.path)
        claims, ended = self._read(segment)
        segment.claims, segment.ended = len(claims), len(ended & claims.keys())
        self._segments[segment.number] = segment
        self.open += segment.open
        if not segment.open:
            self._remove(segment)

    def open_names(self) -> set[str]:
        """Return the taken names of all claims that have not ended, from the disk. Raises OSError."""
        names: set[str] = set()
        for segment in self._segments.values():
            claims, ended = self._read(segment)
            names |= claims.keys() - ended
        return names

    def knows(self, folder: str) -> bool:
        """Tell whether claims were ever noted about this `.taken` folder, or could have been."""
        return folder in self._known

    def learn(self, folder: str) -> None:
        """Know a folder from now on. Raises OSError."""
        known = [*self._known, folder][-FOLDERS_MAX:]
        write_atomically(self._folder / KNOWN, json.dumps(known).encode())
        self._known = known

    def note(self, claims: Sequence[Claim], folder: str) -> list[Claim]:
        """Put at most CLAIMS_MAX claims on the disk, and return them with their segment.

        Raises OSError; none is noted then.
        """
        segment = self._current(folder, len(claims))
        self._append(b"".join(format_line(claim.format()) for claim in claims))
        segment.claims += len(claims)
        self.open += len(claims)
        return segment.place(claims)

    def give_out(self) -> list[Claim]:
        """Return the open claims of the oldest segment not given out before; [] where there is none.

        Raises OSError; they are given out later then.
        """
        for segment in list(self._segments.values()):
            if segment.given_out:
                continue
            if segment.number == self._number:
                self._roll()
            claims, ended = self._read(segment)
            segment.given_out = True
            if left := [claim for taken, claim in claims.items() if taken not in ended]:
                return segment.place(left)
            self._remove(segment)
        return []

    def end(self, claims: Sequence[Claim]) -> None:
        """Forget claims that have been dealt with."""
        by_segment: dict[int, list[str]] = {}
        for claim in claims:
            by_segment.setdefault(claim.segment, []).append(claim.taken)
        for number, taken in by_segment.items():
            segment = self._segments[number]
            segment.ended += len(taken)
            self.open -= len(taken)
            written = number == self._number and self._writing is not None
            if segment.open or written:
                # one that a restart offers again has ended all the same
                with suppress(OSError), open(segment.path, "ab") as file:
                    file.write(b"".join(format_line({"end": name}) for name in taken))
            else:
                self._remove(segment)

    def close(self) -> None:
        self._roll()

    def _current(self, folder: str, more: int) -> _Segment:
        """Return the segment that takes so many more claims."""
        current = self._segments.get(self._number)
        if self._writing is not None and current is not None:
            if current.folder == folder and current.claims + more <= CLAIMS_MAX:
                return current
            self._roll()
        path = self._folder / f"claims-{self._number + 1:012}-{folder}.jsonl"
        self._writing = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640
        )
        self._number += 1
        self._segments[self._number] = segment = _Segment(self._number, path, folder)
        sync_folder(self._folder)
        return segment

    def _append(self, data: bytes) -> None:
        assert self._writing is not None
        before = os.fstat(self._writing).st_size
        try:
            _write_all(self._writing, data)
            os.fsync(self._writing)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._writing, before)
            self._roll()
            raise

    def _roll(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None

    def _remove(self, segment: _Segment) -> None:
        segment.path.unlink(missing_ok=True)
        self._segments.pop(segment.number, None)

    def _read(self, segment: _Segment) -> tuple[dict[str, Claim], set[str]]:
        """Return (claims by their taken names, the names of those that ended)."""
        claims, ended = dict[str, Claim](), set[str]()
        for line in segment.path.read_bytes().splitlines():
            entry = parse_line(line)
            if entry is None:
                log.error("a line of %s is damaged", segment.path.name)
                self.damaged = True
            elif "end" in entry:
                ended.add(entry["end"])
            else:
                claim = Claim(**entry)
                claims[claim.taken] = claim
        return claims, ended


def _cut_torn_line(path: Path) -> None:
    """Cut off a last line that a crash has torn: nothing was done on its word."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
