"""Whether a server has outgrown what it is given: memory over the limit, descriptors near theirs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import psutil

#: share of the descriptors' limit that calls for a restart while there is still room to drain
DESCRIPTORS_SHARE = 0.9
#: looks in a row over a limit before it counts: what is freed again at once is no reason
STRIKES = 2


class Resource(StrEnum):
    MEMORY = "memory"
    DESCRIPTORS = "descriptors"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server has at one moment."""

    rss_mb: int
    descriptors: int
    descriptors_max: int


def take_usage(process: psutil.Process) -> Usage | None:
    """Return what the process uses; None where it is gone."""
    try:
        soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
        return Usage(process.memory_info().rss >> 20, process.num_fds(), soft)
    except psutil.Error:
        return None


class Excess:
    """Counts strikes of one server."""

    def __init__(self, rss_limit_mb: int) -> None:
        self._rss_limit_mb = rss_limit_mb
        self._strikes = dict.fromkeys(Resource, 0)

    def judge(self, usage: Usage) -> dict[Resource, str]:
        """Return what is over its limit for good, each with a sentence."""
        descriptors_limit = int(usage.descriptors_max * DESCRIPTORS_SHARE)
        over = {
            Resource.MEMORY: (
                usage.rss_mb > self._rss_limit_mb,
                f"uses {usage.rss_mb} MB, over watchdog.rss_limit_mb = {self._rss_limit_mb}",
            ),
            Resource.DESCRIPTORS: (
                usage.descriptors_max > 0 and usage.descriptors > descriptors_limit,
                f"holds {usage.descriptors} of at most {usage.descriptors_max} open files",
            ),
        }
        for resource, (is_over, _) in over.items():
            self._strikes[resource] = self._strikes[resource] + 1 if is_over else 0
        return {resource: said for resource, (_, said) in over.items() if self._strikes[resource] >= STRIKES}
