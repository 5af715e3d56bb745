"""The simulated cluster: a store, its nodes and a loop for them in a thread of its own.

The object may be used from any thread, with or without a loop; what it does happens on the cluster's loop.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from eomd.errors import ConfigurationError
from eomd.evt.codec import I64
from eomd.evt.simulator.control import ControlServer
from eomd.evt.simulator.journal import JournalBlock, read_journal
from eomd.evt.simulator.node import Node
from eomd.evt.simulator.settings import SimulatorSettings
from eomd.evt.simulator.store import Store
from eomd.model import NodeAddress

#: what an order may do besides setting faults
ACTIONS = ("start", "stop", "close", "drain")

T = TypeVar("T")


class SimulatedCluster:
    """Nodes that share one set of counters."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        #: where the journal is; made for the occasion and removed at the end where the settings name none
        self.state = settings.state or Path(tempfile.mkdtemp(prefix="evtsim-"))
        #: known once started
        self.nodes: list[Node] = []
        self._store: Store | None = None
        self._control: ControlServer | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="evtsim", daemon=True)

    def start(self) -> Self:
        """Bring the counters back and listen.

        Raises OSError, FolderInUseError, JournalDamagedError, ConfigurationError.
        """
        self._thread.start()
        try:
            self._run(self._start())
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything; the state stays where the settings named a folder for it."""
        if self._thread.is_alive():
            self._run(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        if self.settings.state is None:
            shutil.rmtree(self.state, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def control(self) -> NodeAddress | None:
        """Where orders are taken."""
        return self._control.address if self._control else None

    def start_node(self, number: int) -> None:
        """Let a stopped node listen again on its port."""
        self._run(self.carry_out({"node": number, "do": "start"}))

    def stop_node(self, number: int) -> None:
        """Let a node die: it listens no more and its connections break."""
        self._run(self.carry_out({"node": number, "do": "stop"}))

    def order(self, *, node: int | None = None, **orders: object) -> None:
        """Change faults by their names, or `do` one of ACTIONS, at one node or at all.

        Raises ConfigurationError, having changed nothing.
        """
        self._run(self.carry_out(orders if node is None else {**orders, "node": node}))

    def counts(self) -> dict[str, int]:
        """Return what all nodes together have seen, by the names of NodeCounts."""
        counts = self._call(lambda: [node.counts.as_dict() for node in self.nodes])
        return {name: sum(one[name] for one in counts) for name in counts[0]}

    def values(self, eids: Iterable[int], users: Iterable[int]) -> I64:
        """Return counters as they stand, int64[n, k], 0 where there is none."""
        asked, store = np.fromiter(users, np.uint64), self._store
        assert store, "not started"
        return self._call(lambda: store.query(tuple(eids), asked).before)

    def journal(self) -> list[JournalBlock]:
        """Return everything ever applied, in order, each row once."""
        return list(read_journal(self.state))

    async def carry_out(self, order: object) -> None:
        """Do what an order says (docs/simulator.md); on the cluster's loop. Raises ConfigurationError."""
        if not isinstance(order, dict):
            raise ConfigurationError("an order is an object")
        faults = dict(order)
        nodes, action = self._pick_nodes(faults.pop("node", None)), faults.pop("do", None)
        if action is not None and action not in ACTIONS:
            raise ConfigurationError(f"do: expected one of {', '.join(ACTIONS)}, found {action!r}")
        changed = [node.faults.change(faults) for node in nodes]
        for node, node_faults in zip(nodes, changed, strict=True):
            node.faults = node_faults
            await node.carry_out(action)

    def describe(self) -> list[dict[str, object]]:
        """Return every node's name, address, faults and counts; on the cluster's loop."""
        return [node.describe() for node in self.nodes]

    def _pick_nodes(self, number: object) -> list[Node]:
        if number is None:
            return self.nodes
        if type(number) is not int or not 0 <= number < len(self.nodes):
            raise ConfigurationError(f"node: expected 0 to {len(self.nodes) - 1}, found {number!r}")
        return [self.nodes[number]]

    async def _start(self) -> None:
        settings = self.settings
        self._store = Store(self.state, settings)
        for number, (host, port) in enumerate(settings.listen):
            name = f"{settings.cluster}-{_name_of(number)}"
            node = Node(name, NodeAddress(host, port), self._store, settings)
            self.nodes.append(node)
            await node.start()
        if settings.control:
            self._control = ControlServer(self.carry_out, self.describe)
            await self._control.start(*settings.control)

    async def _stop(self) -> None:
        if self._control:
            await self._control.stop()
        for node in self.nodes:
            node.stop()
        # the transports' own closing needs a turn of the loop
        await asyncio.sleep(0)
        if self._store:
            self._store.close()
            self._store = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return self._run(call())


def _name_of(number: int) -> str:
    """Return a, b, …, z, aa, ab, …"""
    letter = chr(ord("a") + number % 26)
    return letter if number < 26 else _name_of(number // 26 - 1) + letter
