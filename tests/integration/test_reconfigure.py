"""Clusters that come, change and go while operations run, and other settings; nobody else is touched."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eomd.config import Settings
from eomd.errors import ConfigurationError, InvalidConfigError, QueueFullError
from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.model import Operation, PausedBy, State
from eomd.reconfigure import Reconfiguration
from tests.integration.life import CALLER, NOWHERE, Home, Life, lines, order, until, users
from tests.journal import count_applied

#: rows of an operation that runs for a while at PACE
ROWS, PACE = 12_000, 10_000
CONTENT = lines(users(ROWS), 5)
TWO_NODES = (("127.0.0.1", 0), ("127.0.0.1", 0))


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(listen=TWO_NODES)) as cluster:
        yield cluster


@pytest.fixture
def label() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(cluster="label", listen=TWO_NODES)) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster, label: SimulatedCluster) -> Home:
    """Two clusters, slow enough to be caught at work."""
    return Home(tmp_path, {"fish": fish, "label": label}, rows_per_s=PACE)


def without(home: Home, name: str) -> Settings:
    return changed(home, clusters={n: c for n, c in tables(home)["clusters"].items() if n != name})


def tables(home: Home) -> dict[str, Any]:
    return json.loads(home.settings().model_dump_json(exclude={"clusters", "ledger"})) | {
        "clusters": {
            name: {**table.model_dump(), "nodes": [f"{node}:2" for node in table.nodes]}
            for name, table in home.settings().clusters.items()
        },
        "ledger": {"url": "sqlite:///eomd.db"},
    }


def changed(home: Home, **wanted: dict[str, Any]) -> Settings:
    """Return the home's settings with keys of some tables changed; `clusters` is replaced as a whole."""
    before = tables(home)
    merged = {name: {**before[name], **keys} for name, keys in wanted.items() if name != "clusters"}
    clusters = {"clusters": wanted["clusters"]} if "clusters" in wanted else {}
    return Settings.model_validate({**before, **merged, **clusters})


def assert_exact(life: Life, operation: Operation, cluster: SimulatedCluster) -> None:
    """Check every byte of the result of one inc by 5 on fresh counters, and that it was applied once."""
    wanted = ["userid,status,detail,1001_before,1001_after", *(f"{u},OK,,0,5" for u in users(ROWS))]
    assert life.data.result(operation.id).read_text() == "\n".join([*wanted, ""])
    assert count_applied(cluster.state) == dict.fromkeys(users(ROWS), 1)


async def parked(life: Life, operation: int) -> Operation:
    found = await life.reach(operation, State.PAUSED)
    assert found.paused_by is PausedBy.CLUSTER
    assert found.message == f"cluster {found.order.cluster} is not configured; goes on when it is"
    return found


# --- clusters that go and come


def test_a_deleted_cluster_parks_its_operations_and_touches_no_other(
    home: Home, fish: SimulatedCluster, label: SimulatedCluster
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            mine = await life.hand_in(order("inc"), CONTENT)
            other = await life.hand_in(order("inc", cluster="label"), CONTENT)
            await life.progress(mine.id, 1000)
            await life.progress(other.id, 1000)
            outcome = life.reconfigure(without(home, "fish"))
            assert (outcome.taken, outcome.needs_restart) == (["clusters.fish (gone)"], [])
            with pytest.raises(InvalidConfigError, match="there is no cluster 'fish'"):
                await life.hand_in(order("inc"), CONTENT)
            await parked(life, mine.id)
            await until(lambda: all(not node.connections for node in fish.nodes), "fish is left alone")
            assert (await life.reach(other.id)).state is State.SUCCEEDED
            assert_exact(life, other, label)
            assert label.counts()["connections"] == 4
            assert life.shown(mine.id).counts.done < ROWS  # type: ignore[union-attr]

            outcome = life.reconfigure(home.settings())
            assert outcome.taken == ["clusters.fish (new)"]
            assert (await life.reach(mine.id)).state is State.SUCCEEDED
            assert_exact(life, mine, fish)

    asyncio.run(scenario())


def test_an_operation_waits_over_a_restart_for_its_cluster_to_be_configured(
    home: Home, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            life.reconfigure(without(home, "fish"))
            await parked(life, operation.id)
        kept = home.clusters.pop("fish")
        async with home.life() as life:
            assert (await parked(life, operation.id)).counts.done >= 1000
            home.clusters["fish"] = kept
            life.reconfigure(home.settings())
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            assert_exact(life, operation, fish)

    asyncio.run(scenario())


def test_rows_stay_protected_by_tokens_while_their_cluster_is_away(home: Home) -> None:
    """A checkpoint that says otherwise would make rows uncertain that were never sent."""

    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            life.reconfigure(without(home, "fish"))
            await parked(life, operation.id)
        kept = json.loads(home.data.operation(operation.id).checkpoint.read_bytes())
        assert kept["protected"] is True

    asyncio.run(scenario())


def test_operations_start_in_their_order_when_their_cluster_comes_back(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": NOWHERE})
        async with home.life() as life:
            waiting = [await life.hand_in(order(), lines(users(3))) for _ in range(20)]
            await until(lambda: life.rooms.schedule.running == 16, "as many run as may")
            for _ in range(3):
                life.reconfigure(without(home, "fish"))
                await until(lambda: life.rooms.schedule.running == 16, "they run without a pool")
                life.reconfigure(home.settings())
                await until(lambda: life.rooms.schedule.running == 16, "they run again")
            await asyncio.gather(*(life.reach(each.id, State.PAUSED) for each in waiting[:16]))
            late = [life.shown(operation.id) for operation in waiting[16:]]
            assert [view.state for view in late if view] == [State.QUEUED] * 4
            home.clusters["fish"] = fish
            life.reconfigure(home.settings())
            for operation in waiting:
                assert (await life.reach(operation.id)).state is State.SUCCEEDED

    asyncio.run(scenario())


def test_a_person_s_pause_outlasts_its_cluster(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            await life.act("pause", operation.id)
            life.reconfigure(without(home, "fish"))
            life.reconfigure(home.settings())
            await until(lambda: life.desk.clusters()[0].reachable, "the cluster is back")
            shown = life.shown(operation.id)
            assert shown is not None
            assert (shown.state, shown.paused_by) == (State.PAUSED, PausedBy.PERSON)
            await life.act("resume", operation.id)
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            assert_exact(life, operation, fish)

    asyncio.run(scenario())


def test_a_parked_operation_can_be_cancelled(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            life.reconfigure(without(home, "fish"))
            await parked(life, operation.id)
            await life.act("cancel", operation.id)
            done = await life.reach(operation.id)
            assert (done.state, done.counts.uncertain) == (State.CANCELLED, 0)
        applied = count_applied(fish.state)
        assert (len(applied), max(applied.values())) == (done.counts.ok, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("first", ["word", "move"])
@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_person_s_word_wins_over_a_move_under_way(
    home: Home, fish: SimulatedCluster, action: str, first: str
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            # both have to wait for answers
            fish.order(latency_ms=200.0)
            if first == "move":
                life.reconfigure(without(home, "fish"))
                await asyncio.sleep(0)
            word = asyncio.create_task(life.act(action, operation.id))
            await asyncio.sleep(0)
            if first == "word":
                life.reconfigure(without(home, "fish"))
            await word
            wanted = State.PAUSED if action == "pause" else State.CANCELLED
            shown = await life.reach(operation.id, wanted)
            assert shown.paused_by is (PausedBy.PERSON if action == "pause" else None)
        assert max(count_applied(fish.state).values()) == 1

    asyncio.run(scenario())


def test_a_server_that_drains_meanwhile_loses_nothing(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            fish.order(latency_ms=300.0)
            life.reconfigure(without(home, "fish"))
        fish.order(latency_ms=0.0)
        async with home.life() as life:
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            assert_exact(life, operation, fish)

    asyncio.run(scenario())


# --- clusters that change


def test_nodes_are_exchanged_under_a_running_operation(
    home: Home, fish: SimulatedCluster, label: SimulatedCluster
) -> None:
    def only(number: int) -> Settings:
        clusters = tables(home)["clusters"]
        clusters["fish"]["nodes"] = [f"{fish.nodes[number].address}:3"]
        return changed(home, clusters=clusters)

    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            for number in (0, 1, 0):
                outcome = life.reconfigure(only(number))
                assert outcome.taken == ["clusters.fish.nodes"]
                seen = life.shown(operation.id)
                assert seen is not None
                await life.progress(operation.id, seen.counts.done + 500)
                gone = fish.nodes[1 - number]
                await until(lambda gone=gone: not gone.connections, "the old node is left alone")
            done = await life.reach(operation.id)
            assert (done.state, done.message) == (State.SUCCEEDED, None)
            assert_exact(life, operation, fish)
            assert label.counts()["connections"] == 4
        kept = json.loads(home.data.operation(operation.id).checkpoint.read_bytes())
        assert kept["protected"] is True

    asyncio.run(scenario())


def test_rows_in_flight_on_a_node_that_goes_and_says_nothing_are_sent_to_the_others(
    home: Home, fish: SimulatedCluster
) -> None:
    async def scenario() -> None:
        home.clusters["fish"] = str(fish.nodes[0].address)
        clusters = tables(home)["clusters"]
        clusters["fish"]["nodes"] = [str(fish.nodes[1].address)]
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            await life.progress(operation.id, 1000)
            fish.order(node=0, mute_after=1)
            await until(lambda: life.desk.clusters()[0].nodes[0].inflight >= 4, "nothing is answered")
            fish.stop_node(1)
            life.reconfigure(changed(home, clusters=clusters))
            await until(lambda: not fish.nodes[0].connections, "the old node is given up")
            fish.start_node(1)
            assert (await life.reach(operation.id)).state is State.SUCCEEDED
            assert_exact(life, operation, fish)
        assert fish.counts()["replayed_rows"] > 0

    asyncio.run(scenario())


def test_pace_title_and_patience_change_and_a_person_s_pace_stays(home: Home) -> None:
    def wanted(**keys: Any) -> Settings:
        clusters = tables(home)["clusters"]
        clusters["fish"] |= keys
        return changed(home, clusters=clusters)

    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(order("inc"), CONTENT)
            life.reconfigure(wanted(rows_per_s=100, title="捕鱼"))
            await until(lambda: life.desk.clusters()[0].rows_per_s == 100, "the new pace")
            assert life.desk.clusters()[0].title == "捕鱼"
            await life.desk.set_cluster("fish", CALLER, rows_per_s=7)
            life.reconfigure(wanted(rows_per_s=100, title="捕鱼集群", reply_timeout_s=3.0))
            view = life.desk.clusters()[0]
            assert (view.title, view.rows_per_s) == ("捕鱼集群", 7)
            await life.desk.set_cluster("fish", CALLER, rows_per_s=0)
            assert (await life.reach(operation.id)).state is State.SUCCEEDED

    asyncio.run(scenario())


def test_a_drained_cluster_stays_drained_when_it_is_configured_anew(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            await life.desk.set_cluster("fish", CALLER, rows_per_s=7, drain=True)
            life.reconfigure(without(home, "fish"))
            life.reconfigure(home.settings())
            views = [(view.name, view.drained, view.rows_per_s) for view in life.desk.clusters()]
            assert views == [("fish", True, 7), ("label", False, PACE)]

    asyncio.run(scenario())


# --- everything else


def test_limits_are_taken_at_once(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            limits = {"rows": 10, "min_free_mb": 2, "unknown_eids": "allow", "upload_mb": 9}
            outcome = life.reconfigure(changed(home, limits={**limits, "queued_operations": 1}))
            assert sorted(outcome.taken) == [
                "limits.min_free_mb",
                "limits.queued_operations",
                "limits.rows",
                "limits.unknown_eids",
                "limits.upload_mb",
            ]
            with pytest.raises(Exception, match=r"limits\.rows"):
                await life.hand_in(order(), lines(users(11)))
            assert life.desk.components()["disk"]["min_free_mb"] == 2
            assert life.rooms.context.upload_mb == 9
            await life.desk.set_cluster("fish", CALLER, drain=True)
            for _ in range(16 + 1):
                await life.hand_in(order(), lines(users(2)))
            with pytest.raises(QueueFullError, match=r"limits\.queued_operations = 1"):
                await life.hand_in(order(), lines(users(2)))

    asyncio.run(scenario())


def test_what_needs_a_restart_is_named_each_time_and_not_taken(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            wanted = changed(
                home,
                ledger={"table": "other"},
                server={"listen": "127.0.0.1:1", "trusted_proxies": ["192.0.2.1"]},
                retention={"log_days": 1},
            )
            outcome = life.reconfigure(wanted)
            assert outcome.taken == ["server.trusted_proxies", "retention.log_days"]
            assert outcome.needs_restart == ["server.listen", "ledger.table"]
            outcome = life.reconfigure(wanted)
            assert (outcome.taken, outcome.needs_restart) == ([], ["server.listen", "ledger.table"])
            assert life.configuration.settings.ledger.table == "define_optgroup"
            assert life.reconfigure(home.settings()).needs_restart == []

    asyncio.run(scenario())


def test_a_cluster_of_an_unknown_codec_changes_nothing(home: Home) -> None:
    async def scenario() -> None:
        clusters = tables(home)["clusters"]
        del clusters["fish"]
        clusters["new"] = {"nodes": [NOWHERE], "codec": "evt99"}
        async with home.life() as life:
            with pytest.raises(ConfigurationError, match="no codec named 'evt99'"):
                life.reconfigure(changed(home, clusters=clusters))
            assert [view.name for view in life.desk.clusters()] == ["fish", "label"]

    asyncio.run(scenario())


def test_the_log_s_level_changes_at_once(home: Home) -> None:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]

    async def scenario() -> None:
        async with home.life() as life:
            life.reconfigure(changed(home, log={"level": "error"}))
            assert root.level == logging.ERROR

    try:
        asyncio.run(scenario())
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def test_auth_stays_on_as_long_as_others_can_connect(home: Home) -> None:
    """The watchdog's sockets may be older than the file that now names a loopback address."""

    async def scenario() -> None:
        async with home.life(errors=["auth.enabled = false is not followed"]) as life:
            exposed = Reconfiguration(home.settings(), life.rooms, None, exposed=True)
            exposed.take(exposed.prepare(changed(home, auth={"enabled": False})))
            assert life.rooms.context.access.settings.enabled
            life.reconfigure(changed(home, auth={"enabled": False}))
            assert not life.rooms.context.access.settings.enabled

    asyncio.run(scenario())
