"""One node of a cluster: keeps as many connections to it as its budget allows, and knows how it fares.

While the node is not up, one connection at a time is tried; the others follow the first greeting.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Protocol

from eomd.evt.backoff import Backoff
from eomd.evt.codec import Capability, Fault, Refused, Welcomed, WentAway
from eomd.evt.connection import Connection, Ending, Patience, Phase
from eomd.evt.flight import Landed, Portion
from eomd.evt.parcel import Parcel
from eomd.evt.settings import ClusterSettings
from eomd.evt.shift import Shift
from eomd.model import Mode, NodeAddress, NodeState

logger = logging.getLogger(__name__)

RECONNECT_FIRST_S = 0.1
RECONNECT_LONGEST_S = 5.0
#: how long an overloaded node is left alone, doubling
REST_FIRST_S = 0.05
REST_LONGEST_S = 2.0
#: between two looks whether a node of another cluster has become ours
MISCONFIGURED_S = 60.0
#: an attempt to connect that has hung so long is made anew once the node is known to be back
STALE_S = 1.0
#: connections in a row that greeted and broke before anything was answered, until the node counts as failing
FAILING_MIN = 3
#: weight of the newest reply time in the mean that is shown
LATENCY_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as people see it."""

    address: str
    #: as the node calls itself; None before its first greeting
    name: str | None
    state: NodeState
    #: UTC
    since: datetime
    #: moving mean of the reply times, None before the first
    latency_ms: float | None
    #: open now
    connections: int
    budget: int
    #: requests
    inflight: int
    capabilities: tuple[str, ...]
    last_error: str | None
    #: it greets, and then answers nothing as it should
    failing: bool = False


class Pool(Protocol):
    """What a node tells the cluster; all called on the loop."""

    def changed(self) -> None:
        """The state of a node, or what it can do, is another."""

    def due(self, when_s: float) -> None:
        """Call `Node.tick` at this time at the latest."""

    def landed(self, landed: list[Landed], latency_s: float, node: str) -> None:
        """Rows were answered by the node of this address."""

    def returned(self, portion: Portion, parcel: Parcel) -> None:
        """Rows were refused and surely not done; they may be sent again at once."""

    def faulted(self, portion: Portion, parcel: Parcel) -> None:
        """Rows were refused because of a fault of ours."""

    def lost(self, portion: Portion, parcel: Parcel) -> None:
        """Rows were sent and will not be answered."""


class Node:
    """The shell around one address."""

    def __init__(
        self, address: NodeAddress, settings: ClusterSettings, pool: Pool, random: Random, shift: Shift
    ) -> None:
        self.address = address
        #: of host and port alone
        self._named = str(address)
        self.state = NodeState.CONNECTING
        self.capabilities: Capability | None = None
        self.connections: list[Connection] = []
        self._settings, self._pool, self._shift = settings, pool, shift
        self._since = datetime.now(UTC)
        self._name: str | None = None
        self._latency_s: float | None = None
        self._last_error: str | None = None
        self._clock = time.monotonic
        self._backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_LONGEST_S, random)
        self._rest = Backoff(REST_FIRST_S, REST_LONGEST_S, random)
        #: no connection is opened before; inf: never again
        self._attempt_s = -math.inf
        self._failed_s = -math.inf
        self._rests_until_s = -math.inf
        #: have greeted and not answered anything yet; how many such ones have broken since the last answer
        self._unproven: set[Connection] = set()
        self._barren = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._retired = False
        #: to be replaced, one after the other
        self._worn: list[Connection] = []

    def serves(self, mode: Mode | None, now_s: float) -> bool:
        """Tell whether requests of this mode may be given to its connections now."""
        if now_s < self._rests_until_s:
            return False
        return mode is not Mode.RESTORE or Capability.RESTORE in (self.capabilities or Capability.NONE)

    def tick(self, now_s: float) -> float:
        """Do what is due; return when to come again."""
        checks = [connection.check(now_s) for connection in self.connections]
        self._open_wanted(now_s)
        waits = [when_s for when_s in (self._attempt_s, self._rests_until_s) if when_s > now_s]
        return min(checks + waits, default=math.inf)

    def ask_again(self) -> None:
        """Try a misconfigured node at once."""
        if self.state is NodeState.MISCONFIGURED:
            self._attempt_s = -math.inf
            self._pool.due(self._clock())

    def try_again(self) -> None:
        """Try a node that is not up at once, whatever it was given up for: somebody else has reached it."""
        if self.state is NodeState.UP:
            return
        now_s = self._clock()
        for connection in list(self.connections):
            if connection.phase is Phase.CONNECTING and now_s - connection.opened_s > STALE_S:
                connection.retire("tried anew")
        self._backoff.reset()
        self._attempt_s = -math.inf
        self._pool.due(now_s)

    def recycle(self) -> None:
        """Replace every connection, one at a time: the next ends when a new one has greeted.

        Answers are awaited. A node that takes no new connection loses one of its old ones, not all.
        """
        self._worn = list(self.connections)
        self._replace_next()
        self.try_again()

    def _replace_next(self) -> None:
        while self._worn:
            connection = self._worn.pop()
            if connection.phase <= Phase.OPEN:
                connection.retire("recycled")
                return

    def retire(self, reason: str) -> None:
        """Open nothing more; end the connections once they are answered."""
        self._retired = True
        for connection in list(self.connections):
            connection.retire(reason)

    def set_budget(self, address: NodeAddress) -> None:
        """Take another budget for the same host and port."""
        self.address = address
        surplus = len(self.connections) - address.connections
        for connection in self.connections[: max(0, surplus)]:
            connection.retire("the budget is smaller")
        self._pool.due(self._clock())

    async def close(self, timeout_s: float) -> None:
        """Retire; after the time-out end what is still open. Leaves no task and no socket."""
        self.retire("closed by eomd")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        remaining = list(self._tasks)
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)

    @property
    def oldest_sent_s(self) -> float | None:
        """When the longest unanswered request was sent, on the loop's clock."""
        sent_s = [s for c in self.connections if (s := c.flight.oldest_s) is not None]
        return min(sent_s, default=None)

    def view(self) -> NodeView:
        return NodeView(
            address=str(self.address),
            name=self._name,
            state=self.state,
            since=self._since,
            latency_ms=None if self._latency_s is None else round(self._latency_s * 1000, 3),
            connections=sum(Phase.OPEN <= c.phase <= Phase.LEAVING for c in self.connections),
            budget=self.address.connections,
            inflight=sum(connection.flight.requests for connection in self.connections),
            capabilities=tuple(c.name or "" for c in self.capabilities or Capability.NONE),
            last_error=self._last_error,
            failing=self._barren >= FAILING_MIN,
        )

    # What the connections tell, see connection.Owner

    def welcomed(self, connection: Connection, event: Welcomed) -> None:
        self._name, self.capabilities = event.node, event.capabilities
        self._unproven.add(connection)
        self._set_state(NodeState.UP)
        # also where the node was up before: another connection's greeting may tell of other capabilities
        self._pool.changed()
        if connection not in self._worn:
            self._replace_next()
        self._open_wanted(self._clock())
        self._pool.due(self._clock())

    def landed(self, connection: Connection, landed: list[Landed], latency_s: float) -> None:
        self._prove(connection, latency_s)
        self._rest.reset()
        self._pool.landed(landed, latency_s, self._named)

    def ponged(self, connection: Connection, latency_s: float) -> None:
        self._prove(connection, latency_s)

    def refused(self, connection: Connection, event: Refused, struck: tuple[Portion, Parcel] | None) -> None:
        now_s = self._clock()
        if Fault.OVERLOADED in event.fault and now_s >= self._rests_until_s:
            self._rests_until_s = now_s + self._rest.next_pause_s()
            self._pool.due(self._rests_until_s)
        if Fault.OVERLOADED not in event.fault:
            logger.error("%s refused a request of ours: error %d: %s", self._label, event.code, event.message)
        if struck:
            hand_back = self._pool.returned if Fault.OVERLOADED in event.fault else self._pool.faulted
            hand_back(*struck)

    def went_away(self, connection: Connection, event: WentAway) -> None:
        self._postpone(self._clock())
        self._set_state(self._present_state(), event.message)

    @property
    def _label(self) -> str:
        return f"cluster {self._settings.name}, node {self.address}"

    def _prove(self, connection: Connection, latency_s: float) -> None:
        """Believe that the node works: a connection made after the last failure got an answer."""
        self._unproven.discard(connection)
        self._barren = 0
        if connection.opened_s >= self._failed_s:
            self._backoff.reset()
        before_s = latency_s if self._latency_s is None else self._latency_s
        self._latency_s = before_s + LATENCY_WEIGHT * (latency_s - before_s)
        if not connection.flight.requests:
            self._pool.due(self._clock() + self._settings.idle_s)

    def _open_wanted(self, now_s: float) -> None:
        if self._retired or now_s < self._attempt_s:
            return
        wanted = self.address.connections - len(self.connections)
        if self.state is not NodeState.UP:
            opening = sum(connection.phase < Phase.OPEN for connection in self.connections)
            wanted = min(wanted, 1 - opening)
        for _ in range(wanted):
            self._open()

    def _open(self) -> None:
        settings = self._settings
        session = settings.codec.open_session(settings.name, settings.origin)
        patience = Patience(settings.reply_timeout_s, settings.idle_s)
        connection = Connection(self.address, session, self, patience, self._shift)
        self.connections.append(connection)
        task = asyncio.get_running_loop().create_task(self._keep(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._pool.due(connection.opened_s + settings.reply_timeout_s)

    async def _keep(self, connection: Connection) -> None:
        ending = Ending("closed by eomd", orderly=True)
        try:
            ending = await connection.run()
        except Exception:
            logger.exception("%s: a connection broke down", self._label)
            ending = Ending("a fault of eomd, see the log")
        finally:
            self._ended(connection, ending)

    def _ended(self, connection: Connection, ending: Ending) -> None:
        self.connections.remove(connection)
        if not ending.orderly:
            self._last_error = ending.reason
            self._barren += connection in self._unproven
            self._judge(ending)
        self._unproven.discard(connection)
        self._set_state(self._present_state(), ending.reason)
        for portion, parcel in connection.flight.abandon():
            self._pool.lost(portion, parcel)
        self._pool.due(self._clock())

    def _judge(self, ending: Ending) -> None:
        """Decide when the node is tried again."""
        now_s = self._clock()
        fault = ending.fault or Fault(0)
        if Fault.VERSION in fault:
            self._attempt_s = math.inf
            logger.error("%s is given up until its address or codec changes: %s", self._label, ending.reason)
        elif Fault.WRONG_CLUSTER in fault:
            self._attempt_s = now_s + MISCONFIGURED_S
            self._set_state(NodeState.MISCONFIGURED, ending.reason)
            for connection in list(self.connections):
                connection.retire("the node is of another cluster")
        else:
            self._postpone(now_s)

    def _postpone(self, now_s: float) -> None:
        """Wait before the next connection; failures of connections made together count once."""
        self._failed_s = now_s
        if now_s >= self._attempt_s:
            self._attempt_s = now_s + self._backoff.next_pause_s()
            self._pool.due(self._attempt_s)

    def _present_state(self) -> NodeState:
        phases = {connection.phase for connection in self.connections}
        if self.state is NodeState.MISCONFIGURED:
            return self.state
        if Phase.OPEN in phases:
            return NodeState.UP
        if Phase.LEAVING in phases:
            return NodeState.DRAINING
        return NodeState.DOWN

    def _set_state(self, state: NodeState, reason: str = "") -> None:
        if state is self.state:
            return
        self.state, self._since = state, datetime.now(UTC)
        if not self._retired:
            self._log_state(reason)
        self._pool.changed()

    def _log_state(self, reason: str) -> None:
        state, extra = self.state, {"cluster": self._settings.name}
        if state is NodeState.MISCONFIGURED:
            logger.error("%s is misconfigured: %s", self._label, reason, extra=extra)
        elif state is NodeState.DOWN:
            logger.warning("%s is down: %s", self._label, reason, extra=extra)
        else:
            logger.info("%s is %s", self._label, state, extra=extra)
