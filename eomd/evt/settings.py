"""What a cluster's pool is told about its cluster."""

from __future__ import annotations

from dataclasses import dataclass

from eomd.evt.codec import Codec
from eomd.model import NodeAddress


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    name: str
    nodes: tuple[NodeAddress, ...]
    codec: Codec
    #: 16 bytes, this installation's
    origin: bytes
    #: a node that is silent so long while something is expected of it is dead
    reply_timeout_s: float = 10.0
    #: an idle connection is asked for a sign of life after so long
    idle_s: float = 5.0
    #: 0 = as fast as it goes
    rows_per_s: int = 0
