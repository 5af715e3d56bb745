"""The data folder: where sources, results, logs and the folders of operations stand, and who holds it.

Names given by people never become paths here: callers pass ids and UUIDs. All functions block on the disk
and run in an executor.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from eomd.durable import sync_folder, write_atomically
from eomd.errors import FolderInUseError
from eomd.free_space import free_space

_STORED = re.compile(r"([1-9][0-9]{0,17})-(source\.csv|result\.csv|log\.txt|verify\.csv)")
_UPLOAD = re.compile(r"upload-[0-9a-f-]{36}\.csv")
_STAGING = ".staging-"
_PRIVATE = 0o750


def parse_stored_name(name: str) -> int | None:
    """Return the operation's id that the name of one of its files holds; None for any other name."""
    match = _STORED.fullmatch(name)
    return int(match[1]) if match else None


class OperationFolder:
    """`operations/ID/`: what an operation needs to go on without the ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.json"
        self.rows = path / "rows.arrow"
        self.source = path / "source.csv"
        self.checkpoint = path / "checkpoint.json"
        self.partial = path / "partial.csv"
        #: of a read-back under way
        self.verify = path / "verify.csv"
        self.summary = path / "summary.json"
        #: what a person has decided about uncertain rows
        self.settlement = path / "settlement.npz"
        #: of a dry run that has ended: what its plan was made from
        self.plan = path / "plan.json"
        #: who waits for answers in the outbox; gone once they have the last one
        self.answer = path / "answer.json"
        #: marks an operation that has ended, the ledger or the spool knowing it
        self.ended = path / "ended"
        #: marks a hand-in whose commit was in doubt and which the caller was told is refused
        self.abandoned = path / "abandoned"

    def abandon(self) -> None:
        """Put the mark `abandoned` there and on the disk. Raises OSError."""
        self.abandoned.touch()
        sync_folder(self.path)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class DataFolder:
    """One installation's files. Only one process may hold its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = path / "files"
        self.operations = path / "operations"
        self.uploading = path / "uploading"
        self.spool = path / "spool"
        self._lock: int | None = None
        self._highest_id = 0

    def create(self) -> None:
        """Make the folders that are missing and drop uploads that were cut off by an earlier end."""
        for folder in (self.path, self.files, self.operations, self.spool):
            folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        shutil.rmtree(self.uploading, ignore_errors=True)
        self.uploading.mkdir(mode=_PRIVATE)
        stored = [parse_stored_name(path.name) or 0 for path in self.files.iterdir()]
        self._highest_id = max([0, *stored, *self.ids()])

    def lock(self) -> None:
        """Hold the folder until the process ends. Raises FolderInUseError while another one holds it."""
        self.path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise FolderInUseError(f"{self.path} is in use by another eomd server") from error
        self._lock = handle

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def origin(self) -> bytes:
        """Return the installation's 16 bytes, drawn at the first call and kept in `installation`."""
        path = self.path / "installation"
        if not path.exists():
            write_atomically(path, f"{uuid.uuid4()}\n".encode())
        return uuid.UUID(path.read_text().strip()).bytes

    def free_mb(self) -> float:
        """Return the space that may still be written, in MiB."""
        return free_space(self.path).usable_mb

    def receiving(self) -> Path:
        """Return a new path for a body being received."""
        return self.uploading / secrets.token_hex(16)

    def stage(self, hand_in: str) -> OperationFolder:
        """Make the folder of a hand-in that has no id yet."""
        folder = self.operations / f"{_STAGING}{hand_in}"
        folder.mkdir(mode=_PRIVATE)
        return OperationFolder(folder)

    def staged(self) -> list[tuple[str, OperationFolder]]:
        """Return (hand-in UUID, folder) of what an earlier end left between staging and admission."""
        found = self.operations.glob(f"{_STAGING}*")
        return [(path.name.removeprefix(_STAGING), OperationFolder(path)) for path in sorted(found)]

    def sync_staged(self) -> None:
        """Force the names of staged folders to the disk."""
        sync_folder(self.operations)

    def admit(self, staged: OperationFolder, operation: int) -> OperationFolder:
        """Give a staged hand-in its id: from now on it is the operation's. May be repeated after a cut.

        Raises OSError; the hand-in is then as it was.
        """
        [folder] = self.admit_many([(staged, operation)])
        if isinstance(folder, OSError):
            raise folder
        return folder

    def admit_many(self, pairs: Sequence[tuple[OperationFolder, int]]) -> list[OperationFolder | OSError]:
        """Give each staged hand-in its id, or say in its place why it is as it was."""
        linked = [self._link_source(staged, operation) for staged, operation in pairs]
        sync_folder(self.files)
        named = [
            self._name(staged, operation) if error is None else error
            for (staged, operation), error in zip(pairs, linked, strict=True)
        ]
        # a name that a power cut takes back is given again at the next start: the ledger has the hand-in
        with suppress(OSError):
            sync_folder(self.operations)
            for folder in named:
                if isinstance(folder, OperationFolder):
                    folder.source.unlink()
        return named

    def _link_source(self, staged: OperationFolder, operation: int) -> OSError | None:
        source = self.source(operation)
        try:
            if not source.exists():
                os.link(staged.source, source)
        except OSError as error:
            return error
        return None

    def _name(self, staged: OperationFolder, operation: int) -> OperationFolder | OSError:
        folder = self.operation(operation)
        try:
            os.rename(staged.path, folder.path)
        except OSError as error:
            return error
        self._highest_id = max(self._highest_id, operation)
        return folder

    def operation(self, operation: int) -> OperationFolder:
        return OperationFolder(self.operations / str(operation))

    def unfinished(self) -> list[int]:
        """Return the ids of operations that have not ended for good, in order."""
        return sorted(i for i in self.ids() if not self.operation(i).ended.exists())

    def ids(self) -> list[int]:
        """Return the ids of all operations that have a folder."""
        return [int(path.name) for path in self.operations.iterdir() if path.name.isdigit()]

    @property
    def highest_id(self) -> int:
        """The highest id that any file here belongs to; 0 for none. The ledger must go above it."""
        return self._highest_id

    def source(self, operation: int) -> Path:
        return self.files / f"{operation}-source.csv"

    def result(self, operation: int) -> Path:
        return self.files / f"{operation}-result.csv"

    def log(self, operation: int) -> Path:
        return self.files / f"{operation}-log.txt"

    def verify(self, operation: int) -> Path:
        return self.files / f"{operation}-verify.csv"

    def upload(self, name: str) -> Path | None:
        """Return the path of an upload by its name; None where the name is not an upload's."""
        return self.files / name if _UPLOAD.fullmatch(name) else None

    def new_upload(self) -> Path:
        return self.files / f"upload-{uuid.uuid4()}.csv"

    def uploads(self) -> list[Path]:
        return [path for path in self.files.glob("upload-*.csv") if _UPLOAD.fullmatch(path.name)]
