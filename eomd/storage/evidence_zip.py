"""A zip written as it is sent: nothing of it stands on the disk or in memory as a whole. Blocking."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 256 * 1024
#: a piece is at least so large, the last one aside
PIECE_BYTES_MIN = 64 * 1024
_MODE = 0o640 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the zip: its name there, and where its bytes are."""

    name: str
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class Written:
    """One file that is in the zip."""

    name: str
    #: bytes, not compressed
    size: int
    sha256: str


def write_zip(
    entries: Sequence[Entry], conclude: Callable[[Sequence[Written]], list[Entry]]
) -> Generator[bytes, None, None]:
    """Yield a zip of these files and of those that `conclude` makes of what is written of them, in pieces.

    Raises OSError where a file is not there any more; what was yielded is no whole zip then.
    """
    sink, written = _Sink(), list[Written]()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for entry in entries:
            yield from _write(archive, sink, entry, written)
        for entry in conclude(written):
            yield from _write(archive, sink, entry, [])
    yield sink.take()


class _Sink:
    """What a zip is written to: it only goes forward."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.held = 0

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        self.held += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What is held is still taken."""

    def take(self) -> bytes:
        pieces, self._pieces, self.held = self._pieces, [], 0
        return b"".join(pieces)


def _write(archive: zipfile.ZipFile, sink: _Sink, entry: Entry, written: list[Written]) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), 0
    with archive.open(_describe(entry), "w", force_zip64=True) as out:
        for chunk in _chunks(entry.content):
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            if sink.held >= PIECE_BYTES_MIN:
                yield sink.take()
    written.append(Written(entry.name, size, digest.hexdigest()))


def _describe(entry: Entry) -> zipfile.ZipInfo:
    moment = entry.content.stat().st_mtime if isinstance(entry.content, Path) else time.time()
    info = zipfile.ZipInfo(entry.name, time.gmtime(moment)[:6])
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, _MODE
    return info


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
