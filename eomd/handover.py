"""What the watchdog and the server it starts say to each other without HTTP: sockets, signs of life, orders.

Both sides use this file. The protocol is environment names beside inherited descriptors:

    EOMD_HANDOVER_FROM=4711            the watchdog's pid: the names count for its direct child alone
    EOMD_HANDOVER_SOCKETS=http=3,api=4 listening sockets; `api` is the Unix socket, each other name is HTTP
    EOMD_HANDOVER_HEARTBEAT=5          the pipe that signs of life go up: a JSON object a line, see Heartbeat
    EOMD_HANDOVER_STACKS=6             the pipe that stacks go up, on SIGUSR1 and from a crash
    EOMD_HANDOVER_ORDERS=7             a standby's alone: a byte is the order to serve, the end that to end

The heartbeat pipe's other end closing means that the watchdog is gone: the server drains and ends.
Knows the standard library only.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

API = "api"
HTTP = "http"

FROM = "EOMD_HANDOVER_FROM"
_SOCKETS = "EOMD_HANDOVER_SOCKETS"
_HEARTBEAT = "EOMD_HANDOVER_HEARTBEAT"
_STACKS = "EOMD_HANDOVER_STACKS"
_ORDERS = "EOMD_HANDOVER_ORDERS"

#: a pipe takes so much as a whole or not at all
LINE_BYTES_MAX = 1024
_PROBLEM_BYTES_MAX = 400
_SERVE = b"s"
#: of the command line: import everything, then wait for the order
STANDBY = "--standby"


class Sign(StrEnum):
    """What a line on the heartbeat pipe says."""

    #: a standby: its imports are done, it waits for the order to serve
    WAITING = "waiting"
    #: the loop runs, connections are not accepted yet
    STARTING = "starting"
    #: connections are accepted; said once, then `alive`
    READY = "ready"
    ALIVE = "alive"
    #: takes no new work and will end by itself
    DRAINING = "draining"
    #: the data folder is free for the next server; answers that are under way go on
    HANDED_OVER = "handed_over"
    #: will not start: see `problem`
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One sign of life."""

    sign: Sign
    #: how late the loop was at worst since the sign before
    lag_s: float = 0.0
    #: by clusters, since the start
    rows_answered: int = 0
    #: age of the oldest request that no cluster has answered
    oldest_s: float | None = None
    #: the last round trip to the ledger
    ledger_s: float | None = None
    #: why the configuration cannot be used
    problem: str = ""

    def format(self) -> bytes:
        """Return the line; what is left at its default is left out."""
        facts = {name: value for name, value in asdict(self).items() if value or name == "sign"}
        if self.problem:
            problem = " ".join(self.problem.split())
            facts["problem"] = problem.encode()[:_PROBLEM_BYTES_MAX].decode(errors="ignore")
        return json.dumps(facts, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Heartbeat:
        """Raises ValueError for what is none."""
        try:
            facts: dict[str, Any] = json.loads(line)
            return cls(**{**facts, "sign": Sign(facts["sign"])})
        except (TypeError, LookupError) as error:
            raise ValueError(f"no sign of life: {line[:LINE_BYTES_MAX]!r}") from error


def handover_environment(
    sockets: Mapping[str, socket.socket],
    heartbeat: int,
    *,
    stacks: int | None = None,
    orders: int | None = None,
) -> dict[str, str]:
    """Return the names for a child that inherits these descriptors under their present numbers."""
    pipes = {_HEARTBEAT: heartbeat, _STACKS: stacks, _ORDERS: orders}
    return {
        FROM: str(os.getpid()),
        _SOCKETS: ",".join(f"{name}={s.fileno()}" for name, s in sockets.items()),
        **{name: str(number) for name, number in pipes.items() if number is not None},
    }


def _is_for_us(environ: Mapping[str, str]) -> bool:
    # a grandchild inherits the names, but not the descriptors
    return environ.get(FROM) == str(os.getppid())


def inherited_sockets(environ: Mapping[str, str]) -> dict[str, socket.socket]:
    """Return the listening sockets handed down, by name; none where nobody handed any.

    Call once per process: a second call would make a second owner of the same descriptors.
    """
    if not _is_for_us(environ):
        return {}
    pairs = (pair.partition("=") for pair in environ.get(_SOCKETS, "").split(",") if pair)
    return {name: socket.socket(fileno=_own(int(number))) for name, _, number in pairs}


def heartbeat_pipe(environ: Mapping[str, str]) -> int | None:
    """Return the heartbeat pipe's write end, non-blocking; None where no watchdog listens."""
    descriptor = _pipe(environ, _HEARTBEAT)
    if descriptor is not None:
        os.set_blocking(descriptor, False)
    return descriptor


def stacks_pipe(environ: Mapping[str, str]) -> int | None:
    """Return the pipe that stacks are written to; None where no watchdog wants them."""
    return _pipe(environ, _STACKS)


def _pipe(environ: Mapping[str, str], name: str) -> int | None:
    number = environ.get(name)
    return _own(int(number)) if number is not None and _is_for_us(environ) else None


def _own(descriptor: int) -> int:
    os.set_inheritable(descriptor, False)
    return descriptor


def order_to_serve(orders: int) -> None:
    """Have the standby at the other end of this pipe serve."""
    os.write(orders, _SERVE)


def wait_for_order(environ: Mapping[str, str]) -> bool:
    """Block until a standby is ordered to serve; False where it is to end, or nobody is there to order it."""
    orders = _pipe(environ, _ORDERS)
    if orders is None:
        return False
    try:
        return os.read(orders, 1) == _SERVE
    finally:
        os.close(orders)


def give_sign(heartbeat: int, beat: Heartbeat) -> bool:
    """Write one sign of life; False once the watchdog has gone. A full pipe (a slow reader) is no fault."""
    try:
        os.write(heartbeat, beat.format())
    except BlockingIOError:
        return True
    except BrokenPipeError:
        return False
    return True
