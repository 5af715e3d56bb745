"""A small disk of the run's own: a tmpfs in a mount namespace that the rig moves into."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

DISK_MB = 1024
#: set inside the namespace
_INSIDE = "EOMD_CHAOS_INSIDE"


def move_into_namespace(module: str, arguments: Sequence[str]) -> None:
    """Start this program again where it may mount; return where it may not, or is there already."""
    if _INSIDE in os.environ:
        return
    plain = ["--user", "--map-root-user"] if os.geteuid() else []
    unshare = ["unshare", *plain, "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        return
    os.environ[_INSIDE] = "1"
    os.execvp("unshare", [*unshare, sys.executable, "-m", module, *arguments])


def may_mount() -> bool:
    return _INSIDE in os.environ


class Disk:
    """Its free space can be taken away and given back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: held by who relies on there being space
        self.steady = Lock()
        self.short = False
        folder.mkdir()
        if may_mount():
            _mount("-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder))

    def shrink(self, left_mb: float) -> None:
        """Leave so much free space."""
        with self.steady:
            facts = os.statvfs(self.folder)
            used = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
            self._resize(used + int(left_mb * (1 << 20)))
            self.short = True

    def grow(self) -> None:
        """Give back what was taken away."""
        with self.steady:
            self._resize(DISK_MB << 20)
            self.short = False

    def close(self) -> None:
        if may_mount():
            subprocess.run(["umount", "--lazy", self.folder], check=True)

    def _resize(self, size: int) -> None:
        _mount("-o", f"remount,size={size}", str(self.folder))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
