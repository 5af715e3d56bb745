"""Telling the server what the watchdog sees, and hearing how the server sees the same things.

Told at each change and every few seconds; what the server has missed, because it was away or held up, it is
told with the next word. Where a pool and a probe see a node differently for long, that is an incident.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from eomd.model import Severity
from eomd.watchdog.charge import Charge
from eomd.watchdog.cluster_probe import node_subject
from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.probes import Probes
from eomd.watchdog.server_link import ServerAwayError, ServerLink
from eomd.watchdog.sight import DOWN, UP

log = logging.getLogger(__name__)

#: between two words
PERIOD_S = 5.0
ANSWER_S_MAX = 5.0
#: a pool waits up to 5 s before it connects again, and then for an answer
DISAGREE_S = 20.0
OK = 200

View = Callable[[], object]


class Reporter:
    """A part of the watchdog."""

    name = "reporter"

    def __init__(
        self,
        link: ServerLink,
        probes: Probes,
        incidents: Incidents,
        clock: Callable[[], float],
        is_serving: Callable[[], bool],
        views: Mapping[str, View],
    ) -> None:
        """`views`: of further parts, by the name under which the server is told."""
        self._link, self._probes, self._incidents = link, probes, incidents
        self._clock, self._is_serving, self._views = clock, is_serving, views
        self._wake = asyncio.Event()
        self._spooled = False
        self._told_at_s: float | None = None
        #: since when pool and probe see a node differently
        self._apart_since_s: dict[str, float] = {}
        probes.add_listener(lambda probe, sight: self.tell_soon())
        incidents.add_listener(lambda incident: self.tell_soon())
        incidents.add_spool_listener(self._hear_spool)

    def tell_soon(self) -> None:
        """Have the server told: something has changed."""
        self._wake.set()

    def take_charge(self, charge: Charge) -> None:
        """Nothing of a configuration concerns it."""

    def view(self) -> dict[str, object]:
        ago_s = None if self._told_at_s is None else round(self._clock() - self._told_at_s, 1)
        return {"told_ago_s": ago_s, "disagreeing": sorted(self._apart_since_s)}

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self._wake.clear()
            if self._is_serving():
                await self._tell()
            try:
                async with asyncio.timeout(PERIOD_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _hear_spool(self) -> None:
        self._spooled = True
        self._wake.set()

    async def _tell(self) -> None:
        try:
            if self._spooled:
                await self._call("POST", "/internal/incidents", None)
                self._spooled = False
            seen = await self._call("PUT", "/internal/watch", self._word())
        except ServerAwayError as error:
            log.info("the server is not told: %s", error)
            self._apart_since_s.clear()
            return
        self._told_at_s = self._clock()
        self._compare(seen["nodes"])

    async def _call(self, method: str, path: str, body: object) -> Any:
        """Return the answer's data. Raises ServerAwayError for a refusal too: it is told again anyway."""
        status, answer = await self._link.call(method, path, body, timeout_s=ANSWER_S_MAX)
        if status != OK:
            raise ServerAwayError(f"{path} answers with status {status}: {answer}")
        return answer["data"]

    def _word(self) -> dict[str, object]:
        grave = [each for each in self._incidents.open_now if each.severity is not Severity.NOTICE]
        views = {name: view() for name, view in self._views.items()}
        return {**self._probes.view(), **views, "incidents_open": len(grave)}

    def _compare(self, nodes: list[dict[str, Any]]) -> None:
        apart = {}
        for node in nodes:
            sight = self._probes.node_sight(node["cluster"], node["address"])
            if sight is not None and _differ(sight.state, node["state"]):
                apart[node_subject(node["cluster"], node["address"])] = (sight.state, node["state"])
        now_s = self._clock()
        self._apart_since_s = {subject: self._apart_since_s.get(subject, now_s) for subject in apart}
        for subject, since_s in self._apart_since_s.items():
            if now_s - since_s >= DISAGREE_S:
                probe, pool = apart[subject]
                summary = f"for the probe the node is {probe}, for the pool {pool}"
                self._incidents.open(Kind.POOL_DISAGREES, subject, summary)
        for incident in self._incidents.open_now:
            if incident.kind == Kind.POOL_DISAGREES and incident.subject not in apart:
                self._incidents.close(Kind.POOL_DISAGREES, incident.subject, "they agree again")


def _differ(probe: str, pool: str) -> bool:
    """Tell whether one of them says up and the other down; what lies between contradicts nobody."""
    return (probe == UP and pool in (DOWN, "connecting", "misconfigured")) or (probe == DOWN and pool == UP)
