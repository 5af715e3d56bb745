"""GET and PUT /nosdata: the clusters' titles and the counters' definitions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eomd.handlers.base import ApiHandler
from eomd.handlers.body import JsonBody
from eomd.handlers.requests import Definitions, Nothing, validate
from eomd.handlers.views import DefinitionsView
from eomd.model import ClusterTitle, EidDefinition


class DefinitionsHandler(ApiHandler):
    async def get(self) -> None:
        self.parameters(Nothing)
        titles, eids = await self.context.desk.definitions()
        grants = self.asking().grants
        titles = [title for title in titles if grants.has_cluster(title.name)]
        eids = [e for e in eids if grants.has_cluster(e.cluster) and not grants.missing_eids([e.eid])]
        self.answer(definitions_view(titles, eids))

    async def put(self) -> None:
        self.parameters(Nothing)
        assert isinstance(self.body, JsonBody)
        # thousands of definitions take longer to judge than the loop may be held
        titles, eids = await asyncio.get_running_loop().run_in_executor(
            self.context.receiving, _parse_definitions, self.body
        )
        await self.context.desk.put_definitions(titles, eids, self.asking())
        self.answer(definitions_view(*await self.context.desk.definitions()))


def _parse_definitions(body: JsonBody) -> tuple[list[ClusterTitle], list[EidDefinition]]:
    request = validate(Definitions, body.value())
    titles = [ClusterTitle(entry.name, entry.title) for entry in request.clusters]
    return titles, [EidDefinition(**entry.model_dump()) for entry in request.eids]


def definitions_view(titles: Sequence[ClusterTitle], eids: Sequence[EidDefinition]) -> DefinitionsView:
    """Return all definitions as the API shows them."""
    return {
        "clusters": [{"name": title.name, "title": title.title} for title in titles],
        "eids": [
            {
                "cluster": eid.cluster,
                "eid": eid.eid,
                "name": eid.name,
                "unit": eid.unit,
                "minimum": eid.minimum,
                "maximum": eid.maximum,
                "editable": eid.editable,
            }
            for eid in eids
        ],
    }
