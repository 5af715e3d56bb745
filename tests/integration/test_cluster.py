"""A pool against nodes that answer, refuse, vanish and come back: every row ends once, as it should."""

import asyncio
from collections import Counter
from random import Random

import numpy as np
import pytest
from fake_node import FakeNode, FakeWork, modify, pool, settings_for, until
from lines_dialect import LinesCodec

from eomd.evt import cap, retries
from eomd.evt import cluster as cluster_module
from eomd.model import Mode, NodeState, RowStatus

OK, REPLAYED, UNCERTAIN = RowStatus.OK, RowStatus.REPLAYED, RowStatus.UNCERTAIN
BUSY, INTERNAL = RowStatus.BUSY, RowStatus.INTERNAL


def all_up(cluster):
    return all(view.state is NodeState.UP for view in cluster.nodes())


async def nodes_of_one_world(count, **changes):
    first = await FakeNode(**changes).start()
    return [first] + [await FakeNode(first.world, **changes).start() for _ in range(count - 1)]


def assert_applied_once(node, rows):
    assert [node.world.values[user, 1001] for user in range(1, rows + 1)] == [1] * rows


async def swallow(node, peer, asked):
    """Say nothing, do nothing."""


async def apply_then_cut(node, peer, asked):
    node.apply(asked)
    peer.cut()


async def cut_only(node, peer, asked):
    peer.cut()


def patience(fate):
    """How long to wait for answers, in seconds: short only where one must be waited for in vain."""
    return 2.0 if fate is swallow else 30.0


def once(first, then=FakeNode.apply_and_answer):
    """Answer the first request in one way and all others in another."""
    seen = []

    async def answer(node, peer, asked):
        seen.append(asked)
        await (first if len(seen) == 1 else then)(node, peer, asked)

    return answer


# --- the ordinary way


def test_a_query_is_answered_over_every_connection_of_every_node():
    async def main():
        nodes = await nodes_of_one_world(2)
        async with pool(*nodes, connections=2) as cluster:
            await until(lambda: sum(view.connections for view in cluster.nodes()) == 4)
            work = FakeWork(5000)
            cluster.attach(work)
            await work.finished()
            assert work.count(OK) == 5000
            assert all(node.peers_most == 2 and node.accepted == 2 for node in nodes)
            assert cluster.rows_inflight == 0

    asyncio.run(main())


def test_a_modify_is_applied_once_and_tells_before_and_after():
    async def main():
        node = await FakeNode().start()
        async with pool(node) as cluster:
            work = modify(1000, eids=(1001, 1002))
            cluster.attach(work)
            await work.finished()
            assert (work.before == 0).all()
            assert (work.after == 1).all()
            assert_applied_once(node, 1000)

    asyncio.run(main())


def test_the_view_of_a_node_tells_what_people_want_to_know():
    async def main():
        node = await FakeNode(can=("IDEMPOTENT", "RESTORE")).start()
        async with pool(node, connections=3) as cluster:
            (view,) = cluster.nodes()
            assert (view.state, view.name, view.latency_ms) == (NodeState.CONNECTING, None, None)
            work = FakeWork(300)
            cluster.attach(work)
            await work.finished()
            await until(lambda: cluster.nodes()[0].connections == 3)
            (view,) = cluster.nodes()
            assert view.address == f"127.0.0.1:{node.port}"
            assert view.name == f"node-{node.port}"
            assert view.state is NodeState.UP
            assert view.since.utcoffset().total_seconds() == 0
            assert view.latency_ms > 0
            assert (view.budget, view.inflight, view.last_error) == (3, 0, None)
            assert view.capabilities == ("IDEMPOTENT", "RESTORE")

    asyncio.run(main())


def test_listeners_are_told_of_edges_until_they_leave():
    async def main():
        node = await FakeNode().start()
        async with pool(node) as cluster:
            seen = []

            def listener():
                seen.append((cluster.reachable, cluster.idempotent))

            assert cluster.idempotent is None
            cluster.add_listener(listener)
            await until(lambda: (True, True) in seen)
            await node.stop()
            await until(lambda: seen[-1] == (False, True))
            cluster.remove_listener(listener)
            count = len(seen)
            await node.start()
            await until(lambda: cluster.reachable)
            assert len(seen) == count

    asyncio.run(main())


def test_answers_are_observed():
    async def main():
        node = await FakeNode().start()
        async with pool(node) as cluster:
            seen = []
            cluster.on_request = lambda node, seconds, rows: seen.append((seconds, rows))
            work = FakeWork(1000)
            cluster.attach(work)
            await work.finished()
            assert sum(rows for _, rows in seen) == 1000
            assert all(0 < seconds < 10 for seconds, _ in seen)

    asyncio.run(main())


def test_rows_in_flight_are_capped(monkeypatch):
    monkeypatch.setattr(cap, "ROWS_MAX", 700)
    monkeypatch.setattr(cluster_module, "PORTION_ROWS_MIN", 1)

    async def main():
        node = await FakeNode(rows_max=100, inflight_max=50).start()
        async with pool(node, connections=2) as cluster:
            most = 0
            work = FakeWork(5000)
            take = work.take

            def watch(rows_max):
                nonlocal most
                rows = take(rows_max)
                most = max(most, cluster.rows_inflight + (len(rows) if rows else 0))
                return rows

            work.take = watch
            cluster.attach(work)
            await work.finished()
            assert most == 700

    asyncio.run(main())


# --- sharing


def test_a_small_query_passes_a_big_modify():
    async def main():
        node = await FakeNode(rows_max=10, inflight_max=4).start()
        async with pool(node) as cluster:
            big, small = modify(20_000), FakeWork(100)
            cluster.attach(big)
            await until(lambda: big.count(OK) > 100)
            done_before = big.count(OK)
            cluster.attach(small)
            await small.finished()
            assert big.count(OK) - done_before < 1000
            await cluster.detach(big, 5.0)

    asyncio.run(main())


def test_three_operations_advance_alike():
    async def main():
        node = await FakeNode(rows_max=10, inflight_max=2).start()
        async with pool(node) as cluster:
            works = [modify(100_000, operation=number) for number in range(3)]
            for work in works:
                cluster.attach(work)
            await until(lambda: sum(work.taken for work in works) > 3000)
            shares = [work.taken for work in works]
            assert max(shares) - min(shares) <= 40
            for work in works:
                await cluster.detach(work, 5.0)

    asyncio.run(main())


def test_the_speed_limit_holds_and_can_be_lifted():
    async def main():
        node = await FakeNode(rows_max=10).start()
        async with pool(node, rows_per_s=1000) as cluster:
            await until(lambda: all_up(cluster))
            loop = asyncio.get_running_loop()
            start_s, work = loop.time(), FakeWork(3000)
            cluster.attach(work)
            await until(lambda: work.taken >= 300)
            assert loop.time() - start_s >= 0.19
            assert cluster.rows_per_s == 1000
            cluster.rows_per_s = 0
            await work.finished()

    asyncio.run(main())


def test_a_drained_cluster_takes_nothing_new_until_it_is_not():
    async def main():
        node = await FakeNode().start()
        async with pool(node) as cluster:
            await until(lambda: all_up(cluster))
            cluster.drained = True
            work = FakeWork(100)
            cluster.attach(work)
            pinged = FakeWork(0)
            cluster.attach(pinged)
            await until(lambda: not len(cluster._rotation))
            assert work.taken == 0
            cluster.drained = False
            await work.finished()

    asyncio.run(main())


def test_an_operation_without_rows_is_asked_again_when_it_wakes():
    async def main():
        node = await FakeNode().start()
        async with pool(node) as cluster:
            work = FakeWork(50)
            work.taken = 50
            cluster.attach(work)
            await until(lambda: cluster.reachable and not len(cluster._rotation))
            work.taken = 0
            cluster.wake(work)
            await work.finished()

    asyncio.run(main())


def test_an_operation_that_throws_harms_no_other(caplog):
    async def main():
        node = await FakeNode().start()
        async with pool(node) as cluster:
            faulty, deaf, sound = FakeWork(100), FakeWork(1000), FakeWork(1000)

            def fail(*_):
                raise RuntimeError("a fault of the operation's")

            faulty.take, deaf.settle = fail, fail
            for work in (faulty, deaf, sound):
                cluster.attach(work)
            await sound.finished()
            assert [len(part) for part in await cluster.detach(faulty, 1.0)] == [0, 0]
            await cluster.detach(deaf, 1.0)

    asyncio.run(main())
    assert sum("nothing more of it is sent" in record.message for record in caplog.records) == 2


# --- lost answers


@pytest.mark.parametrize("fate", [swallow, cut_only, apply_then_cut])
def test_an_idempotent_modify_survives_a_lost_answer(fate):
    async def main():
        node = FakeNode(rows_max=100)
        node.answer = once(fate)
        await node.start()
        async with pool(node, reply_timeout_s=0.2) as cluster:
            work = modify(1000)
            cluster.attach(work)
            await work.finished()
            assert work.count(OK, REPLAYED) == 1000
            assert work.count(REPLAYED) > 0 or fate is not apply_then_cut
            assert_applied_once(node, 1000)

    asyncio.run(main())


@pytest.mark.parametrize("fate", [swallow, cut_only, apply_then_cut])
def test_a_plain_modify_without_answer_is_uncertain_and_never_sent_again(fate):
    async def main():
        node = FakeNode(can=(), rows_max=100, inflight_max=1)
        node.answer = once(fate)
        await node.start()
        async with pool(node, reply_timeout_s=patience(fate)) as cluster:
            work = modify(1000)
            cluster.attach(work)
            await work.finished()
            assert cluster.idempotent is False
            assert work.count(UNCERTAIN) == 100
            assert work.count(OK) == 900
            assert set(node.world.sent.values()) == {1}

    asyncio.run(main())


@pytest.mark.parametrize("fate", [swallow, cut_only])
def test_a_query_without_answer_is_sent_again_whatever_the_cluster_can(fate):
    async def main():
        node = FakeNode(can=())
        node.answer = once(fate)
        await node.start()
        async with pool(node, reply_timeout_s=0.2) as cluster:
            work = FakeWork(500)
            cluster.attach(work)
            await work.finished()
            assert work.count(OK) == 500

    asyncio.run(main())


def test_a_node_dying_under_load_loses_and_doubles_nothing():
    async def main():
        dying, staying = await nodes_of_one_world(2, rows_max=20)
        async with pool(dying, staying, connections=3) as cluster:
            await until(lambda: all_up(cluster))
            work = modify(20_000)
            cluster.attach(work)
            for mark in (2000, 6000, 10_000):
                await until(lambda mark=mark: (work.status != RowStatus.PENDING).sum() > mark)
                await dying.stop()
                await until(lambda: cluster.nodes()[0].state is NodeState.DOWN)
                await dying.start()
                await until(lambda: all_up(cluster))
            await work.finished(30)
            assert work.count(OK, REPLAYED) == 20_000
            assert_applied_once(staying, 20_000)

    asyncio.run(main())


def test_a_plain_cluster_dying_under_load_doubles_nothing():
    async def main():
        dying, staying = await nodes_of_one_world(2, rows_max=20, can=())
        async with pool(dying, staying, connections=2) as cluster:
            await until(lambda: all_up(cluster))
            work = modify(8000)
            cluster.attach(work)
            await until(lambda: work.count(OK) > 2000)
            await dying.stop()
            await work.finished(30)
            await dying.start()
            assert set(staying.world.sent.values()) == {1}
            assert work.count(OK) + work.count(UNCERTAIN) == 8000
            assert max(staying.world.values.values()) == 1
            applied = {user for (user, _), value in staying.world.values.items() if value}
            assert {int(row) + 1 for row in np.flatnonzero(work.status == OK)} <= applied

    asyncio.run(main())


def test_one_node_that_forgets_tokens_makes_the_cluster_one_that_does():
    async def main():
        sound, greeted = FakeNode(rows_max=10, inflight_max=1), asyncio.Event()

        async def cut_later(node, peer, asked):
            await greeted.wait()
            peer.cut()

        sound.answer = once(cut_later)
        await sound.start()
        plain = await FakeNode(sound.world, can=(), rows_max=10).start()
        await plain.stop()
        async with pool(sound, plain) as cluster:
            await until(lambda: cluster.reachable)
            assert cluster.idempotent is True
            work = modify(10)
            cluster.attach(work)
            await until(lambda: sound.world.sent)
            await plain.start()
            await until(lambda: cluster.idempotent is False)
            greeted.set()
            await work.finished()
            # sent while every node remembered tokens, lost when one did not
            assert cluster.idempotent is False
            assert work.count(UNCERTAIN) == 10
            assert set(sound.world.sent.values()) == {1}

    asyncio.run(main())


def test_lost_rows_that_wait_for_a_node_are_uncertain_when_only_a_forgetful_one_comes():
    async def main():
        node = await FakeNode(rows_max=10).start()
        node.answer = apply_then_cut
        async with pool(node) as cluster:
            await until(lambda: cluster.reachable)
            work = modify(10)
            cluster.attach(work)
            await until(lambda: node.world.sent)
            node.can = ()
            await work.finished()
            assert work.count(UNCERTAIN) == 10
            assert set(node.world.sent.values()) == {1}

    asyncio.run(main())


def test_rows_of_an_earlier_life_are_not_sent_to_a_cluster_that_forgets():
    async def main():
        node = await FakeNode(can=()).start()
        async with pool(node) as cluster:
            work = modify(20)
            work.sent_before[:5] = True
            cluster.attach(work)
            await work.finished()
            assert work.status[:5].tolist() == [UNCERTAIN] * 5
            assert work.count(OK) == 15

    asyncio.run(main())


# --- refusals and rows that come back


def refuse_first(fault, times):
    count = 0

    async def answer(node, peer, asked):
        nonlocal count
        count += 1
        if count <= times:
            peer.refuse(asked, fault)
        else:
            await node.apply_and_answer(peer, asked)

    return answer


@pytest.mark.parametrize("can", [(), ("IDEMPOTENT",)])
def test_an_overloaded_node_is_left_alone_for_a_while_and_nothing_is_lost(can):
    async def main():
        node = FakeNode(can=can, rows_max=10)
        node.answer = refuse_first("OVERLOADED", 5)
        await node.start()
        async with pool(node) as cluster:
            work = modify(200)
            cluster.attach(work)
            await work.finished()
            assert work.count(OK) == 200
            assert node.accepted == 1
            assert_applied_once(node, 200)

    asyncio.run(main())


def test_an_overloaded_nodes_rows_go_elsewhere():
    async def main():
        overloaded, idle = await nodes_of_one_world(2, rows_max=10)

        async def refuse(node, peer, asked):
            peer.refuse(asked, "OVERLOADED")

        overloaded.answer = refuse
        async with pool(overloaded, idle) as cluster:
            await until(lambda: all_up(cluster))
            work = modify(500)
            cluster.attach(work)
            await work.finished()
            assert work.count(OK) == 500

    asyncio.run(main())


def test_a_request_refused_as_our_fault_ends_as_internal(caplog):
    async def main():
        node = FakeNode(rows_max=10)

        async def refuse(node, peer, asked):
            peer.refuse(asked, "OURS")

        node.answer = refuse
        await node.start()
        async with pool(node) as cluster:
            work = modify(10)
            cluster.attach(work)
            await work.finished(20)
            assert work.count(INTERNAL) == 10
            assert node.accepted == 1
            assert set(node.world.sent.values()) == {1 + retries.INTERNAL_RESENDS_MAX}

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["BROKEN", "WRONG_CLUSTER"])
def test_a_fatal_error_leaves_requests_in_flight_unanswered(fault):
    async def main():
        node = FakeNode(can=(), rows_max=10, inflight_max=1)

        async def refuse(node, peer, asked):
            peer.refuse(asked, fault)

        node.answer = once(refuse)
        await node.start()
        async with pool(node) as cluster:
            work = modify(30)
            cluster.attach(work)
            await until(lambda: work.count(UNCERTAIN) == 10)
            cluster.ask_again()
            await work.finished()
            assert work.count(OK) == 20

    asyncio.run(main())


def busy_share(share, status, seed=1):
    random = Random(seed)

    async def answer(node, peer, asked):
        refused = [random.random() < share for _ in asked["users"]]
        wanted = [place for place, no in enumerate(refused) if not no]
        part = {name: [asked[name][p] for p in wanted] for name in ("index", "users", "amounts")}
        done = iter(zip(*node.apply(asked | part), strict=True) if wanted else ())
        rows = [(int(status), [0], [0]) if no else next(done) for no in refused]
        peer.reply(asked, *[list(column) for column in zip(*rows, strict=True)])

    return answer


@pytest.mark.parametrize("can", [(), ("IDEMPOTENT",)])
@pytest.mark.parametrize("status", [BUSY, INTERNAL])
def test_rows_answered_busy_or_internal_are_done_later_and_once(status, can):
    async def main():
        node = FakeNode(can=can, rows_max=50)
        node.answer = busy_share(0.1, status)
        await node.start()
        async with pool(node) as cluster:
            work = modify(3000)
            cluster.attach(work)
            await work.finished()
            assert work.count(OK) == 3000
            assert_applied_once(node, 3000)
            assert max(node.world.sent.values()) > 1

    asyncio.run(main())


def always(status):
    async def answer(node, peer, asked):
        peer.reply_all(asked, int(status))

    return answer


def test_internal_for_ever_fails_as_internal_after_five_more_tries():
    async def main():
        node = FakeNode(rows_max=50)
        node.answer = always(INTERNAL)
        await node.start()
        async with pool(node) as cluster:
            work = modify(100)
            cluster.attach(work)
            await work.finished(20)
            assert work.count(INTERNAL) == 100
            assert set(node.world.sent.values()) == {6}

    asyncio.run(main())


@pytest.mark.parametrize("earlier", ["lost copy", "earlier life"])
@pytest.mark.parametrize("status", [BUSY, INTERNAL])
def test_a_row_that_may_have_been_done_never_fails_as_not_done(status, earlier, monkeypatch):
    monkeypatch.setattr(retries, "BUSY_S_MAX", 0.3)

    async def main():
        node = FakeNode(rows_max=50)
        node.answer = once(swallow, always(status)) if earlier == "lost copy" else always(status)
        await node.start()
        async with pool(node, reply_timeout_s=0.3) as cluster:
            work = modify(20)
            work.sent_before[:] = earlier == "earlier life"
            cluster.attach(work)
            await work.finished(20)
            assert work.count(UNCERTAIN) == 20

    asyncio.run(main())


def test_busy_for_ever_fails_as_busy(monkeypatch):
    monkeypatch.setattr(retries, "BUSY_S_MAX", 0.3)

    async def main():
        node = FakeNode(rows_max=50)
        node.answer = always(BUSY)
        await node.start()
        async with pool(node) as cluster:
            modifying, asking = modify(20), FakeWork(20)
            cluster.attach(modifying)
            cluster.attach(asking)
            await modifying.finished()
            await asking.finished()
            assert modifying.count(BUSY) == 20
            assert asking.count(BUSY) == 20

    asyncio.run(main())


def test_paused_rows_are_bounded():
    async def main():
        node = FakeNode(rows_max=4096, inflight_max=32)
        node.answer = always(BUSY)
        await node.start()
        async with pool(node) as cluster:
            work = FakeWork(1_000_000)
            cluster.attach(work)
            await until(lambda: work.taken >= 65_536)
            await until(lambda: not len(cluster._rotation))
            assert work.taken <= 65_536 + cap.ROWS_MAX
            await cluster.detach(work, 1.0)

    asyncio.run(main())


def test_restore_goes_only_to_nodes_that_serve_it():
    async def main():
        plain = await FakeNode().start()
        able = await FakeNode(plain.world, can=("IDEMPOTENT", "RESTORE")).start()
        async with pool(plain, able) as cluster:
            await until(lambda: all_up(cluster))
            asked = []
            plain.answer = lambda node, peer, said: (
                asked.append(said) or FakeNode.apply_and_answer(node, peer, said)
            )
            work = FakeWork(1000, mode=Mode.RESTORE)
            cluster.attach(work)
            await work.finished()
            assert not asked

    asyncio.run(main())


# --- leaving


def test_detach_waits_for_what_is_in_flight():
    async def main():
        node, gate = FakeNode(rows_max=10, inflight_max=3), asyncio.Event()

        async def wait(node, peer, asked):
            await gate.wait()
            await node.apply_and_answer(peer, asked)

        node.answer = wait
        await node.start()
        async with pool(node) as cluster:
            work = modify(1000)
            cluster.attach(work)
            await until(lambda: cluster.rows_inflight == 30)
            detaching = asyncio.create_task(cluster.detach(work, 5.0))
            await asyncio.sleep(0)
            gate.set()
            undone, unknown = await detaching
            assert (len(undone), len(unknown)) == (0, 0)
            assert work.count(OK) == work.taken == 30

    asyncio.run(main())


@pytest.mark.parametrize("modifies", [False, True])
def test_detach_gives_up_at_the_time_out_and_tells_nothing_after(modifies):
    async def main():
        node, gate = FakeNode(rows_max=10, inflight_max=3), asyncio.Event()

        async def wait(node, peer, asked):
            await gate.wait()
            await node.apply_and_answer(peer, asked)

        node.answer = wait
        await node.start()
        async with pool(node) as cluster:
            work = FakeWork(1000, mode=Mode.INC if modifies else None)
            cluster.attach(work)
            await until(lambda: cluster.rows_inflight == 30)
            undone, unknown = await cluster.detach(work, 0.05)
            assert (unknown if modifies else undone).tolist() == list(range(30))
            assert len(undone if modifies else unknown) == 0
            gate.set()
            await until(lambda: cluster.rows_inflight == 0)
            assert work.count(OK) == 0

    asyncio.run(main())


def test_detach_gives_paused_rows_back_at_once():
    async def main():
        node = FakeNode(rows_max=10)
        node.answer = always(BUSY)
        await node.start()
        async with pool(node) as cluster:
            work = modify(100)
            work.sent_before[:7] = True
            cluster.attach(work)
            await until(lambda: work.taken == 100 and cluster.rows_inflight == 0)
            undone, unknown = await cluster.detach(work, 5.0)
            assert unknown.tolist() == list(range(7))
            assert undone.tolist() == list(range(7, 100))
            assert (work.status == RowStatus.PENDING).all()

    asyncio.run(main())


@pytest.mark.parametrize("second", ["answered", "lost", "busy"])
def test_rows_lost_while_leaving_are_sent_once_more(second):
    async def main():
        node, gate = FakeNode(rows_max=10, inflight_max=1), asyncio.Event()

        async def wait_then_cut(node, peer, asked):
            await gate.wait()
            await apply_then_cut(node, peer, asked)

        then = {"answered": FakeNode.apply_and_answer, "lost": apply_then_cut, "busy": always(BUSY)}[second]
        node.answer = once(wait_then_cut, then)
        await node.start()
        async with pool(node) as cluster:
            work = modify(1000)
            cluster.attach(work)
            await until(lambda: cluster.rows_inflight == 10)
            detaching = asyncio.create_task(cluster.detach(work, 5.0))
            await asyncio.sleep(0)
            gate.set()
            undone, unknown = await detaching
            assert len(undone) == 0
            assert unknown.tolist() == ([] if second == "answered" else list(range(10)))
            assert work.count(REPLAYED) == (10 if second == "answered" else 0)
            assert set(node.world.sent.values()) == {2}

    asyncio.run(main())


def test_detach_of_an_unreachable_cluster_ends_with_its_time_out():
    async def main():
        node = FakeNode(rows_max=10, inflight_max=2)
        node.answer = swallow
        await node.start()
        async with pool(node, reply_timeout_s=5.0) as cluster:
            work = modify(100)
            cluster.attach(work)
            await until(lambda: cluster.rows_inflight == 20)
            await node.stop()
            await until(lambda: not cluster.reachable)
            undone, unknown = await cluster.detach(work, 0.05)
            assert (len(undone), unknown.tolist()) == (0, list(range(20)))
            await node.start()

    asyncio.run(main())


def test_detach_of_a_stranger_answers_with_nothing():
    async def main():
        node = await FakeNode().start()
        async with pool(node) as cluster:
            undone, unknown = await cluster.detach(FakeWork(3), 1.0)
            assert (len(undone), len(unknown)) == (0, 0)

    asyncio.run(main())


def test_an_operation_may_come_back_after_it_left():
    async def main():
        node = await FakeNode(rows_max=10).start()
        async with pool(node) as cluster:
            work = modify(2000)
            cluster.attach(work)
            await until(lambda: work.count(OK) > 100)
            await cluster.detach(work, 5.0)
            assert work.count(OK) == work.taken < 2000
            cluster.attach(work)
            await work.finished()
            assert_applied_once(node, 2000)

    asyncio.run(main())


def test_closing_lets_requests_in_flight_be_answered():
    async def main():
        node = FakeNode(rows_max=10, inflight_max=2)

        async def slow(node, peer, asked):
            await asyncio.sleep(0.05)
            await node.apply_and_answer(peer, asked)

        node.answer = slow
        await node.start()
        async with pool(node) as cluster:
            work = modify(100)
            cluster.attach(work)
            await until(lambda: cluster.rows_inflight == 20)
            await cluster.close()
            assert work.count(OK) == work.taken == 20
            undone, unknown = await cluster.detach(work, 5.0)
            assert (len(undone), len(unknown)) == (0, 0)

    asyncio.run(main())


def test_closing_with_a_silent_node_leaves_rows_unknown(monkeypatch):
    monkeypatch.setattr(cluster_module, "CLOSE_S_MAX", 0.05)

    async def main():
        node = FakeNode(rows_max=10, inflight_max=2)
        node.answer = swallow
        await node.start()
        async with pool(node) as cluster:
            work = modify(100)
            cluster.attach(work)
            await until(lambda: cluster.rows_inflight == 20)
            await cluster.close()
            undone, unknown = await cluster.detach(work, 5.0)
            assert (len(undone), unknown.tolist()) == (0, list(range(20)))

    asyncio.run(main())


# --- connections


def test_connections_never_exceed_the_budget_through_cuts_and_goaways():
    async def main():
        node = await FakeNode(rows_max=10).start()
        async with pool(node, connections=3) as cluster:
            work = modify(6000)
            cluster.attach(work)
            for mark in range(1000, 5000, 1000):
                await until(lambda mark=mark: work.taken > mark)
                for peer in list(node.peers)[:2]:
                    peer.say({"away": "", "overloaded": False})
                await until(lambda: len(node.peers) == 3)
                node.peers[0].cut()
            await work.finished(30)
            assert node.peers_most == 3
            assert_applied_once(node, 6000)

    asyncio.run(main())


def test_failures_of_many_connections_at_once_count_as_one():
    async def main():
        node = await FakeNode().start()
        async with pool(node, connections=20) as cluster:
            await until(lambda: len(node.peers) == 20)
            loop = asyncio.get_running_loop()
            await node.cut()
            start_s = loop.time()
            await until(lambda: cluster.reachable and len(node.peers) == 20)
            assert loop.time() - start_s < 1.0

    asyncio.run(main())


def test_a_dead_node_is_not_hammered():
    async def main():
        node = await FakeNode().start()
        node.greet_with = "BROKEN"
        async with pool(node, connections=10):
            await until(lambda: node.accepted >= 4)
            assert node.peers_most == 1

    asyncio.run(main())


# --- other settings while running


def test_reconfiguring_keeps_what_stays_and_lets_what_goes_answer():
    async def main():
        staying, going, coming = await nodes_of_one_world(3, rows_max=10)
        async with pool(staying, going, connections=2) as cluster:
            await until(lambda: sum(view.connections for view in cluster.nodes()) == 4)
            work = modify(6000)
            cluster.attach(work)
            await until(lambda: work.count(OK) > 1000)
            await cluster.reconfigure(settings_for(staying, coming, connections=2))
            assert not going.peers
            await work.finished()
            assert max(staying.world.sent.values()) == 1
            assert (staying.accepted, going.accepted, coming.accepted) == (2, 2, 2)
            assert [view.address for view in cluster.nodes()] == [
                str(node.address()) for node in (staying, coming)
            ]
        await coming.stop()

    asyncio.run(main())


def test_reconfiguring_changes_budgets_and_the_speed_limit():
    async def main():
        node = await FakeNode().start()
        async with pool(node, connections=1) as cluster:
            await until(lambda: len(node.peers) == 1)
            await cluster.reconfigure(settings_for(node, connections=4, rows_per_s=500))
            await until(lambda: len(node.peers) == 4)
            assert cluster.rows_per_s == 500
            await cluster.reconfigure(settings_for(node, connections=2))
            await until(lambda: len(node.peers) == 2)
            assert node.accepted == 4

    asyncio.run(main())


def test_another_codec_revives_a_node_that_was_given_up():
    class Newer(LinesCodec):
        name = "lines2"

    async def main():
        node = await FakeNode().start()
        node.greet_with = "VERSION"
        async with pool(node) as cluster:
            await until(lambda: cluster.nodes()[0].state is NodeState.DOWN)
            node.greet_with = None
            await cluster.reconfigure(settings_for(node, codec=Newer()))
            await until(lambda: cluster.reachable)

    asyncio.run(main())


def test_a_codec_that_breaks_down_leaves_no_row_without_an_end(caplog):
    class Broken(LinesCodec):
        def open_session(self, cluster, origin):
            session = super().open_session(cluster, origin)
            session.encode_requests = lambda *_: 1 // 0
            return session

    async def main():
        node = await FakeNode().start()
        async with pool(node, codec=Broken()) as cluster:
            work = modify(100)
            cluster.attach(work)
            await work.finished()
            assert work.count(INTERNAL) == 100
            assert not node.world.sent

    asyncio.run(main())
    assert "cannot be said in the dialect" in caplog.text


def test_many_budgeted_connections_share_the_load_alike():
    async def main():
        nodes = await nodes_of_one_world(2, rows_max=10, inflight_max=2)
        async with pool(*nodes, connections=2) as cluster:
            await until(lambda: sum(view.connections for view in cluster.nodes()) == 4)
            asked = [Counter(), Counter()]
            for node, count in zip(nodes, asked, strict=True):

                async def answer(node, peer, said, count=count):
                    count[peer] += 1
                    await node.apply_and_answer(peer, said)

                node.answer = answer
            work = FakeWork(8000)
            cluster.attach(work)
            await work.finished()
            shares = [share for count in asked for share in count.values()]
            assert len(shares) == 4
            assert min(shares) > 800 / 4 / 2

    asyncio.run(main())
