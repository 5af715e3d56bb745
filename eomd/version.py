"""Which eomd this is: its version, and the commit it was built from."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from eomd import __version__

_PACKAGE = Path(__file__).parent
UNKNOWN = "unknown"
_STAMP = _PACKAGE / "commit.txt"


@cache
def commit() -> str:
    """Return the commit, `-dirty` where the tree had changes: of this checkout, else the build's stamp."""
    return describe_checkout(_PACKAGE.parent) or _read_stamp() or UNKNOWN


def _read_stamp() -> str:
    try:
        return _STAMP.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def describe_checkout(folder: Path) -> str:
    """Return what git says of a checkout's root; empty where it is none or git is not there."""
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def describe_version() -> str:
    return f"eomd {__version__} (commit {commit()})"
