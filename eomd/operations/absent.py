"""A cluster that is not configured: stands in for one, so that its operations wait instead of being lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eomd.evt.cluster import Work
from eomd.evt.codec import U32


@dataclass(frozen=True, slots=True)
class AbsentSettings:
    """What a runner reads of a cluster's settings."""

    reply_timeout_s: float = 0.0


class AbsentCluster:
    """Never reachable; nothing was ever sent to it."""

    settings = AbsentSettings()
    reachable = False
    drained = False
    idempotent = None

    def __init__(self, name: str) -> None:
        self.name = name

    def attach(self, work: Work) -> None:
        raise RuntimeError(f"cluster {self.name} is not configured")

    async def detach(self, work: Work, timeout_s: float) -> tuple[U32, U32]:
        return np.array([], np.uint32), np.array([], np.uint32)

    def wake(self, work: Work | None = None) -> None:
        """Nothing can be sent."""

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Nothing ever changes here."""

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Nothing ever changes here."""
