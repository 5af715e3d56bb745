"""What the watchdog says to a whole server, and what the server tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eomd.evt import node as node_module
from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings
from eomd.incident_spool import IncidentSpool
from eomd.model import Grants, Incident, RemedyRecord, Role, Severity
from eomd.operations import watch as watch_module
from tests.integration.http_site import Answer, Site, open_site, wait_until

START = datetime(2025, 1, 1, 8, 0, tzinfo=UTC)
SINCE = START.isoformat()
INTERNAL = ["/internal/watch", "/internal/recycle", "/internal/reload", "/internal/incidents"]


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(counters=(Counter(1001), Counter(1002)), fill=1)) as cluster:
        yield cluster


@pytest.fixture
def site(fish: SimulatedCluster, tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path, {"fish": fish}) as opened:
        wait_until(lambda: node(opened)["state"] == "up", "the node is up")
        yield opened


def node(site: Site) -> Any:
    [cluster] = site.get("/clusters").data
    [entry] = cluster["nodes"]
    return entry


def sight(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "since": SINCE, "latency_ms": 1.5, "error": None, **more}


def tell(site: Site, **news: Any) -> Answer:
    return site.request("PUT", "/internal/watch", json_body=news, unix=True)


def incident(number: int, **changes: Any) -> Incident:
    made = Incident(
        id=f"{number:016x}",
        kind="node_down",
        subject="fish 127.0.0.1:30717",
        severity=Severity.WARNING,
        opened=START + timedelta(seconds=number),
        summary="connection refused",
    )
    return replace(made, **changes)


def spool(site: Site, *changes: list[Incident]) -> None:
    folder = IncidentSpool(site.data.spool / "incidents")
    for changed in changes:
        folder.put(changed)


def waiting(site: Site) -> list[Path]:
    return IncidentSpool(site.data.spool / "incidents").waiting()


def lose_ledger(site: Site, trouble: str | None) -> None:
    """Have the ledger refuse everything, as after a lost connection; None: give it back."""
    site.call(lambda: setattr(site.rooms.ledger._link, "_trouble", trouble))


# --- who may speak


@pytest.mark.parametrize("path", INTERNAL)
@pytest.mark.parametrize("enabled", [True, False])
def test_internal_paths_are_not_there_for_anybody_else(tmp_path: Path, path: str, enabled: bool) -> None:
    with open_site(tmp_path, {}, auth={"enabled": enabled}) as site:
        for method in ("PUT", "POST", "GET"):
            for prefix in ("", "/api/v1"):
                answer = site.request(method, prefix + path, json_body={}, role=Role.ADMIN)
                assert answer.status in (404, 405), answer.body
                if answer.status == 404:
                    assert answer.error == "NOT_FOUND"
        assert site.request("GET", path, unix=True).status == 405


@pytest.mark.parametrize("body", [[], {"nodes": 1}, {"ledger": {"state": "up"}}, {"incidents_open": "many"}])
def test_what_no_watchdog_says_is_refused(site: Site, body: Any) -> None:
    answer = site.request("PUT", "/internal/watch", json_body=body, unix=True)
    assert (answer.status, answer.error) == (400, "BAD_REQUEST")


# --- what it sees


def test_a_probe_is_shown_beside_what_the_pool_sees(site: Site) -> None:
    assert node(site)["probe"] is None
    address = node(site)["address"]
    answer = tell(
        site, nodes=[{"cluster": "fish", "address": address, **sight("down")}], later="unknown field"
    )
    assert (answer.data["ledger"], answer.data["ledger_error"]) == ("up", None)
    assert answer.data["nodes"] == [
        {"cluster": "fish", "address": address, "state": "up", "failing": False, "error": None}
    ]
    assert node(site)["probe"] == {"state": "down", "since": SINCE, "latency_ms": 1.5}


def test_the_word_of_a_watchdog_that_has_gone_is_forgotten(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = node(site)["address"]
    tell(site, nodes=[{"cluster": "fish", "address": address, **sight("up")}], incidents_open=2)
    health = site.get("/health").data
    assert health["status"] == "degraded"
    assert health["components"]["watchdog"]["incidents_open"] == 2
    monkeypatch.setattr(watch_module, "NEWS_S_MAX", -1.0)
    health = site.get("/health").data
    assert (health["status"], health["components"]["watchdog"]["state"]) == ("ok", "absent")
    assert node(site)["probe"] is None


def test_what_the_watchdog_sees_stands_in_health(site: Site) -> None:
    tell(
        site,
        ledger=sight("up"),
        inbox={"state": "up", "waiting": 3},
        server={"state": "ready", "restarts": 1},
        disk=sight("up"),
        clock={"state": "steady", "since": SINCE, "jump_s": 0.0},
    )
    components = site.get("/health").data["components"]
    assert components["ledger"]["probe"] == "up"
    assert components["inbox"] == {"state": "up", "waiting": 3}
    assert components["watchdog"]["server"] == {"state": "ready", "restarts": 1}
    assert (components["disk"]["state"], components["disk"]["since"]) == ("up", SINCE)
    assert components["clock"]["jump_s"] == 0.0
    assert all(components[part]["since"] for part in ("server", "watchdog", "ledger"))


def test_a_node_that_the_watchdog_has_reached_is_tried_at_once(
    fish: SimulatedCluster, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "MISCONFIGURED_S", 3600.0)
    [pooled] = site.rooms.clusters["fish"]._nodes
    site.call(lambda: _give_up(pooled))
    wait_until(lambda: node(site)["state"] == "down", "the pool has given the node up")
    address = node(site)["address"]
    answer = tell(site, nodes=[{"cluster": "fish", "address": address, **sight("up")}])
    assert answer.data["nodes"][0]["state"] == "down"
    wait_until(lambda: node(site)["state"] == "up", "the pool has tried again")


def _give_up(pooled: node_module.Node) -> None:
    for connection in list(pooled.connections):
        connection._end(node_module.Ending("cut by the test"))
    pooled._attempt_s = float("inf")


def test_a_ledger_said_to_be_back_is_pinged_at_once(site: Site) -> None:
    link = site.rooms.ledger._link
    heard: list[tuple[bool, str]] = []
    hear = link.hear
    site.call(
        lambda: setattr(
            link, "hear", lambda *, up, trouble: (heard.append((up, trouble)), hear(up=up, trouble=trouble))
        )
    )
    for state in ("up", "up", "down", "down", "read_only", "unknown", "up"):
        tell(site, ledger=sight(state, error=None if state == "up" else "refused"))
    assert [up for up, _ in heard] == [True, False, False, True]
    assert heard[1][1] == "refused"


def test_recycling_replaces_the_connections(site: Site) -> None:
    former = site.call(lambda: list(site.rooms.clusters["fish"]._nodes[0].connections))
    assert site.request("POST", "/internal/recycle", json_body={"cluster": "fish"}, unix=True).status == 200
    wait_until(
        lambda: (
            node(site)["connections"] == len(former)
            and not set(former) & set(site.rooms.clusters["fish"]._nodes[0].connections)
        ),
        "other connections",
    )
    unknown = site.request("POST", "/internal/recycle", json_body={"cluster": "label"}, unix=True)
    assert (unknown.status, unknown.error) == (404, "NOT_FOUND")


# --- incidents


def test_incidents_go_from_the_spool_into_the_ledger_and_are_listed(site: Site) -> None:
    remedy = RemedyRecord("recycle", START, "done")
    ended = incident(1, closed=START + timedelta(minutes=1), remedies=(remedy,), summary="拒绝; 恢复")
    spool(site, [incident(1)], [incident(1, remedies=(remedy,)), incident(2, kind="ledger_down")], [ended])
    assert site.request("POST", "/internal/incidents", unix=True).status == 200
    listed = site.get("/incidents", Role.VIEWER).data
    assert listed == {
        "total": 2,
        "page": 1,
        "page_size": 20,
        "items": [incident(2, kind="ledger_down").format(), ended.format()],
    }
    wait_until(lambda: not waiting(site), "the spool is empty")
    rows = site.get("/incidents?open=1").data
    assert [(row["kind"], row["closed"]) for row in rows["items"]] == [("ledger_down", None)]
    assert site.get("/incidents?open=0").data["total"] == 1
    assert site.get("/incidents?kind=node_down").data["items"] == [ended.format()]


def test_incidents_come_in_pages(site: Site) -> None:
    spool(site, [incident(number) for number in range(5)])
    pages = [site.get(f"/incidents?page_size=2&page={page}").data for page in (1, 2, 3, 4)]
    assert [[row["id"][-1] for row in page["items"]] for page in pages] == [["4", "3"], ["2", "1"], ["0"], []]
    assert {page["total"] for page in pages} == {5}


@pytest.mark.parametrize("query", ["page=0", "page_size=201", "open=perhaps", "severity=warning", "kind="])
def test_a_wrong_question_about_incidents_is_refused(site: Site, query: str) -> None:
    assert site.get(f"/incidents?{query}").error == "INVALID_CONFIG"


def test_incidents_need_a_viewer(site: Site) -> None:
    assert site.get("/incidents", role=None).status == 401


def test_an_incident_that_has_ended_is_not_opened_again_by_an_older_word(site: Site) -> None:
    spool(site, [incident(1, closed=START + timedelta(hours=1))], [incident(1)])
    [row] = site.get("/incidents").data["items"]
    assert row["closed"] is not None


def test_a_spool_that_cannot_be_read_holds_up_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    spool(site, [incident(1)], [incident(2)])
    first, _ = waiting(site)
    first.write_text(json.dumps([{"id": "1"}]))
    assert [row["id"] for row in site.get("/incidents").data["items"]] == [incident(2).id]
    assert first.with_suffix(".aside").exists()
    assert "cannot be read" in caplog.text


def test_without_the_ledger_incidents_are_told_from_memory(site: Site) -> None:
    spool(site, [incident(1)])
    assert site.get("/incidents").data["total"] == 1
    lose_ledger(site, "away for the test")
    spool(site, [incident(2)], [incident(1, closed=START + timedelta(hours=1))])
    listed = site.get("/incidents").data
    assert [(row["id"], row["closed"] is None) for row in listed["items"]] == [
        (incident(2).id, True),
        (incident(1).id, False),
    ]
    assert site.get("/incidents?open=1").data["total"] == 1
    assert len(waiting(site)) == 2
    lose_ledger(site, None)
    assert site.get("/incidents").data == listed
    assert not waiting(site)


def test_who_is_limited_hears_of_granted_clusters_alone(site: Site) -> None:
    kinds = {
        "fish 127.0.0.1:1": "node_down", "label 127.0.0.1:1": "node_down", "ledger": "ledger_down",
        "configuration": "configuration", "/srv/label": "inbox_unreadable",
    }  # fmt: skip
    spool(
        site, [incident(n, subject=subject, kind=kind) for n, (subject, kind) in enumerate(kinds.items(), 1)]
    )
    wait_until(lambda: site.get("/incidents").data["total"] == len(kinds), "the incidents are in the ledger")
    token = {"Authorization": f"Bearer {site.make_token('viewer', clusters=['fish'])}"}

    def heard() -> tuple[int, set[str]]:
        told = site.request("GET", "/incidents", headers=token, role=None).data
        return told["total"], {item["subject"] for item in told["items"]}

    assert heard() == (2, {"fish 127.0.0.1:1", "ledger"})
    lose_ledger(site, "gone")
    try:
        assert heard() == (2, {"fish 127.0.0.1:1", "ledger"})
    finally:
        lose_ledger(site, None)
    newest = site.call(lambda: site.rooms.desk.incidents.newest(10, Grants(frozenset(["fish"]))))
    assert {each.subject for each in newest} == {"fish 127.0.0.1:1", "ledger"}
