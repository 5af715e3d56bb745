"""The watchdog's own small files. Functions block on the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PRIVATE = 0o700


def make_folder(data_dir: Path, folder: Path) -> None:
    """Make the watchdog's folder; the data folder above it gets the server's mode. Raises OSError."""
    data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    folder.mkdir(mode=_PRIVATE, exist_ok=True)


def replace_quickly(path: Path, content: bytes) -> None:
    """Replace a file as a whole; a power cut may bring the former one back. Raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; an empty one where there is none or it is damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def append_line(path: Path, entry: Mapping[str, object]) -> None:
    """Add a line of JSON, also behind one that was cut off, and force it to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        os.write(descriptor, b"\n" + line if torn else line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
