"""`eomd serve --standby`: all is imported beforehand, so that a restart costs only a loop's start."""

from __future__ import annotations

import ctypes
import importlib
import os
from pathlib import Path

from eomd.handover import STANDBY, Heartbeat, Sign, give_sign, wait_for_order

#: what a server needs; some of it libraries would load only when it is first used
MODULES = (
    "eomd.app",
    "eomd.evt.wire",
    "pymysql",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.sqlite",
)
#: of /proc/PID/stat behind the name in parentheses, counted from 0 (proc(5): 48 and 49 of all, from 1)
_ARGUMENTS_START, _ARGUMENTS_END = 45, 46


def import_all() -> None:
    """Import all that a server needs."""
    for name in MODULES:
        importlib.import_module(name)


def stand_by(heartbeat: int | None) -> bool:
    """Wait for the watchdog's word, having imported all: True to serve, False to end."""
    if heartbeat is not None:
        give_sign(heartbeat, Heartbeat(Sign.WAITING))
    ordered = wait_for_order(os.environ)
    if ordered:
        hide_flag(STANDBY)
    return ordered


def hide_flag(flag: str) -> None:
    """Blot a flag out of the command line that others see: a server is told from a standby by it."""
    shown = b"\0" + Path("/proc/self/cmdline").read_bytes()
    fields = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2].split()
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_END])
    offset = shown.find(b"\0" + flag.encode() + b"\0")
    if start and offset >= 0:
        _close_gap(start + offset, len(flag) + 1, end)


def _close_gap(place: int, length: int, end: int) -> None:
    """Move what follows over it, and end the arguments with zeros."""
    ctypes.memmove(place, place + length, end - place - length)
    ctypes.memset(end - length, 0, length)
