"""What the watchdog hands to the server it starts: listening sockets and the heartbeat pipe.

Both sides use this file. The protocol is three environment names beside inherited descriptors:

    EOMD_HANDOVER_FROM=4711            the watchdog's pid: the names count for its direct child alone
    EOMD_HANDOVER_SOCKETS=http=3,api=4 listening sockets; `api` is the Unix socket, each other name is HTTP
    EOMD_HANDOVER_HEARTBEAT=5          the pipe's write end; one byte is one sign of life

Knows the standard library only.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Mapping
from enum import Enum

API = "api"
HTTP = "http"

_FROM = "EOMD_HANDOVER_FROM"
_SOCKETS = "EOMD_HANDOVER_SOCKETS"
_HEARTBEAT = "EOMD_HANDOVER_HEARTBEAT"


class Sign(Enum):
    """What a byte on the heartbeat pipe says."""

    #: the server accepts connections; sent once
    READY = b"r"
    ALIVE = b"."
    #: it takes no new work and will end by itself; sent once
    DRAINING = b"d"


def handover_environment(sockets: Mapping[str, socket.socket], heartbeat: int) -> dict[str, str]:
    """Return the names for a child that inherits these descriptors under their present numbers."""
    return {
        _FROM: str(os.getpid()),
        _SOCKETS: ",".join(f"{name}={s.fileno()}" for name, s in sockets.items()),
        _HEARTBEAT: str(heartbeat),
    }


def _is_for_us(environ: Mapping[str, str]) -> bool:
    # a grandchild inherits the names, but not the descriptors
    return environ.get(_FROM) == str(os.getppid())


def inherited_sockets(environ: Mapping[str, str]) -> dict[str, socket.socket]:
    """Return the listening sockets handed down, by name; none where nobody handed any.

    Call once per process: a second call would make a second owner of the same descriptors.
    """
    if not _is_for_us(environ):
        return {}
    pairs = (pair.partition("=") for pair in environ.get(_SOCKETS, "").split(",") if pair)
    return {name: _own(int(number)) for name, _, number in pairs}


def _own(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


def heartbeat_pipe(environ: Mapping[str, str]) -> int | None:
    """Return the heartbeat pipe's write end, non-blocking; None where no watchdog listens."""
    number = environ.get(_HEARTBEAT)
    if number is None or not _is_for_us(environ):
        return None
    descriptor = int(number)
    os.set_inheritable(descriptor, False)
    os.set_blocking(descriptor, False)
    return descriptor


def give_sign(heartbeat: int, sign: Sign = Sign.ALIVE) -> bool:
    """Write one sign of life; False once the watchdog has gone. A full pipe (a slow reader) is no fault."""
    try:
        os.write(heartbeat, sign.value)
    except BlockingIOError:
        return True
    except BrokenPipeError:
        return False
    return True


def watchdog_gone(heartbeat: int) -> bool:
    """Tell without writing whether the pipe's other end is closed."""
    poll = select.poll()
    poll.register(heartbeat, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))
