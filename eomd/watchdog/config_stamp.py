"""Whether the configuration's files are still those that were read, as the file system has it. Blocks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from eomd.watchdog.charge import Charge

#: path → (inode, size, time of the content, time of anything about it), None: cannot be looked at
Stamp = dict[str, tuple[int, int, int, int] | None]


def take_stamp(files: Iterable[Path], folder: Path | None) -> Stamp:
    """Look at these files and at the `*.toml` in a folder; editors rename, write in place and touch."""
    found = sorted(folder.glob("*.toml")) if folder else []
    return {str(path): _facts(path) for path in (*files, *found)}


def _facts(path: Path) -> tuple[int, int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def files_of(charge: Charge, source: Path) -> list[Path]:
    """Return what a configuration consists of beside `clusters.d`: its file, and those that it names."""
    named = [Path(path) for path in (charge.tls_cert, charge.tls_key) if path]
    secret = [charge.ledger.password_file] if charge.ledger.password_file else []
    return [source, *named, *secret]
