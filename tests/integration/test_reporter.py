"""The watchdog's eyes on a whole server: what they see is told, what is heard compared, and remedied."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings
from eomd.model import NodeAddress
from eomd.watchdog import decisions as decisions_module
from eomd.watchdog import reporter as reporter_module
from eomd.watchdog.charge import Charge, ClusterCharge, InboxCharge, LedgerCharge, LogCharge, WatchdogCharge
from eomd.watchdog.decisions import Plan, Step
from eomd.watchdog.dispatcher import Dispatcher
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents, Kind
from eomd.watchdog.probes import Probes, read_origin
from eomd.watchdog.remedies import register_remedies
from eomd.watchdog.reporter import Reporter
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.server_link import ServerLink
from eomd.watchdog.server_probe import ServerProbe
from eomd.watchdog.sight import UNKNOWN, UP, Finding
from tests.integration.http_site import CONFIG, Site, open_site
from tests.integration.life import until
from tests.on_loop import on_loop

PROBE_S = 0.02


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(counters=(Counter(1001), Counter(1002)), fill=1)) as cluster:
        yield cluster


@pytest.fixture
def site(fish: SimulatedCluster, tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path / "site", {"fish": fish}) as opened:
        yield opened


def charge_of(site: Site, *clusters: ClusterCharge) -> Charge:
    data = site.data.path
    return Charge(
        source=None,
        data_dir=data,
        runtime=data / "run",
        listen="127.0.0.1:0",
        tls_cert="",
        tls_key="",
        min_free_mb=1,
        files_days=0,
        watchdog=WatchdogCharge(0.5, 3.0, PROBE_S, (0.1, 10.0), 1024, False),
        ledger=LedgerCharge(f"sqlite:///{data}/eomd.db", None, ""),
        clusters=clusters,
        inbox=InboxCharge(data / "inbox", True, 0, "inbox", 5.0, {}),
        log=LogCharge("info", "text"),
    )


def cluster_charge(cluster: SimulatedCluster, name: str = "fish", codec: str = "evt1") -> ClusterCharge:
    return ClusterCharge(name, codec, tuple(node.address for node in cluster.nodes))


class Eyes:
    """The watchdog's parts that look, tell and remedy."""

    def __init__(self, site: Site, *clusters: ClusterCharge) -> None:
        loop = asyncio.get_running_loop()
        self.charge = charge_of(site, *clusters)
        self.schedule = Schedule(loop.time, loop.call_at, Random(1))
        spool = self.charge.data_dir / "spool" / "incidents"
        self.incidents = Incidents(IncidentFiles(self.charge.folder, spool))
        self.link = ServerLink(Path(site.api))
        self.serving = True
        self.restarts: list[str] = []
        self.probes = Probes(self.charge, self.schedule, self.incidents, self.link, self.is_serving)
        views = {"server": lambda: {"state": "ready", "pid": 4711}}
        self.reporter = Reporter(self.link, self.probes, self.incidents, loop.time, self.is_serving, views)
        self.dispatcher = Dispatcher(self.incidents, self.schedule, loop.time, lambda incident: "")
        register_remedies(self.dispatcher, self.link, self.restart)

    def is_serving(self) -> bool:
        return self.serving

    async def restart(self, why: str) -> str:
        self.restarts.append(why)
        return "restarted"

    def open_kinds(self) -> list[str]:
        return [incident.kind for incident in self.incidents.open_now]

    def sight(self, name: str) -> Any:
        return self.probes.view()[name]


@asynccontextmanager
async def looking(
    site: Site, *clusters: ClusterCharge, before: Callable[[Eyes], None] = lambda eyes: None
) -> AsyncIterator[Eyes]:
    eyes = Eyes(site, *clusters)
    before(eyes)
    parts = [eyes.incidents, eyes.probes, eyes.reporter, eyes.dispatcher]
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        await asyncio.sleep(0)
        yield eyes
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        eyes.schedule.close()
        await eyes.link.close()


async def ask(site: Site, path: str) -> Any:
    """Ask the server without holding our own loop."""
    return (await asyncio.to_thread(site.get, path)).data


async def until_told(site: Site, path: str, holds: Callable[[Any], bool], what: str) -> Any:
    async with asyncio.timeout(30):
        while not holds(data := await ask(site, path)):
            await asyncio.sleep(0.01)
    return data


def probe_state(clusters: Any) -> Any:
    probe = clusters[0]["nodes"][0]["probe"]
    return probe and probe["state"]


@on_loop
async def test_everything_configured_is_looked_at_and_told(site: Site, fish: SimulatedCluster) -> None:
    async with looking(site, cluster_charge(fish)) as eyes:
        clusters = await until_told(site, "/clusters", lambda told: probe_state(told) == UP, "the node is up")
        assert clusters[0]["nodes"][0]["probe"]["latency_ms"] > 0
        await until(
            lambda: all(eyes.sight(name)["state"] == UP for name in ("ledger", "disk", "health")), "up"
        )
        health = await until_told(
            site, "/health", lambda told: told["components"]["ledger"]["probe"] == UP, "the ledger is up"
        )
        assert health["status"] == "ok"
        watchdog = health["components"]["watchdog"]
        assert watchdog == {
            "state": "present",
            "since": watchdog["since"],
            "incidents_open": 0,
            "server": {"state": "ready", "pid": 4711},
        }
        assert eyes.open_kinds() == []


@on_loop
async def test_a_dead_node_is_an_incident_told_to_everybody_until_it_is_back(
    site: Site, fish: SimulatedCluster
) -> None:
    async with looking(site, cluster_charge(fish)) as eyes:
        await until_told(site, "/clusters", lambda told: probe_state(told) == UP, "the node is up")
        fish.stop_node(0)
        await until_told(site, "/clusters", lambda told: probe_state(told) == "down", "the node is down")
        await until(lambda: eyes.open_kinds() == ["node_down"], "incident")
        listed = await until_told(site, "/incidents?open=1", lambda told: told["total"] == 1, "the incident")
        assert listed["items"][0]["subject"] == f"fish {fish.nodes[0].address}"
        assert "connection refused" in listed["items"][0]["summary"]
        await until_told(site, "/health", lambda told: told["status"] != "ok", "the service is degraded")
        fish.start_node(0)
        listed = await until_told(site, "/incidents?open=0", lambda told: told["total"] == 1, "its end")
        assert listed["items"][0]["closed"] is not None
        await until_told(site, "/clusters", lambda told: told[0]["nodes"][0]["state"] == UP, "used again")


@on_loop
async def test_a_node_of_another_cluster_is_misconfigured(site: Site, fish: SimulatedCluster) -> None:
    async with looking(site, cluster_charge(fish, "label")) as eyes:
        await until(lambda: eyes.open_kinds() == ["node_misconfigured"], "incident")
        [incident] = eyes.incidents.open_now
        assert incident.subject == f"label {fish.nodes[0].address}"


@on_loop
async def test_pool_and_probe_that_differ_for_long_are_an_incident_and_the_pool_is_recycled(
    site: Site, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "DISAGREE_S", 0.0)
    monkeypatch.setattr(reporter_module, "PERIOD_S", 0.02)
    pooled = site.call(lambda: site.rooms.clusters["fish"])
    async with looking(site, cluster_charge(fish)) as eyes:
        await until(lambda: eyes.sight("nodes")[0]["state"] == UP, "the node is up")
        former = await asyncio.to_thread(site.call, lambda: list(pooled._nodes[0].connections))
        # the probe goes where nobody answers, so that it alone sees the node down
        for node in list(eyes.probes._nodes.values()):
            node._port = 1
            node.close()
        await until(lambda: "pool_disagrees" in eyes.open_kinds(), "incident")

        def remedied() -> Any:
            incident = eyes.incidents.find_open(Kind.POOL_DISAGREES, f"fish {fish.nodes[0].address}")
            return incident and incident.remedies

        await until(remedied, "remedy")
        [remedy, *_] = remedied()
        assert (remedy.what, remedy.outcome) == (
            "recycle",
            "the connections of cluster fish are being replaced",
        )
        await until(lambda: not set(former) & set(pooled._nodes[0].connections), "other connections")
        for node in list(eyes.probes._nodes.values()):
            node._port = fish.nodes[0].address.port
        await until(lambda: eyes.open_kinds() == [], "they agree again")


@pytest.mark.parametrize(
    ("probe", "pool", "failing", "apart"),
    [
        ("up", "up", False, False),
        ("up", "down", False, True),
        ("up", "connecting", False, True),
        ("up", "misconfigured", False, True),
        ("up", "draining", False, False),
        # it is up again with each greeting, and until the next answer
        ("up", "up", True, True),
        ("down", "up", False, True),
        ("down", "up", True, True),
        ("down", "down", True, False),
        ("draining", "up", False, False),
        ("unknown", "down", True, False),
    ],
)
def test_what_lies_between_contradicts_nobody(probe: str, pool: str, failing: bool, apart: bool) -> None:
    assert reporter_module._differ(probe, {"state": pool, "failing": failing}) is apart


def test_a_server_of_before_says_nothing_of_failing() -> None:
    assert not reporter_module._differ(UP, {"state": "up"})


@on_loop
async def test_a_node_that_greets_well_and_answers_wrongly_is_an_incident(
    site: Site, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "DISAGREE_S", 0.0)
    monkeypatch.setattr(reporter_module, "PERIOD_S", 0.02)
    async with looking(site, cluster_charge(fish)) as eyes:
        await until_told(site, "/clusters", lambda told: told[0]["nodes"][0]["state"] == UP, "the node is up")
        # of the replies alone: greetings and PONGs, and so the probe, do not meet it
        fish.order(corrupt_share=1.0)
        handed_in = await asyncio.to_thread(site.hand_in, {**CONFIG, "wait_s": 0})

        def told() -> str:
            incident = eyes.incidents.find_open(Kind.POOL_DISAGREES, f"fish {fish.nodes[0].address}")
            return incident.summary if incident else ""

        await until(lambda: "the node is up, for the pool failing: " in told(), "incident")
        fish.order(corrupt_share=0.0)
        ended = await asyncio.to_thread(site.ended, handed_in.data["id"])
        assert ended["state"] == "succeeded"
        await until(lambda: eyes.open_kinds() == [], "they agree again")


@on_loop
async def test_a_ledger_that_the_server_alone_cannot_reach_is_an_incident_and_it_is_restarted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "DISAGREE_S", 0.0)
    monkeypatch.setattr(reporter_module, "PERIOD_S", 0.02)
    monkeypatch.setitem(
        decisions_module.DECISIONS, Kind.LEDGER_DISAGREES, Plan((Step("restart", 0), Step("restart", 3600)))
    )
    async with looking(site) as eyes:
        await until(lambda: eyes.sight("ledger")["state"] == UP, "the ledger is up")
        lock = sqlite3.connect(site.data.path / "eomd.db", isolation_level=None)
        with closing(lock):
            # who holds a lock shows the probe that the ledger works, and keeps the server from writing
            lock.execute("BEGIN IMMEDIATE")
            await until(lambda: "ledger_disagrees" in eyes.open_kinds(), "incident")
            [incident] = eyes.incidents.open_now
            assert (
                incident.summary == "for the probe the ledger is up, for the server down: database is locked"
            )
            await until(lambda: bool(eyes.restarts), "remedy")
        await until(lambda: eyes.open_kinds() == [], "they agree again")
        [why] = eyes.restarts
        assert why.startswith("ledger_disagrees: ")


@on_loop
async def test_a_ledger_that_the_probe_alone_cannot_reach_is_one_incident(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "DISAGREE_S", 0.0)
    monkeypatch.setattr(reporter_module, "PERIOD_S", 0.02)
    told = []
    async with looking(site) as eyes:
        await until(lambda: eyes.sight("ledger")["state"] == UP, "the ledger is up")
        eyes.probes.take_charge(
            replace(eyes.charge, ledger=LedgerCharge("sqlite:////nowhere/at/all.db", None, ""))
        )
        await until(lambda: eyes.open_kinds() == ["ledger_down"], "incident")
        find_apart = eyes.reporter._find_apart
        monkeypatch.setattr(
            eyes.reporter, "_find_apart", lambda seen: told.append(seen["ledger"]) or find_apart(seen)
        )
        await until(lambda: len(told) > 3, "what the server says")
        assert "up" in told
        assert eyes.open_kinds() == ["ledger_down"]


@on_loop
async def test_a_server_that_does_not_answer_is_restarted(
    site: Site, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mute(probe: ServerProbe) -> Finding:
        return Finding("mute", "no answer")

    async with looking(site) as eyes:
        eyes.dispatcher.register("restart", lambda incident: eyes.restart(incident.kind), 30.0)
        await until(lambda: eyes.sight("health")["state"] == UP, "the server answers")
        look = ServerProbe.look
        monkeypatch.setattr(ServerProbe, "look", mute)
        await until(lambda: eyes.open_kinds() == ["health"], "incident")
        await until(lambda: eyes.restarts == ["health"], "remedy")
        monkeypatch.setattr(ServerProbe, "look", look)
        await until(lambda: eyes.open_kinds() == [], "the end")


@on_loop
async def test_a_server_that_is_not_meant_to_answer_is_not_asked(site: Site) -> None:
    async with looking(site) as eyes:
        await until(lambda: eyes.sight("health")["state"] == UP, "the server answers")
        eyes.serving = False
        probe = ServerProbe(ServerLink(Path("/nowhere")), eyes.is_serving)
        assert await probe.look() == Finding(UNKNOWN)
        eyes.serving = True
        assert (await probe.look()).state == "mute"


@on_loop
async def test_what_is_configured_anew_is_looked_at_anew(site: Site, fish: SimulatedCluster) -> None:
    gone = ClusterCharge("label", "evt1", (NodeAddress("127.0.0.1", 1),))
    async with looking(site, gone) as eyes:
        await until(lambda: eyes.open_kinds() == ["node_down"], "a node that nobody has started")
        eyes.probes.take_charge(replace(eyes.charge, clusters=(cluster_charge(fish),)))
        assert eyes.open_kinds() == []
        await until(lambda: eyes.sight("nodes")[0]["state"] == UP, "the other cluster's node is up")
        before = eyes.sight("nodes")[0]["since"]
        changed = replace(
            eyes.charge,
            clusters=(cluster_charge(fish),),
            ledger=LedgerCharge("sqlite:////nowhere/at/all.db", None, ""),
            min_free_mb=2**40,
        )
        eyes.probes.take_charge(changed)
        await until(lambda: set(eyes.open_kinds()) == {"ledger_down", "disk_low"}, "both incidents")
        assert eyes.sight("nodes")[0]["since"] == before
        eyes.probes.take_charge(replace(eyes.charge, clusters=()))
        await until(lambda: eyes.open_kinds() == [], "their end")
        assert eyes.sight("nodes") == []


@on_loop
async def test_incidents_of_nodes_that_nobody_configures_any_more_are_closed(site: Site) -> None:
    def before(eyes: Eyes) -> None:
        eyes.incidents.open(Kind.NODE_DOWN, "label 10.0.0.1:1", "refused")
        eyes.incidents.open(Kind.POOL_DISAGREES, "label 10.0.0.1:1", "they differ")
        eyes.incidents.open(Kind.SERVER_CRASHED, "server", "killed")

    async with looking(site, before=before) as eyes:
        await until(lambda: eyes.open_kinds() == ["server_crashed"], "strangers are closed")


@on_loop
async def test_a_cluster_whose_dialect_brings_no_probe_is_left_alone(
    site: Site, fish: SimulatedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with looking(site, cluster_charge(fish, codec="own")) as eyes:
        await until(lambda: eyes.sight("ledger")["state"] == UP, "the others are looked at")
        assert eyes.sight("nodes") == []
        assert "no probe for codec own is installed" in caplog.text


@on_loop
async def test_incidents_that_the_server_missed_are_told_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "PERIOD_S", 0.02)
    with open_site(tmp_path, {}) as site:
        async with looking(site) as eyes:
            await until(lambda: eyes.sight("health")["state"] == UP, "the server answers")
            eyes.serving = False
            eyes.incidents.open(Kind.INBOX_UNREADABLE, "inbox", "gone")
            spool = eyes.charge.data_dir / "spool" / "incidents"
            await until(lambda: list(spool.glob("*.json")), "the spool")
            eyes.serving = True
            await until_told(site, "/incidents", lambda told: told["total"] == 1, "the incident")
            await until(lambda: not list(spool.glob("*.json")), "the spool is empty")


def test_the_origin_is_the_installations(site: Site, tmp_path: Path) -> None:
    assert read_origin(site.data.path) == site.data.origin()
    assert read_origin(tmp_path / "nowhere") == bytes(16)
