"""The seam between eomd and a dialect: what a codec is given, and what it gives back. No I/O, no layout.

A codec is found by name through the entry point group `eomd.evt_codecs`; the entry point names a factory
without arguments that returns a `Codec`. EVT/1 (`evt1`, in `wire.py`) is one; a site adds its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eomd.errors import ConfigurationError
from eomd.model import Mode

CODEC_GROUP = "eomd.evt_codecs"

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]


class Capability(Flag):
    """What a node can do."""

    NONE = 0
    IDEMPOTENT = auto()
    RESTORE = auto()


@dataclass(frozen=True, slots=True)
class Head:
    """What all rows of an operation have in common on the wire."""

    eids: tuple[int, ...]
    #: None for a query
    mode: Mode | None
    #: u63, names the operation in tokens
    operation: int


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of n rows to be sent."""

    #: uint32[n], the row's number in its operation, part of its token
    index: U32
    #: uint64[n]
    users: U64
    #: int64[n, k]; None for a query
    amounts: I64 | None = None
    #: int64[n, k]; restore only
    expected: I64 | None = None

    def __len__(self) -> int:
        return len(self.index)

    def pick(self, where: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Rows:
        """Return the rows at these positions."""
        return Rows(
            self.index[where],
            self.users[where],
            None if self.amounts is None else self.amounts[where],
            None if self.expected is None else self.expected[where],
        )


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The node has greeted: requests may be sent."""

    node: str
    capabilities: Capability
    #: in one request
    rows_max: int
    #: requests on one connection
    inflight_max: int


@dataclass(frozen=True, slots=True)
class Replied:
    """m answers of n rows each (one event holds answers of one shape that came together)."""

    #: uint32[m], the answered requests
    requests: U32
    #: uint8[m*n]: row statuses as RowStatus numbers them
    status: U8
    #: uint8[m*n]: index of the deciding counter, NO_DETAIL for none
    detail: U8
    #: int64[m*n, k]: values of a query, `before` of a modify
    before: I64
    #: int64[m*n, k]: None for a query
    after: I64 | None


@dataclass(frozen=True, slots=True)
class Ponged:
    request: int


@dataclass(frozen=True, slots=True)
class WentAway:
    """The node drains: no new requests on this connection."""

    overloaded: bool
    message: str


class Fault(Flag):
    """What a node's error means to the client, in no dialect's numbers."""

    #: nothing on this connection can be trusted: close it
    BROKEN = auto()
    #: the dialect's version is not served: give the node up until its address changes
    VERSION = auto()
    #: our request broke the node's limits: a fault of ours, the connection stays
    OURS = auto()
    #: overloaded, the request was not done: send it again later, elsewhere if possible
    OVERLOADED = auto()
    #: a node of another cluster: misconfigured, ask again after a minute
    WRONG_CLUSTER = auto()


@dataclass(frozen=True, slots=True)
class Refused:
    """The node's error."""

    #: 0 where no request can be named
    request: int
    fault: Fault
    code: int
    message: str


Event = Welcomed | Replied | Ponged | WentAway | Refused


class Session(Protocol):
    """One connection's dialect: bytes in, events out; rows in, bytes out. Sans I/O, not shared."""

    def encode_hello(self) -> bytes:
        """Return the first bytes of a connection; b"" where the dialect has no greeting."""
        ...

    def encode_ping(self, request: int) -> bytes:
        """Return a keep-alive that will be answered by `Ponged(request)`."""
        ...

    def rows_per_request_max(self, head: Head) -> int:
        """Return how many rows fit one request and its reply, both sides' limits taken together."""
        ...

    def encode_requests(self, head: Head, rows: Rows, rows_per_request: int, first_request: int) -> bytes:
        """Return ceil(n / rows_per_request) requests in one piece, numbered from `first_request` up.

        Raises EncodeError where the dialect cannot say it.
        """
        ...

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take what came from the node, in any portions; return what it amounts to, in order.

        Raises FrameError where the bytes are not the dialect: the connection must be closed, and what
        came before in the same portion is lost with it.
        """
        ...


class Codec(Protocol):
    """A dialect."""

    name: str

    def open_session(self, cluster: str, origin: bytes) -> Session:
        """Return the dialect's state for one new connection to a node of this cluster."""
        ...


def load_codec(name: str) -> Codec:
    """Return the installed codec of this name.

    Raises ConfigurationError where none or two have it, or its package fails.
    """
    points = entry_points(group=CODEC_GROUP)
    found = {point.value: point for point in points if point.name == name}
    if not found:
        known = ", ".join(sorted(points.names)) or "none"
        raise ConfigurationError(f"no codec named {name!r} is installed (installed: {known})")
    if len(found) > 1:
        raise ConfigurationError(f"several codecs are named {name!r}: {', '.join(sorted(found))}")
    [(value, point)] = found.items()
    try:
        codec: Codec = point.load()()
    except Exception as error:
        # somebody else's package: whatever is wrong with it, the configuration names it
        raise ConfigurationError(f"the codec {name!r} ({value}) cannot be loaded: {error!r}") from error
    return codec
