"""Moving one file out of the inbox: by rename, or from another file system by a copy. Blocks on the disk.

A copy begins with a rename too, to a dot-name in the file's own folder: from then on nobody else takes it for
a dropped file, and what a crash leaves is finished by `settle_copy`, never begun anew.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from eomd.durable import sync_file, sync_folder
from eomd.inbox_layout import parse_taken

#: a file that is being copied: this, then its taken name
COPIED = ".eomd-"


def move(source: str, taken: str) -> str | None:
    """Move a dropped file; never over another. Return None, or why it stays: "" where it is gone."""
    try:
        if os.path.lexists(taken):
            return "its name in .taken is in use"
        os.rename(source, taken)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno != errno.EXDEV:
            return f"it cannot be moved: {error.strerror}"
        return _move_by_copy(Path(source), Path(taken))
    return None


def _move_by_copy(source: Path, taken: Path) -> str | None:
    hidden = source.with_name(COPIED + taken.name)
    try:
        if not stat.S_ISREG(os.lstat(source).st_mode):
            return "it is no file, and lies on another file system"
        os.rename(source, hidden)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"it cannot be moved: {error.strerror}"
    try:
        _finish_copy(hidden, taken)
    except OSError as error:
        os.rename(hidden, source)
        return f"it lies on another file system and cannot be copied: {error.strerror}"
    return None


def settle_copy(hidden: Path, taken: Path, refused: Path, *, claimed: bool) -> None:
    """Finish what a crash cut off. `claimed`: the journal waits for it. Raises OSError."""
    if os.path.lexists(taken) or os.path.lexists(refused):
        hidden.unlink()
    elif claimed:
        _finish_copy(hidden, taken)
    elif name := parse_taken(taken.name):
        # the server has never heard of it: as if it were dropped anew
        source = hidden.with_name(name)
        if not os.path.lexists(source):
            os.rename(hidden, source)


def _finish_copy(hidden: Path, taken: Path) -> None:
    beside = taken.with_name(f".{taken.name}.new")
    try:
        facts = os.lstat(hidden)
        shutil.copyfile(hidden, beside, follow_symlinks=False)
        os.utime(beside, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        sync_file(beside)
        os.rename(beside, taken)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(taken.parent)
    hidden.unlink()
    sync_folder(hidden.parent)
