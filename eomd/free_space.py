"""How much may still be written to a disk, as server and watchdog judge it. Standard library only; blocks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

#: kept for spool and ledger; many small files take the inodes long before the bytes
INODES_RESERVED = 1000


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Of one file system, for a plain user."""

    mb: float
    #: None where the file system has no fixed number of them
    inodes: int | None

    @property
    def usable_mb(self) -> float:
        """MiB that may be written; none where new files could not be made."""
        return self.mb if self.inodes is None or self.inodes >= INODES_RESERVED else 0.0

    def __str__(self) -> str:
        inodes = "" if self.inodes is None else f" and {self.inodes} inodes"
        return f"{self.mb:.0f} MB{inodes} free"


def free_space(folder: Path) -> FreeSpace:
    """Raises OSError where the folder cannot be reached."""
    status = os.statvfs(folder)
    return FreeSpace(status.f_bavail * status.f_frsize / 2**20, status.f_favail if status.f_files else None)
