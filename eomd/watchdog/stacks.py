"""What a hung or crashed server was doing: its stacks, kept as files beside the diary."""

from __future__ import annotations

import re
from pathlib import Path

from eomd.durable import write_atomically

#: the oldest go first
FILES_MAX = 20

_INNERMOST = re.compile(r'^Current thread .*\n\s+File "(.+)", line (\d+) in (\S+)', re.MULTILINE)


def stacks_file(folder: Path, pid: int) -> Path:
    return folder / f"stacks-{pid}.txt"


def keep_stacks(file: Path, text: str) -> None:
    """Write the file and remove the oldest of its kind. Raises OSError."""
    write_atomically(file, text.encode(errors="replace"))
    kept = sorted(file.parent.glob("stacks-*.txt"), key=lambda path: path.stat().st_mtime_ns)
    for old in kept[:-FILES_MAX]:
        old.unlink(missing_ok=True)


def find_place(text: str) -> str:
    """Return where the thread asked stood, such as `selectors.py line 468 in select`; "" if unknown."""
    found = _INNERMOST.search(text)
    return f"{Path(found[1]).name} line {found[2]} in {found[3]}" if found else ""
