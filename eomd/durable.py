"""Files that a power cut cannot halve. Blocks. Standard library only: the watchdog uses it too."""

from __future__ import annotations

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


#: a folder's entries are forced to the disk the same way
sync_folder = sync_file


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by whole content or not at all, also across a power cut."""
    beside = path.with_name(f".{path.name}.new")
    with open(beside, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(beside, path)
    sync_folder(path.parent)
