"""The pool of one cluster: shares the operations' rows out among connections, and sees every row to its end.

Rows go to the least loaded connection, in portions, the operations in rotation. What comes back undecided
goes the way that "What the client owes" in the protocol says. The one judgement that must never be wrong is
whether a row of a modify may be sent again: `_send` makes it before rows go out, `lost` when they are lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from random import Random

import numpy as np

from eomd.errors import EncodeError
from eomd.evt.alarm import Alarm
from eomd.evt.cap import InflightCap
from eomd.evt.codec import U8, U32, Capability, Head
from eomd.evt.connection import Connection
from eomd.evt.flight import Landed, Portion
from eomd.evt.lane import Lane, Work
from eomd.evt.node import Node, NodeView
from eomd.evt.parcel import Bools, Parcel
from eomd.evt.rate import Bucket
from eomd.evt.retries import Pauses, judge, undecided_of
from eomd.evt.rotation import Rotation
from eomd.evt.settings import ClusterSettings
from eomd.evt.shift import Shift
from eomd.model import NodeAddress, NodeState, RowStatus

__all__ = ["Cluster", "ClusterSettings", "NodeView", "Work"]

logger = logging.getLogger(__name__)

#: one turn of an operation
PORTION_ROWS_MAX = 4_096
#: room below which the cap counts as reached, so that full windows do not end in crumbs
PORTION_ROWS_MIN = 512
#: for answers, when the pool is closed
CLOSE_S_MAX = 1.0
#: between two looks at what is due, so that even a look that broke down is followed by another
TICK_S_MAX = 1.0


class Cluster:
    """A pool. Everything but making it happens on the loop."""

    def __init__(self, settings: ClusterSettings, *, random: Random | None = None) -> None:
        self.settings = settings
        #: told of every answered request: node, seconds, rows
        self.on_request: Callable[[str, float, int], None] | None = None
        self.rows_inflight = 0
        self._random = random or Random()
        self._clock = time.monotonic
        self._nodes: list[Node] = []
        #: no longer configured, with requests that wait for their answers
        self._retiring: list[Node] = []
        self._lanes: dict[int, Lane] = {}
        self._rotation: Rotation[Lane] = Rotation()
        self._pauses: Pauses[Lane] = Pauses()
        self._bucket = Bucket(settings.rows_per_s, self._clock())
        self._cap = InflightCap()
        self._shift = Shift()
        self._alarm = Alarm(self._tick)
        self._pump_handle: asyncio.Handle | None = None
        self._listeners: list[Callable[[], None]] = []
        self._idempotent: bool | None = None
        self._drained = False
        self._closing = False

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def reachable(self) -> bool:
        """Tell whether at least one node is up."""
        return any(node.state is NodeState.UP for node in self._nodes)

    @property
    def idempotent(self) -> bool | None:
        """Tell whether every node that has greeted remembers tokens; None before the first greeting."""
        return self._idempotent

    @property
    def restores(self) -> bool | None:
        """Tell whether a node that has greeted serves restores; None before the first greeting."""
        greeted = [node.capabilities for node in self._nodes if node.capabilities is not None]
        return any(Capability.RESTORE in each for each in greeted) if greeted else None

    @property
    def rows_per_s(self) -> int:
        """The speed limit, 0 for none."""
        return self._bucket.rows_per_s

    @rows_per_s.setter
    def rows_per_s(self, rows_per_s: int) -> None:
        self._bucket = Bucket(rows_per_s, self._clock())
        self._pump_soon()

    @property
    def drained(self) -> bool:
        """Whether no new rows are taken from anybody."""
        return self._drained

    @drained.setter
    def drained(self, drained: bool) -> None:
        self._drained = drained
        self.wake()
        self._tell()

    async def start(self) -> None:
        """Begin to open connections, up to every node's budget; does not wait for them."""
        self._nodes = [self._make_node(address) for address in self.settings.nodes]
        self._tick()

    async def reconfigure(self, settings: ClusterSettings) -> None:
        """Take other settings; nodes that stay keep their connections, those that go are let answer first.

        Misconfigured nodes are asked again at once.
        """
        before, self.settings = self.settings, settings
        if settings.rows_per_s != before.rows_per_s:
            self.rows_per_s = settings.rows_per_s
        staying = (
            {(n.address.host, n.address.port): n for n in self._nodes} if _alike(before, settings) else {}
        )
        nodes = [self._keep_node(staying.pop((a.host, a.port), None), a) for a in settings.nodes]
        going = [node for node in self._nodes if node not in nodes]
        self._nodes, self._retiring = nodes, self._retiring + going
        self.changed()
        self.ask_again()
        self._tick()
        await asyncio.gather(*(node.close(settings.reply_timeout_s) for node in going))
        self._retiring = [node for node in self._retiring if node not in going]

    async def close(self) -> None:
        """Take nothing new, wait CLOSE_S_MAX for what is in flight, end every connection."""
        self._closing = True
        await asyncio.gather(*(node.close(CLOSE_S_MAX) for node in self._nodes + self._retiring))
        self._alarm.cancel()
        if self._pump_handle:
            self._pump_handle.cancel()

    def attach(self, work: Work) -> None:
        """Take rows from this operation from now on, in fair rotation with the others."""
        assert id(work) not in self._lanes, "attached twice"
        lane = Lane(work)
        self._lanes[id(work)] = lane
        self._rotation.add(lane)
        self._pump_soon()

    async def detach(self, work: Work, timeout_s: float) -> tuple[U32, U32]:
        """Stop taking rows; wait at most `timeout_s` for those in flight. Nothing is told after.

        Rows that pause are given back at once; lost ones that may be sent again are, once. Returns the rows
        (undone, unknown), sorted: surely not done, and those that nobody knows about.
        """
        lane = self._lanes.get(id(work))
        if lane is None:
            return np.zeros(0, np.uint32), np.zeros(0, np.uint32)
        lane.leave(self._pauses.remove(lane))
        self._wake_lane(lane)
        try:
            async with asyncio.timeout(0 if self._closing else timeout_s):
                await lane.quiet()
        except TimeoutError:
            logger.info(
                "cluster %s: %d rows are unanswered at the end of an operation", self.name, lane.rows_inflight
            )
        finally:
            answer = self._forget(lane)
        return answer

    def wake(self, work: Work | None = None) -> None:
        """Ask this operation (None: every one) for rows again."""
        if work is None:
            self._rotation.wake_all()
            self._pump_soon()
        elif id(work) in self._lanes:
            self._wake_lane(self._lanes[id(work)])

    def ask_again(self) -> None:
        """Try misconfigured nodes at once, as a reload does."""
        for node in self._nodes:
            node.ask_again()

    def try_again(self, address: str) -> None:
        """Try this node at once if it is not up: somebody else has reached it."""
        for node in self._nodes:
            if str(node.address) == address:
                node.try_again()

    def recycle(self) -> None:
        """Replace all connections, one after the other at each node; what is in flight is answered first."""
        for node in self._nodes:
            node.recycle()

    @property
    def oldest_sent_s(self) -> float | None:
        """When the longest unanswered request was sent, on the loop's clock."""
        return min((s for node in self._nodes if (s := node.oldest_sent_s) is not None), default=None)

    @property
    def slowest_ms(self) -> float | None:
        """How long answers take of late at the slowest node that is up; None while nobody knows."""
        views = (node.view() for node in self._nodes)
        known = (v.latency_ms for v in views if v.state is NodeState.UP and v.latency_ms is not None)
        return max(known, default=None)

    def nodes(self) -> list[NodeView]:
        return [node.view() for node in self._nodes]

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after `reachable`, `idempotent`, `drained` or a node's state changed."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        self._listeners.remove(listener)

    # What the nodes tell, see node.Pool

    def changed(self) -> None:
        greeted = [node.capabilities for node in self._nodes if node.capabilities is not None]
        if greeted:
            # until one of quite other nodes greets, nothing can be sent: what was known stays
            self._idempotent = all(Capability.IDEMPOTENT in each for each in greeted)
        self._pump_soon()
        self._tell()

    def due(self, when_s: float) -> None:
        if not self._closing:
            self._alarm.set(when_s)

    def landed(self, landed: list[Landed], latency_s: float, node: str) -> None:
        rows = 0
        for lane, parts in _by_lane(landed):
            count = sum(len(part.status) for part in parts)
            rows += count
            self._leave_flight(lane, count)
            if not lane.left:
                self._settle(lane, parts)
        self._cap.observe(latency_s, rows)
        if self.on_request:
            self.on_request(node, latency_s, rows)
        self._pump_soon()

    def returned(self, portion: Portion, parcel: Parcel) -> None:
        self._leave_flight(portion.lane, len(parcel))
        self._send_again(portion.lane, parcel)

    def faulted(self, portion: Portion, parcel: Parcel) -> None:
        self._leave_flight(portion.lane, len(parcel))
        if not portion.lane.left:
            self._retry(portion.lane, parcel, np.full(len(parcel), RowStatus.INTERNAL, np.uint8))

    def lost(self, portion: Portion, parcel: Parcel) -> None:
        lane = portion.lane
        self._leave_flight(lane, len(parcel))
        if lane.left:
            return
        if self._closing or (lane.leaving and portion.last_copy):
            lane.give_back([parcel.mark_lost()])
        elif not lane.modifies or (portion.repeatable and self._idempotent):
            lane.put_back(parcel.mark_lost())
            self._wake_lane(lane)
        else:
            lane.settle_uncertain(parcel.rows.index)
        lane.notice_quiet()

    # Sending

    def _pump_soon(self) -> None:
        if self._pump_handle is None and not self._closing:
            self._pump_handle = asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Send portions until nothing more can be sent, or the shift is over."""
        self._pump_handle = None
        now_s = self._clock()
        while self._shift.has_time():
            if not self._send_next(now_s):
                break
            now_s = self._clock()
        else:
            self._pump_soon()
            return
        due_s = self._bucket.due_s(now_s)
        if due_s > now_s and len(self._rotation):
            self._alarm.set(due_s)

    def _send_next(self, now_s: float) -> bool:
        """Send one portion of whose turn it is; False where nothing can be sent now."""
        room = min(self._cap.rows - self.rows_inflight, PORTION_ROWS_MAX)
        if room < PORTION_ROWS_MIN:
            return False
        room = min(room, self._bucket.available(now_s))
        if not room:
            return False
        for _ in range(len(self._rotation)):
            lane = self._rotation.peek()
            assert lane
            connection = self._least_loaded(lane.head, now_s)
            if connection is None:
                self._rotation.turn()
                continue
            if self._send(lane, connection, room):
                self._rotation.turn()
                return True
            self._rotation.sleep(lane)
        return False

    def _least_loaded(self, head: Head, now_s: float) -> Connection | None:
        best, best_rows = None, self._cap.rows
        for node in self._nodes:
            if not node.serves(head.mode, now_s):
                continue
            for connection in node.connections:
                flight = connection.flight
                if flight.rows < best_rows and flight.requests < connection.window:
                    best, best_rows = connection, flight.rows
        return best

    def _send(self, lane: Lane, connection: Connection, room: int) -> bool:
        """Send the lane's next rows; False where it has none."""
        if lane.modifies and not self._idempotent and not lane.work.braced:
            return False
        free = connection.window - connection.flight.requests
        rows_max = min(room, free * connection.rows_per_request(lane.head))
        parcel = lane.take(rows_max, new=not self._drained)
        if parcel is None:
            return False
        if lane.modifies and not self._idempotent:
            parcel = self._drop_doubtful(lane, parcel)
        if len(parcel):
            self._hand_over(lane, connection, parcel)
        return True

    def _drop_doubtful(self, lane: Lane, parcel: Parcel) -> Parcel:
        """Settle what must not go out again, as nobody would notice the second copy; return the rest."""
        doubtful = lane.doubtful(parcel)
        if not doubtful.any():
            return parcel
        lane.settle_uncertain(parcel.rows.index[doubtful])
        lane.notice_quiet()
        return parcel.pick(~doubtful)

    def _hand_over(self, lane: Lane, connection: Connection, parcel: Parcel) -> None:
        try:
            connection.send(lane, parcel, repeatable=bool(self._idempotent))
        except EncodeError as error:
            logger.error(
                "cluster %s: %d rows cannot be said in the dialect: %s", self.name, len(parcel), error
            )
            lane.settle_failed(parcel.rows.index, np.full(len(parcel), RowStatus.INTERNAL, np.uint8))
            return
        self._bucket.take(len(parcel))
        self.rows_inflight += len(parcel)
        lane.rows_inflight += len(parcel)
        self._alarm.set(self._clock() + self.settings.reply_timeout_s)

    # Deciding

    def _settle(self, lane: Lane, parts: list[Landed]) -> None:
        """Settle what is decided; give what is not another try."""
        decided: list[tuple[Landed, Bools | None]] = []
        for part in parts:
            undecided = undecided_of(part.status)
            if undecided is None:
                decided.append((part, None))
                continue
            parcel = part.portion.parcel.pick(part.where).pick(undecided)
            self._retry(lane, parcel, part.status[undecided])
            if not undecided.all():
                decided.append((part, ~undecided))
        if decided:
            lane.settle_landed(decided)
        lane.notice_quiet()

    def _retry(self, lane: Lane, parcel: Parcel, status: U8) -> None:
        judged = judge(parcel, status, self._clock())
        over = judged.exhausted
        if over.any():
            self._exhaust(lane, judged.parcel.pick(over), status[over])
        if over.all():
            return
        waiting = judged.parcel.pick(~over)
        if lane.leaving:
            lane.give_back([waiting])
            return
        lane.rows_paused += len(waiting)
        self._pauses.add(lane, waiting, judged.due_s[~over])
        if self._pauses.next_due_s is not None:
            self._alarm.set(self._pauses.next_due_s)

    def _exhaust(self, lane: Lane, parcel: Parcel, status: U8) -> None:
        uncertain = lane.doubtful(parcel)
        lane.settle_failed(parcel.rows.index, np.where(uncertain, np.uint8(RowStatus.UNCERTAIN), status))

    def _send_again(self, lane: Lane, parcel: Parcel) -> None:
        if lane.left:
            return
        if lane.leaving:
            lane.give_back([parcel])
            lane.notice_quiet()
            return
        lane.put_back(parcel)
        self._wake_lane(lane)

    # Keeping house

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    def _tick(self) -> None:
        """Do everything that is due, and set the alarm for what is due next."""
        now_s = self._clock()
        self._alarm.set(now_s + TICK_S_MAX)
        for lane, parcel in self._pauses.due(now_s):
            lane.resume(parcel)
            self._wake_lane(lane)
        for node in self._nodes + self._retiring:
            self._alarm.set(node.tick(now_s))
        if self._pauses.next_due_s is not None:
            self._alarm.set(self._pauses.next_due_s)
        self._pump_soon()

    def _make_node(self, address: NodeAddress) -> Node:
        return Node(address, self.settings, self, self._random, self._shift)

    def _keep_node(self, node: Node | None, address: NodeAddress) -> Node:
        if node is None:
            return self._make_node(address)
        node.set_budget(address)
        return node

    def _wake_lane(self, lane: Lane) -> None:
        self._rotation.wake(lane)
        self._pump_soon()

    def _leave_flight(self, lane: Lane, rows: int) -> None:
        self.rows_inflight -= rows
        lane.rows_inflight -= rows

    def _forget(self, lane: Lane) -> tuple[U32, U32]:
        self._rotation.remove(lane)
        self._lanes.pop(id(lane.work), None)
        nodes = self._nodes + self._retiring
        portions = (p for node in nodes for c in node.connections for p in c.flight.portions)
        return lane.finish(portion.unanswered for portion in portions if portion.lane is lane)


def _alike(before: ClusterSettings, after: ClusterSettings) -> bool:
    """Tell whether connections made under one of these settings serve under the other."""
    return _spoken(before) == _spoken(after)


def _spoken(settings: ClusterSettings) -> tuple[object, ...]:
    patience = settings.reply_timeout_s, settings.idle_s
    return settings.name, settings.codec.name, settings.origin, *patience


def _by_lane(landed: list[Landed]) -> list[tuple[Lane, list[Landed]]]:
    """Share answered rows out by operation; nearly always there is one."""
    first = landed[0].portion.lane
    if all(part.portion.lane is first for part in landed):
        return [(first, landed)]
    groups: dict[Lane, list[Landed]] = {}
    for part in landed:
        groups.setdefault(part.portion.lane, []).append(part)
    return list(groups.items())
