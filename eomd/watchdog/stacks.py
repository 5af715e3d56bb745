"""What a hung or crashed server was doing: its stacks, kept as files beside the diary."""

from __future__ import annotations

import re
from pathlib import Path

from eomd.durable import write_atomically

#: the oldest go first
FILES_MAX = 20

_INNERMOST = re.compile(r'^(?:Current thread|Thread) .*\n\s+File "(.+)", line (\d+) in (\S+)', re.MULTILINE)
_CRASHED = re.compile(r"^Fatal Python error", re.MULTILINE)


def stacks_file(folder: Path, pid: int) -> Path:
    return folder / f"stacks-{pid}.txt"


def keep_stacks(file: Path, text: str) -> None:
    """Write the file and remove the oldest of its kind. Raises OSError."""
    write_atomically(file, text.encode(errors="replace"))
    kept = sorted(file.parent.glob("stacks-*.txt"), key=lambda path: path.stat().st_mtime_ns)
    for old in kept[:-FILES_MAX]:
        old.unlink(missing_ok=True)


def find_place(text: str) -> str:
    """Return where it stood, such as `selectors.py line 468 in select`; "" where that is not known.

    Of a crash that is the thread that crashed, else the main thread, which is the oldest and comes last.
    """
    threads = list(_INNERMOST.finditer(text))
    if _CRASHED.search(text):
        threads = [thread for thread in threads if thread[0].startswith("Current")]
    if not threads:
        return ""
    file, line, function = threads[-1].groups()
    return f"{Path(file).name} line {line} in {function}"
