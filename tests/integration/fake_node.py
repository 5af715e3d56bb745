"""A node of the lines dialect that does what a test tells it to, and the other half of a pool's tests."""

import asyncio
import contextlib
import json
from collections import Counter

import numpy as np
from lines_dialect import LinesCodec

from eomd.evt.cluster import Cluster, ClusterSettings
from eomd.evt.codec import Head, Rows
from eomd.model import Mode, NodeAddress, RowStatus

PENDING = int(RowStatus.PENDING)


class World:
    """What the nodes of a cluster share: the counters, the tokens, and the record of what was asked."""

    def __init__(self):
        self.values = Counter()
        self.tokens = {}
        #: how often each (operation, row) was sent
        self.sent = Counter()


class FakeNode:
    """`answer` (async: node, peer, request) may be replaced; by default it applies and answers."""

    def __init__(self, world=None, *, cluster="fish", can=("IDEMPOTENT",), rows_max=100, inflight_max=8):
        self.world = world or World()
        self.cluster, self.can, self.rows_max, self.inflight_max = cluster, can, rows_max, inflight_max
        self.answer = FakeNode.apply_and_answer
        #: the error said to a greeting, if any
        self.greet_with = None
        self.silent = False
        self.pongs = True
        self.peers = []
        self.peers_most = 0
        self.accepted = 0
        self.asked_most = 0
        self.pings = 0
        self.faults = []
        self._server = None
        self.port = 0

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**24)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    async def cut(self):
        """End every connection, as a killed process would."""
        peers = list(self.peers)
        for peer in peers:
            peer.cut()
        await asyncio.gather(*(peer.task for peer in peers), return_exceptions=True)

    def address(self, connections=1):
        return NodeAddress("127.0.0.1", self.port, connections)

    async def _serve(self, reader, writer):
        if not self._server.is_serving():
            # taken just before the node stopped
            writer.transport.abort()
            return
        peer = Peer(self, writer)
        self.accepted += 1
        self.peers.append(peer)
        self.peers_most = max(self.peers_most, len(self.peers))
        try:
            async for line in reader:
                await self._hear(peer, json.loads(line))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.peers.remove(peer)
            for task in peer.answering:
                task.cancel()
            writer.close()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await writer.wait_closed()

    async def _hear(self, peer, said):
        if self.silent:
            return
        if "hello" in said:
            self._greet(peer, said)
        elif "ping" in said:
            self.pings += 1
            if self.pongs:
                peer.say({"pong": said["ping"]})
        else:
            self._note(peer, said)
            peer.do(self.answer(self, peer, said))

    def _greet(self, peer, said):
        if said["hello"] != self.cluster:
            peer.say({"error": "WRONG_CLUSTER", "request": 0, "message": f"this is {self.cluster}"})
        elif self.greet_with:
            peer.say({"error": self.greet_with, "request": 0, "message": "no"})
        else:
            name = {"welcome": f"node-{self.port}", "can": list(self.can)}
            peer.say(name | {"rows_max": self.rows_max, "inflight_max": self.inflight_max})

    def _note(self, peer, said):
        peer.open.add(said["ask"])
        self.asked_most = max(self.asked_most, len(peer.open))
        if len(peer.open) > self.inflight_max or len(said["users"]) > self.rows_max:
            self.faults.append("over the limits")
        for row in said["index"]:
            self.world.sent[said.get("operation", 0), row] += 1

    async def apply_and_answer(self, peer, asked):
        peer.reply(asked, *self.apply(asked))

    def apply(self, asked):
        """Do what was asked; return status, before, after."""
        done = [self._apply_row(asked, place) for place in range(len(asked["users"]))]
        return [list(column) for column in zip(*done, strict=True)]

    def _apply_row(self, asked, place):
        user, eids = asked["users"][place], asked["eids"]
        before = [self.world.values[user, eid] for eid in eids]
        if "mode" not in asked:
            return RowStatus.OK, before, None
        token = asked["operation"], asked["index"][place]
        if "IDEMPOTENT" in self.can and token in self.world.tokens:
            return RowStatus.REPLAYED, *self.world.tokens[token]
        for eid, amount in zip(eids, asked["amounts"][place], strict=True):
            self.world.values[user, eid] += amount
        after = [self.world.values[user, eid] for eid in eids]
        self.world.tokens[token] = before, after
        return RowStatus.OK, before, after


class Peer:
    """One connection as the node sees it."""

    def __init__(self, node, writer):
        self.node, self.writer = node, writer
        self.task = asyncio.current_task()
        self.answering = set()
        self.open = set()

    def do(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.answering.add(task)
        task.add_done_callback(self.answering.discard)

    def say(self, said):
        self.writer.write(json.dumps(said).encode() + b"\n")

    def reply(self, asked, status, before, after):
        self.open.discard(asked["ask"])
        after = after if "mode" in asked else None
        detail = [255] * len(status)
        self.say(
            {"answer": asked["ask"], "status": status, "detail": detail, "before": before, "after": after}
        )

    def reply_all(self, asked, status):
        """Answer every row with this status, nothing done."""
        nothing = [[0] * len(asked["eids"])] * len(asked["users"])
        self.reply(asked, [status] * len(asked["users"]), nothing, nothing)

    def refuse(self, asked, fault):
        self.open.discard(asked["ask"])
        self.say({"error": fault, "request": asked["ask"], "message": "no"})

    def cut(self):
        self.writer.transport.abort()
        self.task.cancel()


class FakeWork:
    """An operation of n rows; keeps what was settled, and that nothing is settled twice."""

    braced = True

    def __init__(self, rows, *, mode=None, operation=7, eids=(1001,), take_max=10**9):
        self.head = Head(eids, mode, operation)
        self.status = np.full(rows, PENDING, np.uint8)
        self.before = np.zeros((rows, len(eids)), np.int64)
        self.after = np.zeros((rows, len(eids)), np.int64)
        self.sent_before = np.zeros(rows, np.bool_)
        self.taken = 0
        self.calls = 0
        self._take_max = take_max

    def take(self, rows_max):
        count = min(rows_max, len(self.status) - self.taken, self._take_max)
        if count <= 0:
            return None
        index = np.arange(self.taken, self.taken + count, dtype=np.uint32)
        self.taken += count
        amounts = np.ones((count, len(self.head.eids)), np.int64) if self.head.mode else None
        return Rows(index, index.astype(np.uint64) + 1, amounts)

    def settle(self, index, status, detail, before, after):
        assert (self.status[index] == PENDING).all(), "settled twice"
        assert len(np.unique(index)) == len(index)
        self.calls += 1
        self.status[index] = status
        if before is not None:
            self.before[index] = before
        if after is not None:
            self.after[index] = after

    def maybe_sent(self, index):
        return self.sent_before[index]

    @property
    def done(self):
        return not (self.status == PENDING).any()

    def count(self, *statuses):
        return int(np.isin(self.status, statuses).sum())

    async def finished(self, within_s=10.0):
        await until(lambda: self.done, within_s)


async def until(condition, within_s=10.0):
    """Wait until the condition holds; the loop's other callbacks run meanwhile."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.001)


def settings_for(*nodes, connections=1, **changes):
    addresses = tuple(node.address(connections) for node in nodes)
    fields = {"name": "fish", "nodes": addresses, "codec": LinesCodec(), "origin": bytes(16)}
    return ClusterSettings(**(fields | {"reply_timeout_s": 2.0} | changes))


@contextlib.asynccontextmanager
async def pool(*nodes, **changes):
    """A started pool for these nodes; afterwards it and they are closed and nothing may be left."""
    cluster = Cluster(settings_for(*nodes, **changes))
    await cluster.start()
    try:
        yield cluster
    finally:
        await cluster.close()
        left = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.startswith("Node.")]
        assert not left, left
        for node in nodes:
            await node.stop()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        assert not any(node.faults for node in nodes)


def modify(rows, **changes):
    return FakeWork(rows, mode=Mode.INC, **changes)
