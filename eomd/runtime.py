"""Where an installation's sockets and pid files live while it runs; server, watchdog and commands agree here.

A Unix socket's path ends at 107 bytes, so the folder is short and named after the data folder's hash.
Knows the standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from eomd.errors import ConfigurationError, FolderInUseError

API_SOCKET = "api.sock"
SERVER_PID = "server.pid"
UP_PID = "up.pid"
UP_SOCKET = "up.sock"

SYSTEM_FOLDER = Path("/run/eomd")
PATH_BYTES_MAX = 99


def runtime_folder(data_dir: Path, environ: Mapping[str, str]) -> Path:
    """Return this installation's runtime folder for the calling user. It need not exist.

    Raises ConfigurationError where a socket's path in it would be too long.
    """
    return _installation_folder(_base(environ), data_dir)


def find_socket(data_dir: Path, name: str, environ: Mapping[str, str]) -> Path:
    """Return a socket of whoever runs this data folder's server; else where ours would stand.

    `name`: API_SOCKET or UP_SOCKET. Root reaches what a plain user started from the folder of that user.
    """
    own = runtime_folder(data_dir, environ) / name
    owners = {0, os.geteuid()}
    bases = [SYSTEM_FOLDER]
    with suppress(OSError):
        owner = data_dir.stat().st_uid
        owners.add(owner)
        bases.append(Path(f"/run/user/{owner}/eomd"))
        # counts only where its owner does
        bases.append(Path(f"/tmp/eomd-{owner}"))  # nosec B108
    for found in (own, *(_installation_folder(base, data_dir) / name for base in bases)):
        with suppress(OSError):
            if found.lstat().st_uid not in owners:
                raise ConfigurationError(f"{found} is somebody else's: nothing is said to it")
            return found
    return own


def _base(environ: Mapping[str, str]) -> Path:
    nearest = SYSTEM_FOLDER if SYSTEM_FOLDER.exists() else SYSTEM_FOLDER.parent
    if os.access(nearest, os.W_OK | os.X_OK):
        return SYSTEM_FOLDER
    of_session = environ.get("XDG_RUNTIME_DIR", "")
    if of_session.startswith("/") and os.access(of_session, os.W_OK | os.X_OK):
        return Path(of_session) / "eomd"
    # refused where it is not ours
    return Path(f"/tmp/eomd-{os.getuid()}")  # nosec B108


def _installation_folder(base: Path, data_dir: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(data_dir))).hexdigest()[:8]
    folder = base / name
    if len(os.fsencode(folder / API_SOCKET)) > PATH_BYTES_MAX:
        raise ConfigurationError(f"the runtime folder's path is too long for a Unix socket: {folder}")
    return folder


def make_runtime_folder(folder: Path) -> None:
    """Make the folder (0700) and the one above it. Raises ConfigurationError where another user owns them."""
    # another installation's stop may take the empty parent away between the two steps
    for _ in range(3):
        with suppress(FileNotFoundError):
            folder.parent.mkdir(mode=0o755, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            break
    _refuse_foreign(folder)
    if folder.parent != SYSTEM_FOLDER:
        _refuse_foreign(folder.parent)


def _refuse_foreign(folder: Path) -> None:
    # /tmp is everybody's: a folder or link planted there must not receive our sockets
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise ConfigurationError(f"{folder} must be a folder of the user that runs eomd")


def remove_runtime_folder(folder: Path) -> None:
    """Remove the sockets and pid files that are left, the folder, and the one above it when empty."""
    for name in (API_SOCKET, UP_SOCKET, SERVER_PID, UP_PID):
        with suppress(OSError):
            (folder / name).unlink()
    for path in (folder, folder.parent):
        with suppress(OSError):
            path.rmdir()


class PidFile:
    """A pid file that is locked as long as its writer lives, so that a stale one never misleads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def acquire(self) -> None:
        """Write our pid. Raises FolderInUseError with the holder's pid while another process holds it."""
        while self._descriptor < 0:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise FolderInUseError(
                    f"already running as process {read_pid(self.path)} ({self.path})"
                ) from None
            self._keep_if_current(descriptor)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def _keep_if_current(self, descriptor: int) -> None:
        # its last holder may have removed the file between our open and our lock
        try:
            current = os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            current = False
        if current:
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def release(self) -> None:
        """Remove the file, then let go of it."""
        if self._descriptor >= 0:
            with suppress(OSError):
                self.path.unlink()
            os.close(self._descriptor)
            self._descriptor = -1


def read_pid(path: Path) -> int | None:
    """Return the pid in the file; None where there is none."""
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):
        return None


def running_pid(path: Path) -> int | None:
    """Return the pid of the live process that holds this pid file; None where none does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_pid(path)
    finally:
        os.close(descriptor)
    return None
