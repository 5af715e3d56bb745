"""What the handlers have in common that answer with an operation."""

from __future__ import annotations

from eomd.handlers.base import ApiHandler
from eomd.handlers.views import OperationView, earlier_view, operation_view
from eomd.model import Operation


class ViewingHandler(ApiHandler):
    def view(self, operation: Operation) -> OperationView:
        return operation_view(operation, *self.context.desk.rate(operation.id))

    async def answer_new(self, operation: Operation, created: bool) -> None:
        """Answer what makes an operation; `created`: it did."""
        earlier = earlier_view(await self.context.desk.earlier(operation))
        self.answer({**self.view(operation), "earlier": earlier}, status=201 if created else 200)
