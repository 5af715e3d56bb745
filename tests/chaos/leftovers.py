"""What a run has left behind: processes, descriptors, sockets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.chaos.system import System

#: a server that has settled may hold so many descriptors more than one that was started a moment ago
GROWTH_MAX = 12


def count_descriptors(system: System) -> dict[str, int]:
    """Return how many descriptors watchdog and server hold."""
    pids = {"the watchdog": system.unit.pid, "the server": system.eyes.server_pid()}
    return {name: len(_descriptors(pid)) for name, pid in pids.items() if pid is not None}


def _descriptors(pid: int) -> list[str]:
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(os.readlink(path))
    return found


def check_running(system: System, before: dict[str, int]) -> Iterator[str]:
    """Descriptors of the two processes at rest, against those at the start."""
    after = count_descriptors(system)
    for name, count in after.items():
        if count > before.get(name, 0) + GROWTH_MAX:
            yield f"{name} holds {count} descriptors, {before.get(name, 0)} at the start"
    for pid in system.unit.processes():
        for target in _descriptors(pid):
            if target.startswith(str(system.data)) and target.endswith("(deleted)"):
                yield f"process {pid} holds {target}"


def check_ended(system: System) -> Iterator[str]:
    """After the orderly end there is nothing any more."""
    for pid in system.unit.processes():
        with suppress(psutil.Error):
            yield f"process {pid} is left: {' '.join(psutil.Process(pid).cmdline())}"
    if system.runtime.exists():
        yield f"{system.runtime} is left: {sorted(path.name for path in system.runtime.iterdir())}"
