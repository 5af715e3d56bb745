"""A server whose watchdog was killed: it drains by itself, its successor waits and insists."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from pathlib import Path

_HANDED_DOWN = b"EOMD_HANDOVER_FROM="


def _had_watchdog(pid: int) -> bool:
    try:
        return _HANDED_DOWN in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


async def end_orphan(pid: int, drain_s: float) -> bool:
    """Return True once the process is gone: by itself, after SIGTERM, or killed after `drain_s`.

    False at once, without touching it, for a server that somebody started by hand.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not _had_watchdog(pid):
            return _has_ended(pidfd)
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not await _wait(pidfd, drain_s):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            await _wait(pidfd, drain_s)
        return _has_ended(pidfd)
    except ProcessLookupError:
        return True
    finally:
        os.close(pidfd)


def _has_ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 0)[0])


async def _wait(pidfd: int, seconds: float) -> bool:
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
