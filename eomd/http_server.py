"""Tornado's server with a bound on how many connections it keeps.

Those a few beyond the bound are still heard, so that they can be told why they are refused; all others are
closed as they come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

#: beyond the bound that are told so
TOLD_MAX = 64


class BoundedServer(HTTPServer):
    """One listening socket's. `bound` is asked at each connection; who is told so stands in `excess`."""

    def initialize(  # type: ignore[override]
        self, *args: Any, bound: Callable[[], int], excess: WeakSet[IOStream], **kwargs: Any
    ) -> None:
        super().initialize(*args, **kwargs)
        self._bound, self._excess = bound, excess

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        beyond = len(self._connections) - self._bound()
        if beyond >= TOLD_MAX:
            stream.close()
            return
        if beyond >= 0:
            self._excess.add(stream)
        super().handle_stream(stream, address)
