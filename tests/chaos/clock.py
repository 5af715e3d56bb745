"""The wall clock of the processes under test, set by libfaketime; the rig's own runs on."""

from __future__ import annotations

import glob
from pathlib import Path

_LIBRARY = "/usr/lib/*/faketime/libfaketime.so.1"


class Clock:
    """Shifted while a run goes on; what is started with `environ` goes by it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._libraries = glob.glob(_LIBRARY)
        self.shift(0)

    @property
    def can_jump(self) -> bool:
        return bool(self._libraries)

    @property
    def environ(self) -> dict[str, str]:
        if not self.can_jump:
            return {}
        return {
            "LD_PRELOAD": self._libraries[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # the file is looked into once a second
            "FAKETIME_CACHE_DURATION": "1",
        }

    def shift(self, seconds: int) -> None:
        """Have the clock differ by so much from now on."""
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{seconds:+d}s\n")
        beside.replace(self._file)
