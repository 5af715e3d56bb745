"""Operations: the list, one of them, its rows and summary, and what a person may do to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eomd.errors import ForbiddenError
from eomd.handlers.base import ApiHandler
from eomd.handlers.child_requests import CHILD_REQUESTS, SettleRequest, UncertainRequest
from eomd.handlers.console_views import event_view
from eomd.handlers.requests import DecisionRequest, Nothing, OperationsRequest, RowsRequest
from eomd.handlers.viewing import ViewingHandler
from eomd.model import Kind, Role
from eomd.operations.desk import Verdict
from eomd.storage.ledger import OperationFilter


class OperationsHandler(ViewingHandler):
    """The page of operations that the MIS shows; asked by query string or by JSON."""

    async def get(self) -> None:
        await self._list(self.parameters(OperationsRequest))

    async def post(self) -> None:
        self.parameters(Nothing)
        await self._list(self.fields(OperationsRequest))

    async def _list(self, request: OperationsRequest) -> None:
        caller = self.asking()
        wanted = replace(_filter(request), grants=caller.grants)
        if wanted.operatorid is None and caller.role < Role.APPROVER:
            if caller.operator is None:
                raise ForbiddenError(
                    "everybody's operations are for the role approver; add operatorid for one operator's"
                )
            wanted = replace(wanted, operatorid=caller.operator.id)
        total, items = await self.context.desk.operations(wanted)
        self.answer(
            {
                "total": total,
                "page": request.page,
                "page_size": request.page_size,
                "items": [self.view(item) for item in items],
            }
        )


class OperationHandler(ViewingHandler):
    async def get(self, id: str) -> None:
        self.parameters(Nothing)
        self.answer(self.view(await self.context.desk.operation(self.parse_id(id))))


class RowsHandler(ApiHandler):
    async def get(self, id: str) -> None:
        request = self.parameters(RowsRequest)
        operation = self.parse_id(id)
        page = request.status, request.offset, request.limit, request.user
        self.answer(await self.context.desk.rows(operation, *page))


class SummaryHandler(ApiHandler):
    async def get(self, id: str) -> None:
        self.parameters(Nothing)
        self.answer(await self.context.desk.summary(self.parse_id(id)))


class TimelineHandler(ApiHandler):
    async def get(self, id: str) -> None:
        self.parameters(Nothing)
        events = await self.context.desk.timeline(self.parse_id(id))
        self.answer({"items": [event_view(event) for event in events]})


class ActionHandler(ViewingHandler):
    """Cancel, pause, resume: the route says which."""

    def initialize(self, action: str, **rest: Any) -> None:  # type: ignore[override]
        super().initialize(**rest)
        self._action = action

    async def post(self, id: str) -> None:
        self.parameters(Nothing)
        self.fields(Nothing)
        desk = self.context.desk
        act = {"cancel": desk.cancel, "pause": desk.pause, "resume": desk.resume}[self._action]
        self.answer(self.view(await act(self.parse_id(id), self.asking())))


class ChildHandler(ViewingHandler):
    """Commit, retry, undo: the route says which."""

    def initialize(self, kind: Kind, **rest: Any) -> None:  # type: ignore[override]
        super().initialize(**rest)
        self._kind = kind

    async def post(self, id: str) -> None:
        self.parameters(Nothing)
        request = self.fields(CHILD_REQUESTS[self._kind])
        derive = self.context.desk.derive
        child, created = await derive(self._kind, self.parse_id(id), request.desire(), self.asking())
        await self.answer_new(child, created)


class SettleHandler(ViewingHandler):
    """Uncertain rows: what they are, and what a person decides about them."""

    async def get(self, id: str) -> None:
        request = self.parameters(UncertainRequest)
        self.answer(await self.context.desk.uncertain(self.parse_id(id), request.offset, request.limit))

    async def post(self, id: str) -> None:
        self.parameters(Nothing)
        request = self.fields(SettleRequest)
        operation, again = self.parse_id(id), request.verdict is Verdict.SEND_AGAIN
        settled, decided = await self.context.desk.settle(
            operation, request.rows, request.verdict, request.desire(), self.asking()
        )
        self.answer(self.view(settled), status=201 if again and decided else 200)


class DecisionHandler(ViewingHandler):
    """Approve, reject: the route says which."""

    def initialize(self, approve: bool, **rest: Any) -> None:  # type: ignore[override]
        super().initialize(**rest)
        self._approve = approve

    async def post(self, id: str) -> None:
        self.parameters(Nothing)
        said = self.fields(DecisionRequest).model_dump()
        decided = self.context.desk.decide(self.parse_id(id), self.asking(), said, approve=self._approve)
        self.answer(self.view(await decided))


def _filter(request: OperationsRequest) -> OperationFilter:
    return OperationFilter(
        operatorid=request.operatorid,
        from_=request.from_,
        to=request.to,
        state=request.state,
        cluster=request.cluster,
        model=request.model,
        q=request.q,
        before=request.before,
        page=request.page,
        page_size=request.page_size,
    )
