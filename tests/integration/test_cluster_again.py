"""A pool that is told from outside: a node answers again, the connections are to be replaced."""

import asyncio
import socket

from fake_node import FakeNode, FakeWork, modify, pool, settings_for, until

from eomd.evt import node as node_module
from eomd.evt.cluster import Cluster
from eomd.model import NodeAddress, NodeState, RowStatus
from tests.on_loop import on_loop


def states(cluster):
    return [view.state for view in cluster.nodes()]


@on_loop
async def test_a_node_known_to_be_back_is_tried_at_once(monkeypatch):
    monkeypatch.setattr(node_module, "RECONNECT_FIRST_S", 3600.0)
    monkeypatch.setattr(node_module, "RECONNECT_LONGEST_S", 3600.0)
    node, other = await FakeNode().start(), await FakeNode().start()
    async with pool(node, other) as cluster:
        await until(lambda: states(cluster) == [NodeState.UP, NodeState.UP])
        await node.stop()
        await until(lambda: states(cluster)[0] is NodeState.DOWN)
        await node.start()
        cluster.try_again(str(other.address()))
        await asyncio.sleep(0)
        assert states(cluster)[0] is NodeState.DOWN
        cluster.try_again(str(node.address()))
        await until(lambda: states(cluster)[0] is NodeState.UP)
        assert other.accepted == 1


@on_loop
async def test_a_misconfigured_node_that_became_ours_is_taken_at_once(monkeypatch):
    monkeypatch.setattr(node_module, "MISCONFIGURED_S", 3600.0)
    node = await FakeNode(cluster="qianpao").start()
    async with pool(node) as cluster:
        await until(lambda: states(cluster) == [NodeState.MISCONFIGURED])
        node.cluster = "fish"
        cluster.try_again(str(node.address()))
        await until(lambda: states(cluster) == [NodeState.UP])


@on_loop
async def test_an_attempt_that_hangs_in_the_network_is_made_anew(monkeypatch):
    """The listener's queue is full, so that the kernel answers no SYN; the pool would wait an hour."""
    monkeypatch.setattr(node_module, "STALE_S", 0.0)
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        address = NodeAddress("127.0.0.1", listener.getsockname()[1], 1)
        cluster = Cluster(settings_for(reply_timeout_s=3600.0, nodes=(address,)))
        await cluster.start()
        node = cluster._nodes[0]
        [hanging] = node.connections
        await until(lambda: hanging._attempt is not None)
        cluster.try_again(str(address))
        await until(lambda: node.connections and node.connections != [hanging])
        assert len(node.connections) == 1
        await cluster.close()


@on_loop
async def test_a_node_that_is_up_keeps_its_connections_when_it_is_called_back():
    node = await FakeNode().start()
    async with pool(node, connections=3) as cluster:
        await until(lambda: cluster.nodes()[0].connections == 3)
        cluster.try_again(str(node.address()))
        work = FakeWork(100)
        cluster.attach(work)
        await work.finished()
        assert node.accepted == 3


@on_loop
async def test_recycling_replaces_every_connection_and_never_more_than_one_at_once():
    node = await FakeNode().start()
    async with pool(node, connections=3) as cluster:
        await until(lambda: cluster.nodes()[0].connections == 3)
        least = 3
        cluster.recycle()
        while node.accepted < 6 or cluster.nodes()[0].connections < 3:
            least = min(least, cluster.nodes()[0].connections)
            await asyncio.sleep(0)
        assert states(cluster) == [NodeState.UP]
        assert (node.accepted, node.peers_most, least) == (6, 3, 2)
        cluster.recycle()
        await until(lambda: node.accepted == 9)


@on_loop
async def test_recycling_under_load_loses_and_doubles_nothing():
    node = await FakeNode().start()
    async with pool(node, connections=2) as cluster:
        work = modify(2000)
        cluster.attach(work)
        for count in (200, 600, 1000):
            await until(lambda count=count: work.count(RowStatus.OK) >= count, 60)
            cluster.recycle()
        await work.finished(60)
        assert work.count(RowStatus.OK) == 2000
        assert [node.world.values[user, 1001] for user in range(1, 2001)] == [1] * 2000


@on_loop
async def test_recycling_what_cannot_be_opened_again_keeps_all_but_one():
    node = await FakeNode().start()
    async with pool(node, connections=3) as cluster:
        await until(lambda: cluster.nodes()[0].connections == 3)
        node.greet_with = "OVERLOADED"
        cluster.recycle()
        await until(lambda: node.accepted == 4 and cluster.nodes()[0].connections == 2)
        await until(lambda: cluster.nodes()[0].last_error is not None)
        assert states(cluster) == [NodeState.UP]
        node.greet_with = None
        await until(lambda: cluster.nodes()[0].connections == 3)


def failing(cluster):
    return [view.failing for view in cluster.nodes()]


@on_loop
async def test_a_node_that_is_away_is_down_and_not_failing():
    node = await FakeNode().start()
    async with pool(node) as cluster:
        await until(lambda: states(cluster) == [NodeState.UP])
        await node.stop()
        await until(lambda: states(cluster) == [NodeState.DOWN])
        for _ in range(node_module.FAILING_MIN + 1):
            refused = cluster._nodes[0]._failed_s
            cluster.try_again(str(node.address()))
            await until(lambda refused=refused: cluster._nodes[0]._failed_s > refused)
        assert failing(cluster) == [False]
