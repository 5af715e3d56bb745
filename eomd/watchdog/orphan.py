"""Servers whose watchdog was killed: they end by themselves, its successor waits and insists."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from eomd.handover import FROM


def find_orphans(watchdog: int) -> list[int]:
    """Return the processes that the watchdog of this pid, which is gone, had started: servers and standbys.

    A server that somebody started by hand is none of them.
    """
    mark = f"{FROM}={watchdog}\0".encode()
    return [pid for pid in _processes() if pid != os.getpid() and mark in _environment(pid)]


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
    except OSError:
        return b""


async def end_orphan(pid: int, drain_s: float) -> None:
    """Return once the process is gone: after SIGTERM, or killed after `drain_s`."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            # a stopped one hears it only once it goes on
            for number in (signal.SIGTERM, signal.SIGCONT):
                signal.pidfd_send_signal(pidfd, number)
            if not await _wait(pidfd, drain_s):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                await _wait(pidfd, drain_s)
        finally:
            os.close(pidfd)


async def _wait(pidfd: int, seconds: float) -> bool:
    if select.select([pidfd], [], [], 0)[0]:
        return True
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True
