"""GET /audit and GET /diary: what people did, and what became of the server."""

from __future__ import annotations

from eomd.handlers.base import ApiHandler
from eomd.handlers.console_views import audit_view, diary_view
from eomd.handlers.requests import AuditRequest, DiaryRequest
from eomd.storage.ledger import AuditFilter


class AuditHandler(ApiHandler):
    async def get(self) -> None:
        asked = self.parameters(AuditRequest)
        wanted = AuditFilter(
            operation=asked.operation,
            who=asked.who,
            action=asked.action,
            from_=asked.from_,
            to=asked.to,
            before=asked.before,
            limit=asked.limit,
        )
        items = await self.context.desk.ledger.audit_page(wanted)
        following = items[-1].id if len(items) == asked.limit else None
        self.answer({"items": [audit_view(entry) for entry in items], "before": following})


class DiaryHandler(ApiHandler):
    async def get(self) -> None:
        asked = self.parameters(DiaryRequest)
        self.answer([diary_view(entry) for entry in await self.context.desk.diary(asked.limit)])
