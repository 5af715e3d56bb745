"""Lines of JSON that tell whether they are whole: each stands behind its CRC. No I/O."""

from __future__ import annotations

import json
import zlib
from typing import Any


def format_line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return a line's entry; None for a line that is not as it was written. `line` has no end."""
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
