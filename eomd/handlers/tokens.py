"""Tokens: the list, a new one (shown once), and their revocation."""

from __future__ import annotations

from datetime import UTC, datetime

from eomd.handlers.base import ApiHandler
from eomd.handlers.people_requests import TokenRequest
from eomd.handlers.people_views import grants_view
from eomd.handlers.requests import Nothing
from eomd.handlers.views import TokenView, format_time
from eomd.model import Role
from eomd.operations.caller import Operator
from eomd.storage.ledger import TokenRecord


class TokensHandler(ApiHandler):
    async def get(self) -> None:
        self.parameters(Nothing)
        self.answer([token_view(token) for token in await self.context.access.tokens.all()])

    async def post(self) -> None:
        self.parameters(Nothing)
        request = self.fields(TokenRequest)
        whose = None if request.operatorid is None else Operator(request.operatorid, request.operatorname)
        record, token = await self.context.access.tokens.add(
            request.name, Role.parse(request.role), request.expires_days, request.grants(), whose
        )
        named = {"name": record.name, "role": request.role, "operatorid": request.operatorid}
        detail = {**named, **grants_view(record.grants)}
        await self.context.desk.audit.note(self.asking(), "add_token", f"token {record.id}", detail)
        self.answer({**token_view(record), "token": token}, status=201)


class TokenHandler(ApiHandler):
    async def delete(self, id: str) -> None:
        self.parameters(Nothing)
        record = await self.context.access.tokens.revoke(id)
        await self.context.desk.audit.note(
            self.asking(), "revoke_token", f"token {record.id}", {"name": record.name}
        )
        self.answer(token_view(record))


def token_view(token: TokenRecord) -> TokenView:
    """Return what may be shown of a token: never its hash."""
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.format(),
        "created": format_time(token.created),
        "expires": _optional(token.expires),
        "revoked": _optional(token.revoked),
        "operatorid": token.operatorid,
        "operatorname": token.operatorname,
        **grants_view(token.grants),
    }


def _optional(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment.astimezone(UTC))
