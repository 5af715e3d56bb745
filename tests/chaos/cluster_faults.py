"""Faults of the clusters: whole ones and single nodes."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from eomd.watchdog.kinds import Kind
from tests.chaos.fault import IncidentFault
from tests.chaos.system import System


class _NodeFault(IncidentFault):
    """A fault of one node, as an order to the simulated cluster."""

    kinds: tuple[str, ...] = (Kind.NODE_DOWN,)
    order: ClassVar[dict[str, object]]
    order_back: ClassVar[dict[str, object]]

    def __init__(self, system: System, random: Random) -> None:
        super().__init__(system, random)
        self.cluster = system.clusters[random.choice(["fish", "label"])]
        self.node = random.randrange(self.cluster.spec.nodes)
        self.address = self.cluster.address(self.node)
        self.subject = f"cluster {self.cluster.name}"
        self.about = self.address

    def begin(self) -> None:
        self.cluster.order(node=self.node, **self.order)

    def heal(self) -> None:
        self.cluster.order(node=self.node, **self.order_back)

    def healed(self) -> bool:
        """Tell whether it is used again, and no incident speaks of it."""
        seen = self.system.eyes.node(self.cluster.name, self.address)
        return seen is not None and seen["state"] == "up" and self.closed()


class NodeDown(_NodeFault):
    name = "node down"
    order: ClassVar = {"do": "stop"}
    order_back: ClassVar = {"do": "start"}


class NodeMute(_NodeFault):
    name = "node mute"
    order: ClassVar = {"silent": True}
    order_back: ClassVar = {"silent": False}


class NodeSlow(_NodeFault):
    name = "node slow"
    order: ClassVar = {"latency_ms": 5000.0}
    order_back: ClassVar = {"latency_ms": 2.0}


class NodeCorrupting(_NodeFault):
    """Every answer has a wrong checksum."""

    name = "node corrupting"
    order: ClassVar = {"wrong_crc_share": 1.0}
    order_back: ClassVar = {"wrong_crc_share": 0.0}


class NodeGarbling(_NodeFault):
    """Now and then a byte is wrong: too seldom for the probe to be sure to meet it."""

    name = "node garbling some"
    silent = True
    order: ClassVar = {"corrupt_share": 0.1}
    order_back: ClassVar = {"corrupt_share": 0.0}


class NodeLosesAnswers(_NodeFault):
    """Does what it is asked, and hangs up instead of saying so."""

    name = "node losing answers"
    silent = True
    order: ClassVar = {"close_after": 7, "close_when": "after"}
    order_back: ClassVar = {"close_after": 0}


class NodeOfAnother(_NodeFault):
    name = "node of another cluster"
    kinds = (Kind.NODE_MISCONFIGURED,)
    order: ClassVar = {"claim_cluster": "leisure", "do": "close"}
    order_back: ClassVar = {"claim_cluster": ""}


class ClusterKilled(_NodeFault):
    """All nodes at once: its operations wait."""

    name = "cluster killed"

    def begin(self) -> None:
        self.cluster.kill()

    def heal(self) -> None:
        self.cluster.restart()
