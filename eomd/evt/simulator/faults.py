"""What a simulated node can be told to do wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from eomd.errors import ConfigurationError

When = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Faults:
    """One node's faults; counts are per connection, shares from 0 to 1."""

    #: every answer comes so much later
    latency_ms: float = 0.0
    #: and by chance up to so much more, each for itself, so that answers come in another order
    jitter_ms: float = 0.0
    #: the connection ends instead of answering its n-th request
    close_after: int = 0
    #: that request is dropped before, or lost after it was done
    close_when: When = "after"
    #: from its n-th request on, the connection says nothing any more
    mute_after: int = 0
    #: those requests are dropped before, or lost after they were done
    mute_when: When = "after"
    #: takes connections, and says and does nothing at all
    silent: bool = False
    #: of the answers, the greeting and PONG among them, have a wrong CRC
    wrong_crc_share: float = 0.0
    #: of the replies have one wrong byte, anywhere but in the request id, which nothing guards
    corrupt_share: float = 0.0
    #: of the rows are answered BUSY, not done
    busy_share: float = 0.0
    #: of the rows are answered INTERNAL, not done
    internal_share: float = 0.0
    #: of the requests are answered ERROR 4, not done
    overloaded_share: float = 0.0
    #: the node says GOAWAY after a connection's n-th request
    goaway_after: int = 0
    #: sends every byte on its own
    one_byte: bool = False
    #: says that it is a node of this cluster instead of its own; "": it does not
    claim_cluster: str = ""
    #: serves no version
    refuse_version: bool = False
    #: knows no tokens, and applies every copy; connections that were promised otherwise keep what they have
    no_idempotent: bool = False

    def change(self, orders: Mapping[str, object]) -> Faults:
        """Return the faults with these fields changed. Raises ConfigurationError for a wrong one."""
        known = {field.name: field for field in fields(self)}
        for name, value in orders.items():
            if name not in known:
                raise ConfigurationError(f"no fault is named {name!r} (known: {', '.join(sorted(known))})")
            _check(name, getattr(Faults(), name), value)
        return replace(self, **orders)  # type: ignore[arg-type]


def _check(name: str, default: object, value: object) -> None:
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    if type(value) not in kinds:
        raise ConfigurationError(f"{name}: expected {type(default).__name__}, found {value!r}")
    if name.endswith("_when") and value not in ("before", "after"):
        raise ConfigurationError(f"{name}: expected before or after, found {value!r}")
    highest = 1.0 if name.endswith("_share") else float("inf")
    if isinstance(value, int | float) and not 0 <= value <= highest:
        raise ConfigurationError(f"{name}: {value} is outside 0 to {highest}")
