"""One node of a simulated cluster: it listens, counts, and answers what its connections read."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomd.evt import bodies
from eomd.evt.bodies import RequestBatch
from eomd.evt.codec import U8
from eomd.evt.columns import CRC_AT, REQUEST_AT
from eomd.evt.frame import IDEMPOTENT_BIT, RESTORE_BIT, Welcome
from eomd.evt.simulator.connection import Connection
from eomd.evt.simulator.counters import Outcome, blank_outcome, fill_outcome
from eomd.evt.simulator.faults import Faults
from eomd.evt.simulator.settings import SimulatorSettings
from eomd.evt.simulator.store import Store
from eomd.evt.simulator.turn import Greeting, Turn
from eomd.model import NodeAddress, RowStatus


@dataclass(slots=True)
class NodeCounts:
    """What a node has seen since its start; what a client owes never to do is counted too."""

    connections: int = 0
    requests: int = 0
    query_rows: int = 0
    modify_rows: int = 0
    replayed_rows: int = 0
    pings: int = 0
    #: requests beyond max_inflight
    over_inflight: int = 0
    #: requests beyond max_rows
    over_rows: int = 0
    malformed: int = 0
    #: the most connections there were at once
    connections_peak: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Node:
    """One listening address. Everything but `faults` is to be touched on the cluster's loop only."""

    def __init__(self, name: str, address: NodeAddress, store: Store, settings: SimulatorSettings) -> None:
        self.name = name
        #: its port is known once it has listened
        self.address = address
        self.settings = settings
        self.faults: Faults = settings.faults
        self.counts = NodeCounts()
        self.connections: set[Connection] = set()
        self.random = np.random.default_rng(settings.seed)
        self.turn = Turn(settings, self.answer)
        self._store = store
        self._server: asyncio.Server | None = None

    @property
    def listening(self) -> bool:
        return self._server is not None

    @property
    def welcome(self) -> Welcome:
        """What it says of itself."""
        settings = self.settings
        capabilities = IDEMPOTENT_BIT * (not self.faults.no_idempotent) | RESTORE_BIT * settings.restore
        return Welcome(self.name, capabilities, settings.max_rows, settings.max_inflight, settings.max_frame)

    async def start(self) -> None:
        """Listen, again on the same port if it did before. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), self.address.host, self.address.port, start_serving=False
        )
        await self._server.start_serving()
        port = self._server.sockets[0].getsockname()[1]
        self.address = NodeAddress(self.address.host, port)

    def stop(self) -> None:
        """Listen no more and break every connection, as a node that dies does."""
        self._stop_listening()
        self.close_connections()

    def close_connections(self) -> None:
        """Break every connection."""
        for connection in list(self.connections):
            connection.abort()

    async def carry_out(self, action: str | None) -> None:
        """Do one of cluster.ACTIONS, or nothing. Raises OSError where a port is taken."""
        if action == "start" and not self.listening:
            await self.start()
        elif action == "stop":
            self.stop()
        elif action == "close":
            self.close_connections()
        elif action == "drain":
            self.drain()

    def describe(self) -> dict[str, object]:
        """Return what an order is answered with."""
        return {
            "name": self.name,
            "address": str(self.address),
            "listening": self.listening,
            "connections": len(self.connections),
            "faults": asdict(self.faults),
            "counts": self.counts.as_dict(),
        }

    def drain(self) -> None:
        """Listen no more, say GOAWAY on every connection, and end each when it has answered."""
        self._stop_listening()
        for connection in list(self.connections):
            connection.drain()

    def _stop_listening(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    def answer(self, greeting: Greeting, batch: RequestBatch) -> U8:
        """Do what m requests ask; return their replies, uint8[m, frame bytes]."""
        outcome = self._decide(greeting, batch)
        self._count(batch, outcome)
        if batch.head.mode is None:
            replies = bodies.encode_values(batch.requests, outcome.before, outcome.status, outcome.detail)
        else:
            replies = bodies.encode_modified(batch.requests, *_reply_columns(outcome))
        if self.faults.wrong_crc_share:
            replies[self.draw(len(replies), self.faults.wrong_crc_share), CRC_AT] ^= 1
        if self.faults.corrupt_share:
            self._corrupt(replies)
        return replies

    def _corrupt(self, replies: U8) -> None:
        """Change one byte of some replies, not of a request id: who gets another's reply cannot know."""
        hit = np.flatnonzero(self.draw(len(replies), self.faults.corrupt_share))
        at = self.random.integers(0, replies.shape[1] - 4, len(hit))
        at[at >= REQUEST_AT] += 4
        replies[hit, at] ^= self.random.integers(1, 256, len(hit), np.uint8)

    def draw(self, count: int, share: float) -> NDArray[np.bool_]:
        """Return bool[count], true by chance in this share."""
        return self.random.random(count) < share

    def _decide(self, greeting: Greeting, batch: RequestBatch) -> Outcome:
        rows, faults = batch.rows, self.faults
        if not (faults.busy_share or faults.internal_share):
            return self._do(greeting, batch)
        chance = self.random.random(len(rows))
        busy = chance < faults.busy_share
        internal = ~busy & (chance < faults.busy_share + faults.internal_share)
        spared = ~(busy | internal)
        outcome = blank_outcome(len(rows), len(batch.head.eids))
        if spared.any():
            some = RequestBatch(batch.head, batch.requests, rows.pick(spared))
            fill_outcome(outcome, spared, self._do(greeting, some))
        outcome.status[busy] = RowStatus.BUSY
        outcome.status[internal] = RowStatus.INTERNAL
        return outcome

    def _do(self, greeting: Greeting, batch: RequestBatch) -> Outcome:
        if batch.head.mode is None:
            return self._store.query(batch.head.eids, batch.rows.users)
        return self._store.modify(greeting.hello.origin, batch.head, batch.rows, greeting.idempotent)

    def _count(self, batch: RequestBatch, outcome: Outcome) -> None:
        counts = self.counts
        counts.requests += len(batch.requests)
        if batch.head.mode is None:
            counts.query_rows += len(batch.rows)
        else:
            counts.modify_rows += len(batch.rows)
            counts.replayed_rows += int(np.count_nonzero(outcome.status == RowStatus.REPLAYED))


def _reply_columns(outcome: Outcome) -> tuple[Any, Any, Any, Any]:
    return outcome.before, outcome.after, outcome.status, outcome.detail
