"""What a simulated cluster is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from eomd.evt.frame import FRAME_BYTES_MAX
from eomd.evt.simulator.faults import Faults
from eomd.model import VALUE_MAX, VALUE_MIN


@dataclass(frozen=True, slots=True)
class UserRange:
    """Users that exist: `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Counter:
    """An EID that exists."""

    eid: int
    minimum: int = VALUE_MIN
    maximum: int = VALUE_MAX
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """The defaults make a cluster of one node that anybody can use at once."""

    cluster: str = "fish"
    #: one node each; port 0 takes a free one
    listen: tuple[tuple[str, int], ...] = (("127.0.0.1", 0),)
    #: folder of the journal and its snapshot; None: a temporary one, removed at the end
    state: Path | None = None
    users: tuple[UserRange, ...] = (UserRange(1, 999_999), UserRange(100_000_000, 100_999_999))
    #: of these users nothing can be modified
    locked: tuple[UserRange, ...] = ()
    counters: tuple[Counter, ...] = (Counter(1001), Counter(1002))
    #: counters start at random values drawn from this seed; None: at 0
    fill: int | None = None
    #: rows in one request
    max_rows: int = 4096
    #: requests on one connection
    max_inflight: int = 32
    #: bytes of a frame's body
    max_frame: int = FRAME_BYTES_MAX
    restore: bool = True
    #: what every node does wrong from the start
    faults: Faults = field(default_factory=Faults)
    #: of everything that faults leave to chance
    seed: int = 0
    #: where orders are taken; None: nowhere
    control: tuple[str, int] | None = None
