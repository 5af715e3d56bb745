"""Telling the server what the watchdog sees, and hearing how the server sees the same things.

Told at each change and every few seconds; what the server has missed, because it was away or held up, it is
told with the next word. Where server and probe see a node or the ledger differently for long, that is an
incident.
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

_DISAGREEMENTS = frozenset({Kind.POOL_DISAGREES, Kind.LEDGER_DISAGREES})

View = Callable[[], object]
#: a kind of disagreement, and whom it is about
_Matter = tuple[Kind, str]


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
        #: since when server and probe see something differently
        self._apart_since_s: dict[_Matter, float] = {}
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
        return {"told_ago_s": ago_s, "disagreeing": sorted(subject for _, subject in self._apart_since_s)}

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
        self._compare(self._find_apart(seen))

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

    def _find_apart(self, seen: dict[str, Any]) -> dict[_Matter, str]:
        """Return what server and probe see differently, each with a sentence.

        A ledger that only the probe cannot reach is told of as such already.
        """
        apart = {}
        for node in seen["nodes"]:
            sight = self._probes.node_sight(node["cluster"], node["address"])
            if sight is not None and _differ(sight.state, node):
                matter = Kind.POOL_DISAGREES, node_subject(node["cluster"], node["address"])
                apart[matter] = _tell_node(sight.state, node)
        ledger = self._probes.ledger_sight
        if ledger is not None and ledger.state == UP and seen["ledger"] == DOWN:
            summary = (
                f"for the probe the ledger is up, for the server down{_because(seen.get('ledger_error'))}"
            )
            apart[Kind.LEDGER_DISAGREES, "ledger"] = summary
        return apart

    def _compare(self, apart: Mapping[_Matter, str]) -> None:
        now_s = self._clock()
        self._apart_since_s = {matter: self._apart_since_s.get(matter, now_s) for matter in apart}
        for (kind, subject), since_s in self._apart_since_s.items():
            if now_s - since_s >= DISAGREE_S:
                self._incidents.open(kind, subject, apart[kind, subject])
        for incident in self._incidents.open_now:
            if incident.kind in _DISAGREEMENTS and (Kind(incident.kind), incident.subject) not in apart:
                self._incidents.close(Kind(incident.kind), incident.subject, "they agree again")


def _differ(probe: str, node: dict[str, Any]) -> bool:
    """Tell whether one of them says up and the other down; what lies between contradicts nobody."""
    pool = node["state"]
    if probe == UP:
        return pool in (DOWN, "connecting", "misconfigured") or bool(node.get("failing"))
    return bool(probe == DOWN and pool == UP)


def _tell_node(probe: str, node: dict[str, Any]) -> str:
    pool = "failing" if node.get("failing") else node["state"]
    because = _because(node.get("error")) if probe == UP else ""
    return f"for the probe the node is {probe}, for the pool {pool}{because}"


def _because(error: str | None) -> str:
    return f": {error}" if error else ""
