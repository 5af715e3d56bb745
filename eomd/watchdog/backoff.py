"""How long to wait before the server is started again. Pure: clock and chance are arguments."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

#: a server that lived so long starts with a clean slate
HEALTHY_S_MIN = 10.0
#: no pause is longer, whatever the configuration says: nobody is to be waited for
SLOWEST_S = 60.0


@dataclass
class Backoff:
    """Doubling pauses with jitter, capped; forgotten after a healthy while."""

    first_s: float
    longest_s: float
    chance: random.Random = field(default_factory=random.Random)
    _pause_s: float = 0.0

    def after_exit(self, lived_s: float) -> float:
        """Return the pause, in seconds, after a server that lived so long: half to all of its step."""
        healthy = lived_s >= max(HEALTHY_S_MIN, self.longest_s)
        step = 0.0 if healthy else self._pause_s
        self._pause_s = min(self.longest_s, 2 * step if step else self.first_s)
        return self._pause_s * self.chance.uniform(0.5, 1.0)
