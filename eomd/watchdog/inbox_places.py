"""The inbox's folders: made where they are missing, looked at again and again, told where they are ill.

Blocks on the disk; for one thread at a time. Knows nothing of the files in them.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eomd.durable import write_atomically
from eomd.inbox_layout import REFUSED, SHARED_MODE, TAKEN, TAKEN_MODE
from eomd.shared_folder import make_shared
from eomd.watchdog.charge import InboxCharge

#: holds the id of a `.taken` folder: whether it is the one that claims are about
ID_FILE = ".id"
_ID_BYTES = 8

#: device and number of a folder: what stands at its path is the same folder as before
Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that files are dropped into."""

    #: the recipe's name; "" for the inbox itself
    recipe: str
    path: Path
    #: None where it cannot be used
    identity: Identity | None
    #: why it cannot be used
    trouble: str | None = None
    #: it was not there and has been made
    made: bool = False
    #: when a file came or went last
    mtime_ns: int = 0

    @property
    def subject(self) -> str:
        """What incidents are about."""
        return f"inbox/{self.recipe}" if self.recipe else "inbox"


@dataclass(frozen=True, slots=True)
class Places:
    """How the inbox stands at one look."""

    #: the inbox itself first
    drops: tuple[Place, ...]
    taken: Path
    #: of the `.taken` folder; None where it cannot be used
    taken_id: str | None

    def usable(self) -> Iterator[Place]:
        """Yield the places whose files can be taken."""
        if self.taken_id is not None:
            yield from (place for place in self.drops if place.identity is not None)


def look_at_places(inbox: InboxCharge) -> Places:
    """Make what is missing and say how everything stands."""
    root = _look("", inbox.path)
    taken = inbox.path / TAKEN
    if root.identity is None:
        return Places((root,), taken, None)
    recipes = [_look(name, inbox.path / name) for name in sorted(inbox.recipes)]
    try:
        make_shared(inbox.path / REFUSED, SHARED_MODE)
        taken_id = _identify_taken(taken)
    except OSError as error:
        root = Place(root.recipe, root.path, None, _explain(error))
        return Places((root, *recipes), taken, None)
    return Places((root, *recipes), taken, taken_id)


def _look(recipe: str, path: Path) -> Place:
    try:
        made = make_shared(path, SHARED_MODE)
        facts = path.stat()
    except OSError as error:
        return Place(recipe, path, None, _explain(error))
    trouble = None
    if not stat.S_ISDIR(facts.st_mode):
        trouble = "it is no folder"
    elif not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
        trouble = "it may not be read by eomd"
    elif not os.access(path, os.W_OK, effective_ids=True):
        trouble = "files may not be taken out of it by eomd"
    identity = None if trouble else (facts.st_dev, facts.st_ino)
    return Place(recipe, path, identity, trouble, made, facts.st_mtime_ns)


def _identify_taken(taken: Path) -> str:
    """Return the id of the `.taken` folder, drawn where it has none."""
    make_shared(taken, TAKEN_MODE)
    if not os.access(taken, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise PermissionError(f"{taken.name} may not be used by eomd")
    path = taken / ID_FILE
    try:
        known = path.read_text().strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = secrets.token_hex(_ID_BYTES)
        write_atomically(path, f"{known}\n".encode())
    return known


def _explain(error: OSError) -> str:
    return f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
