"""Looking at the space under the data folder, bytes and inodes, by the server's own limits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from eomd.free_space import FreeSpace, free_space
from eomd.watchdog.incidents import Kind
from eomd.watchdog.off_loop import OffLoop
from eomd.watchdog.sight import DOWN, UP, Finding, Sight

#: hand-ins are refused; operations pause
LOW, SHORT = "low", "short"
UNREACHABLE = "unreachable"


class DiskProbe:
    """The file system that holds the data folder."""

    subject = "disk"
    deadline_s = 3.0
    kinds: Mapping[str, Kind] = {
        LOW: Kind.DISK_LOW,
        SHORT: Kind.DISK_LOW,
        UNREACHABLE: Kind.DISK_LOW,
        # a look that came to no end
        DOWN: Kind.DISK_LOW,
    }

    def __init__(self, folder: Path, min_free_mb: int) -> None:
        self._folder, self._min_free_mb = folder, min_free_mb
        self._off_loop: OffLoop[Finding] = OffLoop("disk-probe")

    async def look(self) -> Finding:
        return await self._off_loop.run(self._look)

    def _look(self) -> Finding:
        started_s = time.monotonic()
        try:
            space = free_space(self._folder)
        except OSError as error:
            return Finding(UNREACHABLE, f"{self._folder}: {error.strerror}")
        latency_ms = (time.monotonic() - started_s) * 1000
        state = judge(space, self._min_free_mb)
        return Finding(state, "" if state == UP else f"{space} under {self._folder}", latency_ms)

    def tell(self, sight: Sight) -> str:
        if sight.state == UP:
            return "there is space again"
        effect = {LOW: "hand-ins are refused: ", SHORT: "operations pause: "}.get(sight.state, "")
        return effect + sight.reason

    def close(self) -> None:
        """Nothing is kept between looks."""


def judge(space: FreeSpace, min_free_mb: int) -> str:
    """Return the state that so much free space is."""
    if not space.usable_mb or space.usable_mb < min_free_mb:
        return SHORT
    return LOW if space.usable_mb < 2 * min_free_mb else UP
