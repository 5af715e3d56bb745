"""Files found without an event: whether they have stood still for long enough. Pure; the clock is given."""

from __future__ import annotations

from collections.abc import Hashable

#: files watched at a time; more wait until some of them have gone
TRACKED_MAX = 20_000


class StandStill:
    """Remembers of each file how it looked and since when, as one number and one time."""

    def __init__(self, quiet_s: float) -> None:
        self.quiet_s = quiet_s
        self._since: dict[int, float] = {}
        self._seen: set[int] = set()

    def has_stood(self, looks: Hashable, now_s: float) -> bool:
        """Tell whether a file that looks so (name, size, times) has looked so for `quiet_s`."""
        key = hash(looks)
        since = self._since.get(key)
        if since is None:
            if len(self._since) >= TRACKED_MAX:
                return False
            since = self._since[key] = now_s
        self._seen.add(key)
        return now_s - since >= self.quiet_s

    def end_look(self) -> None:
        """Forget the files that were not asked about since the last call: gone, or changed."""
        self._since = {key: since for key, since in self._since.items() if key in self._seen}
        self._seen = set()

    def due_s(self, now_s: float) -> float | None:
        """Return when the next file will have stood still; None where none is waited for."""
        ends = (since + self.quiet_s for since in self._since.values())
        return min((end for end in ends if end > now_s), default=None)
