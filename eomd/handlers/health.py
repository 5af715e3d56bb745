"""GET /health: whether the service is well, for anybody; which part is not, with a token."""

from __future__ import annotations

from eomd.handlers.base import ApiHandler
from eomd.handlers.requests import Nothing


class HealthHandler(ApiHandler):
    async def get(self) -> None:
        self.parameters(Nothing)
        self.answer(self.context.health(self.caller.grants if self.caller is not None else None))

    head = get
