"""GET /clusters and PATCH /clusters/NAME."""

from __future__ import annotations

from eomd.errors import FieldProblem, InvalidConfigError
from eomd.handlers.base import ApiHandler
from eomd.handlers.requests import ClusterChange, Nothing
from eomd.handlers.views import cluster_view


class ClustersHandler(ApiHandler):
    async def get(self) -> None:
        self.parameters(Nothing)
        granted = self.asking().grants.has_cluster
        self.answer([cluster_view(each) for each in self.context.desk.clusters() if granted(each.name)])


class ClusterHandler(ApiHandler):
    async def patch(self, name: str) -> None:
        self.parameters(Nothing)
        change = self.fields(ClusterChange)
        if change.rows_per_s is None and change.drain is None:
            raise InvalidConfigError([FieldProblem("", "expected rows_per_s or drain")])
        cluster = await self.context.desk.set_cluster(
            name, self.asking(), rows_per_s=change.rows_per_s, drain=change.drain
        )
        self.answer(cluster_view(cluster))
