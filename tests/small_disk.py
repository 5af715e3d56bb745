"""A small disk to be filled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class SmallDisk:
    """A tmpfs that is seen only by who goes `through` to it: so mounting needs no root."""

    def __init__(self, folder: Path, options: str = "size=64m") -> None:
        folder.mkdir()
        self.folder = folder
        plain = os.geteuid() != 0
        made_by = ["unshare", "--mount", *(["--user", "--map-root-user"] if plain else [])]
        script = f'mount -t tmpfs -o {options} tmpfs "$0" && echo mounted && exec cat'
        self._keeper = subprocess.Popen(
            [*made_by, "sh", "-c", script, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"mounted\n"
        self.through = ["nsenter", f"--target={self._keeper.pid}", "--mount", f"--wd={Path.cwd()}"]
        self.through += ["--user", "--preserve-credentials"] if plain else []

        #: as seen from here
        self.path = Path(f"/proc/{self._keeper.pid}/root{folder}")

    def run(self, *command: str) -> str:
        """Run a command where the disk can be seen, and return what it says."""
        return subprocess.run(
            [*self.through, *command], check=True, capture_output=True, text=True
        ).stdout.strip()

    def close(self) -> None:
        self._keeper.communicate()

    def fill(self, leave_mb: int) -> Path:
        """Write a file that leaves so much space; return it, as seen from here."""
        filler = self.path / "filler"
        facts = os.statvfs(filler.parent)
        filler.write_bytes(bytes(facts.f_bavail * facts.f_frsize - (leave_mb << 20)))
        return filler
