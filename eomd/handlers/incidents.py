"""GET /incidents: what the watchdog saw and did."""

from __future__ import annotations

from eomd.handlers.base import ApiHandler
from eomd.handlers.requests import IncidentsRequest
from eomd.handlers.views import incident_view
from eomd.storage.ledger import IncidentFilter


class IncidentsHandler(ApiHandler):
    async def get(self) -> None:
        asked = self.parameters(IncidentsRequest)
        clusters = self.asking().grants.clusters
        wanted = IncidentFilter(asked.open, asked.kind, clusters, asked.page, asked.page_size)
        total, items = await self.context.desk.incidents.page(wanted)
        self.answer(
            {
                "total": total,
                "page": asked.page,
                "page_size": asked.page_size,
                "items": [incident_view(incident) for incident in items],
            }
        )
