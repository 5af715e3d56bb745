"""The simulated clusters of a run, and the orders that make them misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eomd.errors import ConnectError
from eomd.evt.codec import I64
from eomd.evt.simulator import Counter, SimulatorSettings, UserRange
from eomd.evt.simulator.control import send_order
from eomd.evt.simulator.counters import Counters
from tests.world import Simulation, free_port, wait_until

FIRST_USER = 100_000_000
USERS = 60_000
#: the first of the users, of whom nothing can be changed
LOCKED = 600
EIDS = (1001, 1002)
FILL = 7


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    name: str
    nodes: int
    idempotent: bool
    max_rows: int
    rows_per_s: int


#: the last stands in clusters.d
SPECS = (
    ClusterSpec("fish", 3, idempotent=True, max_rows=500, rows_per_s=40_000),
    ClusterSpec("label", 2, idempotent=False, max_rows=200, rows_per_s=15_000),
    ClusterSpec("late", 1, idempotent=True, max_rows=500, rows_per_s=25_000),
)


class Cluster:
    """One simulated cluster of several nodes, with a place that takes orders."""

    def __init__(self, spec: ClusterSpec, folder: Path, seed: int) -> None:
        self.spec = spec
        self._control = free_port()
        last = FIRST_USER + USERS - 1
        flags = ["--control", f"127.0.0.1:{self._control}", "--seed", str(seed), "--fill", str(FILL)]
        flags += ["--users", f"{FIRST_USER}-{last}", "--locked", f"{FIRST_USER}-{FIRST_USER + LOCKED - 1}"]
        flags += ["--max-rows", str(spec.max_rows), "--latency-ms", "2", "--jitter-ms", "3"]
        flags += [] if spec.idempotent else ["--no-idempotent"]
        ports = [free_port() for _ in range(spec.nodes)]
        self.simulation = Simulation(folder, spec.name, ports, flags)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def state(self) -> Path:
        """The folder with its journal."""
        return self.simulation.state

    def address(self, node: int) -> str:
        return f"127.0.0.1:{self.simulation.ports[node]}"

    def order(self, **order: object) -> list[dict[str, Any]]:
        """Give an order; return how the nodes are."""
        answer: Any = send_order("127.0.0.1", self._control, order)
        assert answer["ok"], answer
        return list(answer["nodes"])

    def kill(self) -> None:
        """kill -9 of all nodes at once."""
        self.simulation.kill()

    def restart(self) -> None:
        """Come back on the same ports with the same counters, and as well behaved as at first."""
        self.simulation.restart()
        wait_until(self._takes_orders, f"{self.name} takes orders")

    def _takes_orders(self) -> bool:
        with suppress(ConnectError):
            return bool(send_order("127.0.0.1", self._control, {})["ok"])
        return False

    def initial_values(self) -> I64:
        """Return the counters as they were before anybody changed them, int64[USERS, EIDS]."""
        users = (UserRange(FIRST_USER, FIRST_USER + USERS - 1),)
        counters = tuple(Counter(eid) for eid in EIDS)
        return np.array(Counters(SimulatorSettings(users=users, counters=counters, fill=FILL)).values)


def cluster_table(spec: ClusterSpec, addresses: Sequence[str], connections: int = 4) -> str:
    """Return a cluster's keys for a configuration file."""
    nodes = ", ".join(f'"{address}:{connections}"' for address in addresses)
    return f"nodes = [{nodes}]\nrows_per_s = {spec.rows_per_s}\nreply_timeout_s = 2.0\n"
