"""Folders that a group works in. Standard library only: the watchdog uses it too."""

from __future__ import annotations

from pathlib import Path


def make_shared(path: Path, mode: int) -> bool:
    """Make a folder of this mode unless something is there; tell whether it was made. Raises OSError."""
    if path.exists():
        return False
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    path.mkdir()
    # not left to the umask
    path.chmod(mode)
    return True
