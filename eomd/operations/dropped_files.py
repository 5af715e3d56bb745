"""The server's hands in the inbox: a claimed file becomes a hand-in's source, or is refused. Blocks.

Names are those of the watchdog's claims and have been checked to be names.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from eomd.durable import sync_folder, write_atomically
from eomd.errors import FileChangedError, TooLargeError
from eomd.inbox_layout import PROBLEMS, REFUSED, SHARED_MODE, TAKEN
from eomd.operations.dropped import Dropped
from eomd.operations.rules import Rules
from eomd.shared_folder import make_shared
from eomd.storage.files import OperationFolder
from eomd.storage.rows_file import disk_errors

#: of a file that the group may read
_READABLE = 0o640


class DroppedFiles:
    """The folders `.taken` and `.refused` of the inbox."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @property
    def taken(self) -> Path:
        return self._rules.inbox / TAKEN

    @property
    def refused(self) -> Path:
        return self._rules.inbox / REFUSED

    def place(self, dropped: Dropped, folder: OperationFolder) -> None:
        """Put the file, and a note of who waits for an answer, into a hand-in's folder.

        Raises FileChangedError, TooLargeError, OSError.
        """
        bytes_max = self._rules.upload_bytes_max
        if dropped.size > bytes_max:
            raise TooLargeError("limits.upload_mb", bytes_max >> 20, "MB")
        path = self.taken / dropped.taken
        # what is no file must not be waited for, and no link be followed
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as source:
            facts = os.fstat(handle)
            _refuse_changed(dropped, facts)
            if not _link(path, folder.source, facts):
                with disk_errors(), open(folder.source, "wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
        note = {"taken": dropped.taken, "name": dropped.name, "recipe": dropped.recipe}
        write_atomically(folder.answer, json.dumps(note).encode())

    def check_unchanged(self, dropped: Dropped) -> None:
        """Raises FileChangedError, OSError."""
        _refuse_changed(dropped, os.lstat(self.taken / dropped.taken))

    def is_refused(self, dropped: Dropped) -> bool:
        """Tell whether it was refused before, and lies there."""
        return os.path.lexists(self.refused / dropped.taken)

    def refuse(self, dropped: Dropped, problems: list[str]) -> None:
        """Move the file away and put its problems beside it; may be repeated after a cut. Raises OSError.

        On the disk after `sync`.
        """
        text = f"{dropped.original_name} was refused at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.\n\n"
        make_shared(self.refused, SHARED_MODE)
        with open(self.refused / f"{dropped.taken}{PROBLEMS}", "wb") as file:
            os.fchmod(file.fileno(), _READABLE)
            file.write((text + "\n".join(problems) + "\n").encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.rename(self.taken / dropped.taken, self.refused / dropped.taken)

    def sync(self) -> None:
        """Force what was refused to the disk."""
        for folder in (self.refused, self.taken):
            sync_folder(folder)


def _refuse_changed(dropped: Dropped, facts: os.stat_result) -> None:
    if (facts.st_size, facts.st_mtime_ns) != (dropped.size, dropped.mtime_ns):
        raise FileChangedError("somebody still writes to it")


def _link(path: Path, source: Path, facts: os.stat_result) -> bool:
    """Let the source be the dropped file itself, where nobody else can write to that; tell whether it is."""
    if facts.st_uid != os.geteuid() or not stat.S_ISREG(facts.st_mode):
        # its owner could change what has been checked
        return False
    try:
        os.link(path, source, follow_symlinks=False)
    except OSError:
        # another file system, or one without links
        return False
    return True
