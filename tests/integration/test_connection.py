"""One connection against a node that misbehaves in every way, seen through a pool of that node."""

import asyncio
import contextlib
import logging
import struct

import pytest
from fake_node import FakeNode, FakeWork, modify, pool, settings_for, until

from eomd.evt.cluster import Cluster
from eomd.evt.codec import load_codec
from eomd.model import NodeAddress, NodeState, RowStatus


def state_of(cluster):
    return cluster.nodes()[0].state


def test_answers_in_reverse_order_find_their_rows():
    async def main():
        node, held = FakeNode(rows_max=3), []

        async def hold(node, peer, asked):
            held.append(asked)
            if len(held) == 4:
                for each in reversed(held):
                    await node.apply_and_answer(peer, each)
                held.clear()

        node.answer = hold
        await node.start()
        node.world.values.update({(user, 1001): user * 10 for user in range(1, 13)})
        async with pool(node) as cluster:
            work = FakeWork(12)
            cluster.attach(work)
            await work.finished()
            assert work.before[:, 0].tolist() == [user * 10 for user in range(1, 13)]

    asyncio.run(main())


def test_answers_that_come_byte_by_byte_are_understood():
    async def main():
        node, one_at_a_time = FakeNode(rows_max=2), asyncio.Lock()

        async def dribble(node, peer, asked):
            async with one_at_a_time:
                real, peer.writer = peer.writer, Dribble(peer.writer)
                await node.apply_and_answer(peer, asked)
                peer.writer, dribbling = real, peer.writer
                await dribbling.flush()

        node.answer = dribble
        await node.start()
        async with pool(node) as cluster:
            work = FakeWork(4)
            cluster.attach(work)
            await work.finished()
            assert work.count(RowStatus.OK) == 4

    asyncio.run(main())


class Dribble:
    """Keeps what is written and lets it go one byte at a time."""

    kept: bytes

    def __init__(self, writer):
        self._writer, self.kept = writer, b""

    def write(self, data):
        self.kept += data

    async def flush(self):
        for place in range(len(self.kept)):
            self._writer.write(self.kept[place : place + 1])
            await self._writer.drain()
            await asyncio.sleep(0)


@pytest.mark.parametrize("window", [1, 2, 7])
def test_never_more_requests_in_flight_than_the_node_allows(window):
    async def main():
        node = await FakeNode(rows_max=1, inflight_max=window).start()
        async with pool(node) as cluster:
            work = FakeWork(200)
            cluster.attach(work)
            await work.finished()
            assert node.asked_most == window

    asyncio.run(main())


def test_a_ping_counts_as_a_request_in_flight():
    async def main():
        node = await FakeNode(rows_max=1, inflight_max=1).start()
        node.pongs = False
        async with pool(node, idle_s=0.02, reply_timeout_s=0.5) as cluster:
            await until(lambda: node.pings)
            work = FakeWork(1)
            cluster.attach(work)
            await until(lambda: cluster.nodes()[0].state is NodeState.DOWN)
            assert not node.world.sent
            node.pongs = True
            await work.finished()

    asyncio.run(main())


def test_an_idle_connection_is_kept_alive_by_pings():
    async def main():
        node = await FakeNode().start()
        async with pool(node, idle_s=0.02, reply_timeout_s=1.0) as cluster:
            await until(lambda: node.pings >= 3)
            assert state_of(cluster) is NodeState.UP
            assert node.accepted == 1

    asyncio.run(main())


def test_an_idle_node_that_stops_answering_pings_is_found():
    async def main():
        node = await FakeNode().start()
        async with pool(node, idle_s=0.02, reply_timeout_s=0.1) as cluster:
            await until(lambda: state_of(cluster) is NodeState.UP)
            node.silent = True
            await until(lambda: state_of(cluster) is NodeState.DOWN)
            assert "nothing received" in cluster.nodes()[0].last_error

    asyncio.run(main())


def test_a_node_that_accepts_and_says_nothing_is_down_after_the_reply_timeout():
    async def main():
        node = await FakeNode().start()
        node.silent = True
        async with pool(node, reply_timeout_s=0.1) as cluster:
            await until(lambda: state_of(cluster) is NodeState.DOWN)
            assert cluster.nodes()[0].last_error == "no greeting for 0.1 s"
            assert not cluster.reachable
            node.silent = False
            await until(lambda: cluster.reachable)

    asyncio.run(main())


def test_a_slow_node_that_keeps_sending_is_not_cut_off():
    async def main():
        node = FakeNode(rows_max=1, inflight_max=4)

        async def slow(node, peer, asked):
            await asyncio.sleep(0.08 * (asked["ask"] % 4 + 1))
            await node.apply_and_answer(peer, asked)

        node.answer = slow
        await node.start()
        async with pool(node, reply_timeout_s=0.25) as cluster:
            work = FakeWork(12)
            cluster.attach(work)
            await work.finished()
            assert node.accepted == 1

    asyncio.run(main())


def test_a_request_that_is_never_answered_ends_the_connection_although_others_are():
    async def main():
        node, swallowed = FakeNode(rows_max=1, inflight_max=2), []

        async def swallow_first(node, peer, asked):
            if not swallowed:
                swallowed.append(asked)
                return
            await asyncio.sleep(0.01)
            await node.apply_and_answer(peer, asked)

        node.answer = swallow_first
        await node.start()
        async with pool(node, reply_timeout_s=0.05) as cluster:
            work = FakeWork(80)
            cluster.attach(work)
            await work.finished()
            assert node.accepted == 2
            assert node.world.sent[0, 0] == 2

    asyncio.run(main())


def test_bytes_that_are_not_the_dialect_close_the_connection():
    async def main():
        node, garbled = FakeNode(), []

        async def garble_once(node, peer, asked):
            if garbled:
                await node.apply_and_answer(peer, asked)
                return
            garbled.append(1)
            peer.writer.write(b"{not json\n")

        node.answer = garble_once
        await node.start()
        async with pool(node) as cluster:
            work = FakeWork(10)
            cluster.attach(work)
            await work.finished()
            assert node.accepted == 2
            assert "not the dialect" in cluster.nodes()[0].last_error

    asyncio.run(main())


@pytest.mark.parametrize("lie", ["twice", "unknown", "rows", "query"])
def test_an_answer_that_does_not_fit_closes_the_connection(lie):
    async def main():
        node, lied = FakeNode(), []

        async def answer(node, peer, asked):
            if lied:
                await node.apply_and_answer(peer, asked)
                return
            lied.append(1)
            nothing = [[0]] * len(asked["users"])
            status = [0] * len(asked["users"])
            if lie == "twice":
                peer.reply(asked, status, nothing, nothing)
                peer.reply(asked, status, nothing, nothing)
            elif lie == "unknown":
                peer.reply(asked | {"ask": 999}, status, nothing, nothing)
            elif lie == "rows":
                peer.reply(asked, status[1:], nothing[1:], nothing[1:])
            else:
                peer.reply(asked | {"mode": "inc"}, status, nothing, nothing)

        node.answer = answer
        await node.start()
        async with pool(node) as cluster:
            works = [FakeWork(10, operation=1), FakeWork(10, operation=2)]
            for work in works:
                cluster.attach(work)
            for work in works:
                await work.finished()
            assert node.accepted == 2

    asyncio.run(main())


def test_goaway_lets_what_is_in_flight_be_answered_and_sends_the_rest_elsewhere():
    async def main():
        leaving, staying = FakeNode(rows_max=1, inflight_max=4), FakeNode(rows_max=1, inflight_max=4)
        held = []

        async def goaway_then_answer(node, peer, asked):
            held.append(asked)
            if len(held) == 4:
                peer.say({"away": "draining", "overloaded": False})
                await until(lambda: staying.world.sent)
                for each in held:
                    await node.apply_and_answer(peer, each)

        leaving.answer = goaway_then_answer
        await leaving.start()
        await staying.start()
        async with pool(leaving, staying) as cluster:
            await until(lambda: all(view.state is NodeState.UP for view in cluster.nodes()))
            seen = set()
            cluster.add_listener(lambda: seen.add(cluster.nodes()[0].state))
            work = FakeWork(40)
            cluster.attach(work)
            await work.finished()
            assert NodeState.DRAINING in seen
            assert len(held) == 4
            assert max((leaving.world.sent + staying.world.sent).values()) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("BROKEN", NodeState.DOWN),
        ("VERSION", NodeState.DOWN),
        ("OVERLOADED", NodeState.DOWN),
        ("WRONG_CLUSTER", NodeState.MISCONFIGURED),
    ],
)
def test_a_refused_greeting_is_shown(fault, state):
    async def main():
        node = await FakeNode().start()
        node.greet_with = fault
        async with pool(node) as cluster:
            await until(lambda: state_of(cluster) is state)
            assert "refused with error" in cluster.nodes()[0].last_error

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["BROKEN", "OVERLOADED"])
def test_a_greeting_refused_for_now_is_tried_again(fault):
    async def main():
        node = await FakeNode().start()
        node.greet_with = fault
        async with pool(node) as cluster:
            await until(lambda: node.accepted >= 3)
            node.greet_with = None
            await until(lambda: cluster.reachable)

    asyncio.run(main())


def test_a_refused_version_gives_the_node_up():
    async def main():
        node = await FakeNode().start()
        node.greet_with = "VERSION"
        async with pool(node) as cluster:
            await until(lambda: state_of(cluster) is NodeState.DOWN)
            node.greet_with = None
            cluster.ask_again()
            await asyncio.wait([asyncio.create_task(asyncio.sleep(0.5))])
            assert node.accepted == 1

    asyncio.run(main())


def test_a_node_of_another_cluster_gets_no_request_and_is_asked_again_on_demand(caplog):
    async def main():
        node = await FakeNode(cluster="leisure").start()
        async with pool(node) as cluster:
            work = modify(3)
            cluster.attach(work)
            await until(lambda: state_of(cluster) is NodeState.MISCONFIGURED)
            assert not node.world.sent
            node.cluster = "fish"
            cluster.ask_again()
            await work.finished()
            assert state_of(cluster) is NodeState.UP
            assert node.accepted == 2

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert [r.levelno for r in caplog.records if "misconfigured" in r.message] == [logging.ERROR]


def test_a_codec_without_greeting_may_welcome_at_once():
    class Mute:
        name = "mute"

        def open_session(self, cluster, origin):
            session = settings_for().codec.open_session(cluster, origin)
            welcome = b'{"welcome": "n", "can": [], "rows_max": 5, "inflight_max": 2}\n'
            hear = session.receive
            session.encode_hello = lambda: b""
            session.receive = lambda data: hear(data or welcome)
            return session

    async def main():
        node = await FakeNode(can=()).start()
        async with pool(node, codec=Mute()) as cluster:
            work = FakeWork(20)
            cluster.attach(work)
            await work.finished()
            assert cluster.idempotent is False

    asyncio.run(main())


def test_a_name_that_does_not_resolve_leaves_the_node_down():
    async def main():
        cluster = Cluster(settings_for(nodes=(NodeAddress("no-such-host.invalid", 1, 2),)))
        await cluster.start()
        await until(lambda: state_of(cluster) is NodeState.DOWN)
        assert cluster.nodes()[0].last_error
        await cluster.close()

    asyncio.run(main())


def test_a_node_that_refuses_connections_is_tried_again_and_logged_once(caplog):
    async def main():
        node = await FakeNode().start()
        await node.stop()
        cluster = Cluster(settings_for(node))
        await cluster.start()
        await until(lambda: state_of(cluster) is NodeState.DOWN)
        await node.start()
        await until(lambda: cluster.reachable)
        await cluster.close()
        await node.stop()

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert [r.levelno for r in caplog.records if "is down" in r.message] == [logging.WARNING]


def test_closing_while_connecting_and_greeting_leaves_nothing():
    async def main():
        node = await FakeNode().start()
        node.silent = True
        for turns in range(6):
            cluster = Cluster(settings_for(node, connections=3))
            await cluster.start()
            for _ in range(turns):
                await asyncio.sleep(0)
            await cluster.close()
        await node.stop()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    asyncio.run(main())


def test_evt1_bytes_with_a_wrong_crc_end_the_connection():
    async def main():
        greeted = asyncio.Event()

        async def serve(reader, writer):
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readexactly(24)
                greeted.set()
                writer.write(b"EVT1\x81\0\0\0" + struct.pack("<IIII", 1, 4, 12345, 0) + b"\0\0\0\0")
                await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = NodeAddress("127.0.0.1", server.sockets[0].getsockname()[1], 1)
        cluster = Cluster(settings_for(nodes=(address,), codec=load_codec("evt1")))
        await cluster.start()
        await greeted.wait()
        await until(lambda: state_of(cluster) is NodeState.DOWN)
        assert "CRC" in cluster.nodes()[0].last_error
        await cluster.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
