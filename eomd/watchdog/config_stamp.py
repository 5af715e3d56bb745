"""Whether the configuration's files are still those that were read, as the file system has it. Blocks."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from eomd.watchdog.charge import Charge

#: path → (inode, size, time of the content, time of anything about it), None: cannot be looked at
Stamp = dict[str, tuple[int, int, int, int] | None]
#: folders that are there → which one it is: (device, inode)
Folders = dict[Path, tuple[int, int]]


def take_look(files: Collection[Path], folder: Path | None) -> tuple[Stamp, Folders]:
    """Look at these files, at the `*.toml` in a folder, and at the folders where one of them may change."""
    around = {path.parent for path in files} | ({folder} if folder else set())
    return take_stamp(files, folder), find_folders(around)


def take_stamp(files: Collection[Path], folder: Path | None) -> Stamp:
    """Look at these files and at the `*.toml` in a folder; editors rename, write in place and touch."""
    found = sorted(folder.glob("*.toml")) if folder else []
    return {str(path): _facts(path) for path in (*files, *found)}


def _facts(path: Path) -> tuple[int, int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def find_folders(paths: Collection[Path]) -> Folders:
    found: Folders = {}
    for path in paths:
        with suppress(OSError):
            facts = path.stat()
            found[path] = facts.st_dev, facts.st_ino
    return found


def files_of(charge: Charge, source: Path) -> list[Path]:
    """Return what a configuration consists of beside `clusters.d`: its file, and those that it names."""
    named = [Path(path) for path in (charge.tls_cert, charge.tls_key) if path]
    secret = [charge.ledger.password_file] if charge.ledger.password_file else []
    return [source, *named, *secret]
