"""The pool against the simulated cluster, over EVT/1: what the protocol page asks, end to end."""

import asyncio
import contextlib

import numpy as np
import pytest
from fake_node import modify, settings_for, until

from eomd.evt.cluster import Cluster
from eomd.evt.codec import load_codec
from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import NodeAddress, NodeState, RowStatus

OK, REPLAYED, UNCERTAIN = RowStatus.OK, RowStatus.REPLAYED, RowStatus.UNCERTAIN


@contextlib.asynccontextmanager
async def simulated(*, nodes=1, connections=2, faults=None, pool=None, **settings):
    """A simulated cluster and a started pool for it; the order of their ending is that of a test's block."""
    listen = (("127.0.0.1", 0),) * nodes
    simulator = SimulatedCluster(SimulatorSettings(listen=listen, faults=faults or Faults(), **settings))
    await asyncio.to_thread(simulator.start)
    addresses = tuple(NodeAddress(n.address.host, n.address.port, connections) for n in simulator.nodes)
    cluster = Cluster(settings_for(nodes=addresses, codec=load_codec("evt1"), **(pool or {})))
    await cluster.start()
    try:
        yield simulator, cluster
    finally:
        await cluster.close()
        counts = simulator.counts()
        await asyncio.to_thread(simulator.stop)
    assert (counts["over_inflight"], counts["over_rows"], counts["malformed"]) == (0, 0, 0)


def fault_names(value):
    if not isinstance(value, Faults):
        return str(value)
    return (
        " ".join(name for name in Faults.__slots__ if getattr(value, name) != getattr(Faults(), name))
        or "none"
    )


def assert_applied_once(simulator, rows):
    assert (simulator.values([1001], range(1, rows + 1)) == 1).all()
    journal = np.concatenate([block.rows for block in simulator.journal()])
    assert len(journal) == len(np.unique(journal)) == rows


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(jitter_ms=5.0),
        Faults(busy_share=0.05, internal_share=0.02),
        Faults(overloaded_share=0.2),
        Faults(close_after=9, close_when="before"),
        Faults(close_after=9, close_when="after"),
        Faults(mute_after=9, mute_when="before"),
        Faults(mute_after=9, mute_when="after"),
        Faults(goaway_after=9),
        Faults(wrong_crc_share=0.05),
        Faults(corrupt_share=0.05),
    ],
    ids=fault_names,
)
def test_an_idempotent_modify_is_done_once_whatever_goes_wrong(faults):
    async def main():
        async with simulated(nodes=2, faults=faults, max_rows=50, pool={"reply_timeout_s": 0.4}) as (
            simulator,
            cluster,
        ):
            work = modify(3000)
            cluster.attach(work)
            await work.finished(50)
            assert work.count(OK, REPLAYED) == 3000
            assert_applied_once(simulator, 3000)

    asyncio.run(main())


@pytest.mark.parametrize(
    "faults",
    [
        Faults(close_after=5, close_when="before"),
        Faults(close_after=5, close_when="after"),
        Faults(mute_after=5, mute_when="after"),
        Faults(wrong_crc_share=0.1),
    ],
    ids=fault_names,
)
def test_a_plain_modify_is_done_at_most_once_whatever_goes_wrong(faults):
    async def main():
        async with simulated(
            nodes=2,
            faults=faults.change({"no_idempotent": True}),
            max_rows=20,
            max_inflight=4,
            pool={"reply_timeout_s": 0.4},
        ) as (simulator, cluster):
            work = modify(2000)
            cluster.attach(work)
            await work.finished(50)
            values = simulator.values([1001], range(1, 2001))[:, 0]
            assert values.max() == 1
            assert (values[work.status == OK] == 1).all()
            assert 0 < work.count(UNCERTAIN) < 2000
            assert work.count(OK, UNCERTAIN) == 2000

    asyncio.run(main())


def test_a_node_that_greets_and_never_answers_well_is_failing_until_it_does():
    async def main():
        async with simulated(faults=Faults(corrupt_share=1.0)) as (simulator, cluster):
            assert not cluster.nodes()[0].failing
            seen = set()
            cluster.add_listener(lambda: seen.add((cluster.nodes()[0].state, cluster.nodes()[0].failing)))
            work = modify(10)
            cluster.attach(work)
            await until(lambda: cluster.nodes()[0].failing)
            # a greeting makes it up, for a moment, and proves nothing
            await until(lambda: (NodeState.UP, True) in seen)
            simulator.order(corrupt_share=0.0)
            await work.finished()
            await until(lambda: not cluster.nodes()[0].failing)

    asyncio.run(main())


def test_one_byte_at_a_time_over_evt1():
    async def main():
        async with simulated(faults=Faults(one_byte=True), max_rows=10) as (_, cluster):
            work = modify(100)
            cluster.attach(work)
            await work.finished()
            assert work.count(OK) == 100

    asyncio.run(main())


def test_a_node_that_dies_and_returns_under_load_is_passed_over():
    async def main():
        async with simulated(nodes=2, connections=4, max_rows=20, pool={"rows_per_s": 30_000}) as (
            simulator,
            cluster,
        ):
            await until(lambda: all(view.state is NodeState.UP for view in cluster.nodes()))
            work = modify(30_000)
            cluster.attach(work)
            for number in (0, 1, 0):
                decided = (work.status != RowStatus.PENDING).sum()
                await until(lambda decided=decided: (work.status != RowStatus.PENDING).sum() > decided + 3000)
                await asyncio.to_thread(simulator.stop_node, number)
                await until(lambda number=number: cluster.nodes()[number].state is NodeState.DOWN)
                await asyncio.to_thread(simulator.start_node, number)
                await until(lambda number=number: cluster.nodes()[number].state is NodeState.UP)
            await work.finished(30)
            assert_applied_once(simulator, 30_000)
            assert simulator.counts()["connections_peak"] <= 8

    asyncio.run(main())


@pytest.mark.parametrize(
    ("faults", "state", "word"),
    [
        (Faults(silent=True), NodeState.DOWN, "no greeting"),
        (Faults(claim_cluster="leisure"), NodeState.MISCONFIGURED, "error 5"),
        (Faults(refuse_version=True), NodeState.DOWN, "error 2"),
    ],
    ids=fault_names,
)
def test_a_node_that_does_not_greet_is_shown_with_its_reason(faults, state, word):
    async def main():
        async with simulated(faults=faults, pool={"reply_timeout_s": 0.2}) as (_, cluster):
            await until(lambda: cluster.nodes()[0].state is state)
            assert word in cluster.nodes()[0].last_error

    asyncio.run(main())


def test_an_idle_connection_pings_over_evt1():
    async def main():
        async with simulated(pool={"idle_s": 0.02}) as (simulator, cluster):
            await until(lambda: simulator.counts()["pings"] >= 4)
            assert cluster.nodes()[0].state is NodeState.UP

    asyncio.run(main())
