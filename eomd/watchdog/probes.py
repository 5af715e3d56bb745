"""Everything the watchdog looks at, as the configuration says: nodes, ledger, disk, the server, the clock."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from pathlib import Path
from random import Random

from eomd.evt.probe import load_probe
from eomd.watchdog.charge import Charge, ClusterCharge
from eomd.watchdog.clock_probe import ClockProbe
from eomd.watchdog.cluster_probe import NodeProbe, node_subject
from eomd.watchdog.disk_probe import DiskProbe
from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.ledger_probe import LedgerProbe
from eomd.watchdog.prober import Listener, Probe, Prober
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.server_link import ServerLink
from eomd.watchdog.server_probe import ServerProbe
from eomd.watchdog.sight import Sight

log = logging.getLogger(__name__)

UNCONFIGURED = "no longer configured"
#: a watchdog that was started with another configuration may find such incidents of its predecessor open
_OF_NODES = frozenset({Kind.NODE_DOWN, Kind.NODE_MISCONFIGURED, Kind.POOL_DISAGREES})
ORIGIN_BYTES = 16


class Probes:
    """A part of the watchdog."""

    name = "probes"

    def __init__(
        self,
        charge: Charge,
        schedule: Schedule,
        incidents: Incidents,
        link: ServerLink,
        is_serving: Callable[[], bool],
    ) -> None:
        """`is_serving`: whether the server should answer now."""
        self._charge, self._incidents = charge, incidents
        self._schedule = schedule
        self._prober = Prober(schedule, incidents, charge.watchdog.probe_s, Random())
        self._clock = ClockProbe(incidents)
        self._server = ServerProbe(link, is_serving)
        #: by subject, in the configuration's order
        self._nodes: dict[str, NodeProbe] = {}
        self._running = False

    def add_listener(self, listener: Listener) -> None:
        """Call it on the loop whenever something else is believed of what is looked at."""
        self._prober.add_listener(listener)

    async def run(self) -> None:
        """Look at everything until cancelled."""
        self._begin()
        try:
            await asyncio.Event().wait()
        finally:
            self._running = False
            self._clock_looks.cancel()
            self._nodes.clear()
            await self._prober.close()

    def take_charge(self, charge: Charge) -> None:
        """Look at what another configuration names. What it names as before is looked at as before."""
        former, self._charge = self._charge, charge
        self._prober.period_s = charge.watchdog.probe_s
        if not self._running:
            return
        if charge.ledger != former.ledger:
            self._replace(LedgerProbe(charge.ledger))
        if (charge.data_dir, charge.min_free_mb) != (former.data_dir, former.min_free_mb):
            self._replace(DiskProbe(charge.data_dir, charge.min_free_mb))
        gone = {cluster.name for cluster in former.clusters if _find(charge, cluster.name) != cluster}
        self._drop_nodes(gone)
        self._add_nodes()
        self._close_strangers()

    def server_turned(self) -> None:
        """Look at the server at once: it is another one, or stands otherwise."""
        self._prober.look_now(self._server.subject)

    def node_sight(self, cluster: str, address: str) -> Sight | None:
        """Return how a node looks."""
        return self._prober.sight(node_subject(cluster, address))

    @property
    def ledger_sight(self) -> Sight | None:
        """Return how the ledger looks."""
        return self._prober.sight("ledger")

    def view(self) -> dict[str, object]:
        """Return how everything looks; without what has not been looked at."""
        return {
            "ledger": self._sight_of("ledger"),
            "disk": self._sight_of("disk"),
            "health": self._sight_of("server"),
            "clock": self._clock.view(),
            "nodes": [
                {"cluster": node.cluster, "address": node.address, **sight.view()}
                for subject, node in self._nodes.items()
                if (sight := self._prober.sight(subject)) is not None
            ],
        }

    def _sight_of(self, subject: str) -> dict[str, object] | None:
        sight = self._prober.sight(subject)
        return None if sight is None else sight.view()

    def _begin(self) -> None:
        charge = self._charge
        self._running = True
        self._prober.add(LedgerProbe(charge.ledger))
        self._prober.add(DiskProbe(charge.data_dir, charge.min_free_mb))
        self._prober.add(self._server)
        self._add_nodes()
        self._close_strangers()
        self._clock_looks = self._schedule.every(charge.watchdog.probe_s, self._clock.look)

    def _replace(self, probe: Probe) -> None:
        self._prober.remove(probe.subject, UNCONFIGURED)
        self._prober.add(probe)

    def _drop_nodes(self, clusters: set[str]) -> None:
        for subject, node in list(self._nodes.items()):
            if node.cluster in clusters:
                del self._nodes[subject]
                self._prober.remove(subject, UNCONFIGURED)

    def _add_nodes(self) -> None:
        for cluster in self._charge.clusters:
            make_session = load_probe(cluster.codec)
            if make_session is None:
                log.warning("cluster %s: no probe for codec %s is installed", cluster.name, cluster.codec)
                continue
            for address in cluster.nodes:
                node = NodeProbe(cluster.name, address, make_session, self._origin)
                if node.subject not in self._nodes:
                    self._nodes[node.subject] = node
                    self._prober.add(node)

    def _close_strangers(self) -> None:
        for incident in self._incidents.open_now:
            if incident.kind in _OF_NODES and incident.subject not in self._nodes:
                self._incidents.close(Kind(incident.kind), incident.subject, UNCONFIGURED)

    def _origin(self) -> bytes:
        return read_origin(self._charge.data_dir)


def _find(charge: Charge, name: str) -> ClusterCharge | None:
    return next((cluster for cluster in charge.clusters if cluster.name == name), None)


def read_origin(data_dir: Path) -> bytes:
    """Return the installation's origin; zeros before the server has drawn one."""
    try:
        return uuid.UUID((data_dir / "installation").read_text().strip()).bytes
    except (OSError, ValueError):
        return bytes(ORIGIN_BYTES)
