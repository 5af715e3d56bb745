"""One-time links by which somebody logs in without a password. No I/O, no clock: the time is an argument.

Kept in memory alone, as hashes: they live for minutes, and another life of the server need not know them.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

#: random bytes of a code: 43 characters of base64
CODE_BYTES = 32
CODE_CHARACTERS_MAX = 64
LINK_LIFE = timedelta(minutes=10)
#: links that are valid at a time; the oldest goes first
LINKS_MAX = 100


class Links:
    """The links that nobody has used yet, by the hash of their code, oldest first."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, datetime]] = {}

    def make(self, user: str, now: datetime) -> tuple[str, datetime]:
        """Return a code, this once, and when it expires."""
        self._drop(now)
        while len(self._open) >= LINKS_MAX:
            del self._open[next(iter(self._open))]
        code, expires = secrets.token_urlsafe(CODE_BYTES), now + LINK_LIFE
        self._open[_hash(code)] = user, expires
        return code, expires

    def take(self, code: str, now: datetime) -> str | None:
        """Return whose link this is, and let nobody use it again; None for one that is none (any more)."""
        self._drop(now)
        user, _ = self._open.pop(_hash(code), (None, now))
        return user

    def forget(self, user: str) -> None:
        """Make all links of a user useless."""
        self._open = {code: link for code, link in self._open.items() if link[0] != user}

    def _drop(self, now: datetime) -> None:
        self._open = {code: link for code, link in self._open.items() if link[1] > now}


def _hash(code: str) -> str:
    """It has 256 random bits, so that one round is enough."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
