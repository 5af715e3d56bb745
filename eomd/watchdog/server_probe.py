"""Asking the server's own /health: its loop may give signs of life while nobody is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from eomd.watchdog.incidents import Kind
from eomd.watchdog.server_link import ServerAwayError, ServerLink
from eomd.watchdog.sight import UNKNOWN, UP, Finding, Sight

MUTE = "mute"
ANSWER_S_MAX = 5.0
OK = 200


class ServerProbe:
    """The server, while it should answer."""

    subject = "server"
    #: the link's own deadline comes first
    deadline_s = 2 * ANSWER_S_MAX
    kinds: Mapping[str, Kind] = {MUTE: Kind.HEALTH}

    def __init__(self, link: ServerLink, is_serving: Callable[[], bool]) -> None:
        self._link, self._is_serving = link, is_serving

    async def look(self) -> Finding:
        if not self._is_serving():
            return Finding(UNKNOWN)
        started_s = time.monotonic()
        try:
            status, _ = await self._link.call("GET", "/health", timeout_s=ANSWER_S_MAX)
        except ServerAwayError as error:
            # it may have begun to restart while we asked
            return Finding(MUTE, str(error)) if self._is_serving() else Finding(UNKNOWN)
        if status != OK:
            return Finding(MUTE, f"/health answers with status {status}")
        return Finding(UP, latency_ms=(time.monotonic() - started_s) * 1000)

    def tell(self, sight: Sight) -> str:
        return "the server answers" if sight.state == UP else f"the server does not answer: {sight.reason}"

    def close(self) -> None:
        """The link belongs to others too."""
