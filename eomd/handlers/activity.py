"""GET /activity: rows per second and latency of the last hour."""

from __future__ import annotations

from datetime import UTC, datetime

from eomd.handlers.base import ApiHandler
from eomd.handlers.console_views import activity_view
from eomd.handlers.requests import ActivityRequest
from eomd.operations.activity import STEP_S


class ActivityHandler(ApiHandler):
    async def get(self) -> None:
        asked = self.parameters(ActivityRequest)
        desk, granted = self.context.desk, self.asking().grants.has_cluster
        clusters = [cluster for cluster in desk.clusters() if granted(cluster.name)]
        points = asked.minutes * 60 // STEP_S
        self.answer(activity_view(desk.activity, clusters, points, datetime.now(UTC)))
