"""GET /: the console where it was built, else where the API is; under API_PREFIX always that."""

from __future__ import annotations

from eomd import __version__
from eomd.handlers.console import ConsoleHandler
from eomd.handlers.console_files import HOW_TO_BUILD
from eomd.handlers.route import API_PREFIX


class RootHandler(ConsoleHandler):
    async def get(self) -> None:
        built = self.context.console.page is not None
        if built and self.request.path == "/":
            self.send_page()
            return
        self.answer(
            {
                "service": "eomd",
                "version": __version__,
                "api": API_PREFIX,
                "openapi": f"{API_PREFIX}/openapi.json",
                "console": "/" if built else HOW_TO_BUILD,
            }
        )

    head = get
