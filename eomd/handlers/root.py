"""GET /: says where the API is."""

from __future__ import annotations

from eomd import __version__
from eomd.handlers.base import ApiHandler
from eomd.handlers.route import API_PREFIX


class RootHandler(ApiHandler):
    async def get(self) -> None:
        self.answer(
            {
                "service": "eomd",
                "version": __version__,
                "api": API_PREFIX,
                "openapi": f"{API_PREFIX}/openapi.json",
            }
        )

    head = get
