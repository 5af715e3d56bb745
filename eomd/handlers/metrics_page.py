"""GET /metrics: this machine may read it, and whoever has a token."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST

from eomd.errors import UnauthenticatedError
from eomd.handlers.access import is_loopback
from eomd.handlers.base import ApiHandler
from eomd.handlers.requests import Nothing


class MetricsHandler(ApiHandler):
    async def admit(self) -> None:
        if self.caller is None and not is_loopback(self.context.access.address(self.request)):
            raise UnauthenticatedError("metrics are for this machine, or with a token")
        if self.caller is not None:
            # they name every cluster
            self.caller.demand_whole()

    async def get(self) -> None:
        self.parameters(Nothing)
        self.context.show_state()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(self.context.metrics.render())
