"""Servers whose watchdog was killed: they end by themselves, its successor waits and insists."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from contextlib import suppress

import psutil

from eomd.handover import FROM


def find_orphans(watchdog: int) -> list[int]:
    """Return the processes that the watchdog of this pid, which is gone, had started: servers and standbys.

    A server that somebody started by hand is none of them, nor is the child of another watchdog that has the
    same pid now.
    """
    return [process.pid for process in psutil.process_iter() if _is_orphan(process, watchdog)]


def _is_orphan(process: psutil.Process, watchdog: int) -> bool:
    try:
        return process.environ().get(FROM) == str(watchdog) and process.ppid() != watchdog
    except (psutil.Error, OSError):
        return False


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
