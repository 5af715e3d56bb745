"""What pages ask for beside operations."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings
from eomd.handlers.console_views import DiaryEntryView, RecipeView
from eomd.model import Role
from eomd.operations.activity import STEP_S
from tests.integration.http_site import CONFIG, Answer, Site, open_site, wait_until
from tests.integration.test_http_api import read_events

BIG = 2**63 - 2


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = SimulatorSettings(counters=(Counter(1001), Counter(1002)), fill=1)
    with (
        SimulatedCluster(settings) as fish,
        open_site(
            tmp_path_factory.mktemp("site"),
            {"fish": fish, "label": "127.0.0.1:1:1"},
            approval={"largest_amount": 100, "clusters": ["label"], "hours": ["20:00-08:00"]},
            inbox={
                "recipes": {
                    "daily": {"cluster": "fish", "model": "query", "eids": [1001]},
                    "weekly": {"cluster": "label", "model": "modify", "mode": "inc", "eids": [1]},
                }
            },
        ) as opened,
    ):
        yield opened


def test_the_last_hour_is_told_by_cluster_and_node(site: Site) -> None:
    site.hand_in(CONFIG)
    clock = site.rooms.desk.activity._clock
    try:
        site.call(lambda: setattr(site.rooms.desk.activity, "_clock", lambda: clock() + STEP_S))
        told = site.get("/activity?minutes=1").data
    finally:
        site.call(lambda: setattr(site.rooms.desk.activity, "_clock", clock))
    assert (told["step_s"], told["points"], len(told["rows_per_s"])) == (10, 6, 6)
    fish, label = told["clusters"]
    assert sum(filter(None, fish["rows_per_s"])) == pytest.approx(0.3)
    assert fish["nodes"][0]["rows_per_s"] == fish["rows_per_s"] == told["rows_per_s"]
    assert [ms for ms in fish["latency_ms"] if ms]
    assert set(label["latency_ms"]) == {None}
    only = site.make_token("viewer", clusters=["label"])
    narrowed = site.request("GET", "/activity", headers={"Authorization": f"Bearer {only}"}, role=None).data
    assert [cluster["name"] for cluster in narrowed["clusters"]] == ["label"]
    assert not any(filter(None, narrowed["rows_per_s"]))


def test_an_hour_is_the_most(site: Site) -> None:
    assert len(site.get("/activity").data["rows_per_s"]) == 360
    assert site.get("/activity?minutes=61").error == "INVALID_CONFIG"


def test_a_stream_begins_with_what_is_in_hand_and_tells_it_once(site: Site) -> None:
    waiting = [site.hand_in({**CONFIG, "cluster": "label", "wait_s": 0}).data["id"] for _ in range(2)]
    for operation in waiting:
        wait_until(
            lambda each=operation: site.get(f"/operations/{each}").data["state"] == "paused", "a pause"
        )
    stop = threading.Event()
    events = read_events(site, "/events", stop)
    name, first, _ = next(events)
    assert (name, first["total"]) == ("operations", 2)
    assert [item["id"] for item in first["items"]] == waiting[::-1]
    fresh = site.hand_in({**CONFIG, "cluster": "label", "wait_s": 0}).data["id"]
    told = [view["id"] for name, view, _ in until(events, fresh) if name == "operation"]
    assert set(told) == {fresh}
    stop.set()
    for operation in (*waiting, fresh):
        site.request("POST", f"/operations/{operation}/cancel")


def until(
    events: Iterator[tuple[str, dict[str, object], str | None]], operation: int
) -> Iterator[tuple[str, dict[str, object], str | None]]:
    """Yield events up to the one that shows this operation paused."""
    for event in events:
        yield event
        if event[0] == "operation" and event[1]["id"] == operation and event[1]["state"] == "paused":
            return


@pytest.mark.parametrize("path", ["/events", "/operations/ID/events"])
def test_streams_spell_big_numbers(site: Site, path: str) -> None:
    operation = site.hand_in({**CONFIG, "cluster": "label", "operatorid": BIG, "wait_s": 0}).data["id"]
    stop = threading.Event()
    events = read_events(site, path.replace("ID", str(operation)) + "?bigint=string", stop)
    _, view, _ = next(events)
    item = view["items"][0] if "items" in view else view
    assert item["operatorid"] == str(BIG)
    stop.set()
    site.request("POST", f"/operations/{operation}/cancel", role=Role.ADMIN)


# --- what is in force


def limited(site: Site, path: str, role: str = "viewer", **grants: Any) -> Answer:
    token = site.make_token(role, **grants)
    return site.request("GET", path, headers={"Authorization": f"Bearer {token}"}, role=None)


def test_the_rules_of_approval_are_told_as_they_stand(site: Site) -> None:
    rules = site.get("/approval").data
    assert rules == {
        "on": True, "rows": 0, "total_amount": 0, "largest_amount": 100, "clusters": ["label"], "eids": [],
        "hours": ["20:00-08:00"], "time_zone": "UTC", "expires_hours": 24,
    }  # fmt: skip
    assert limited(site, "/approval", clusters=["fish"]).data["clusters"] == []


def test_recipes_are_told_as_they_stand_and_are_granted(site: Site) -> None:
    told = site.get("/recipes").data
    assert (told["enabled"], Path(told["path"]).name) == (True, "inbox")
    assert [recipe["name"] for recipe in told["recipes"]] == ["daily", "weekly"]
    assert set(told["recipes"][0]) == set(RecipeView.__annotations__)
    assert (told["recipes"][1]["mode"], told["recipes"][1]["eids"]) == ("inc", [1])
    narrowed = limited(site, "/recipes", clusters=["fish"]).data["recipes"]
    assert [recipe["name"] for recipe in narrowed] == ["daily"]
    assert limited(site, "/recipes", eids=[5]).data["recipes"] == []


# --- what was done


def modify(site: Site, amount: int) -> int:
    config = {**CONFIG, "eids": [1001], "mode": "inc", "amount": amount, "wait_s": 0}
    return int(site.hand_in(config).data["id"])


def state_of(site: Site, operation: int) -> str:
    return str(site.get(f"/operations/{operation}").data["state"])


def test_the_timeline_tells_who_decided_and_what_came_of_it(site: Site) -> None:
    operation = modify(site, 500)
    wait_until(lambda: state_of(site, operation) == "awaiting_approval", "the wait for a second person")
    wang = site.make_person(8, name="Wang")
    path, said = f"/operations/{operation}/approve", {"reason": "agreed"}
    assert site.request("POST", path, None, wang, role=None, json_body=said).status == 200
    site.ended(operation)
    who = {"operatorid": 7, "operatorname": "李"}
    undo = site.request("POST", f"/operations/{operation}/undo", json_body=who).data["id"]
    items = site.get(f"/operations/{operation}/timeline").data["items"]
    assert [item["what"] for item in items if item["what"] != "queued"] == [
        "hand_in", "awaiting_approval", "approve", "running", "succeeded", "undo",
    ]  # fmt: skip
    by_what = {item["what"]: item for item in items}
    assert by_what["approve"]["who"] == "token approver of operator 8 (Wang)"
    assert by_what["approve"]["text"] == "agreed"
    assert by_what["hand_in"]["who"] == "token operator for operator 7 (李)"
    assert by_what["undo"]["related"] == undo
    assert by_what["succeeded"]["rows"] == {"total": 3, "done": 3, "ok": 3, "failed": 0, "uncertain": 0}
    assert site.get(f"/operations/{undo}/timeline").data["items"][0]["related"] == operation
    site.request("POST", f"/operations/{undo}/cancel")


def test_the_timeline_tells_what_paused_it(site: Site) -> None:
    operation = site.hand_in({**CONFIG, "cluster": "label", "wait_s": 0}).data["id"]
    wait_until(lambda: state_of(site, operation) == "paused", "a pause")
    site.request("POST", f"/operations/{operation}/cancel")
    site.ended(operation)
    items = site.get(f"/operations/{operation}/timeline").data["items"]
    [pause] = [item for item in items if item["what"] == "paused"]
    assert pause["by"] == "cluster"
    assert [item["what"] for item in items][-2:] == ["cancel", "cancelled"]


def test_the_audit_is_filtered_and_paged_by_id(site: Site) -> None:
    made = [site.make_token("viewer") for _ in range(5)]
    assert len(made) == 5

    def audit(query: str) -> Any:
        return site.get(f"/audit?action=add_token&{query}", Role.ADMIN).data

    first = audit("limit=3")
    assert len(first["items"]) == 3
    site.make_token("viewer")
    second = audit(f"limit=3&before={first['before']}")
    ids = [entry["id"] for entry in first["items"] + second["items"]]
    assert ids == sorted(set(ids), reverse=True)
    assert {entry["action"] for entry in first["items"]} == {"add_token"}
    assert audit("limit=200")["before"] is None
    newest = first["items"][0]
    assert newest["who"].startswith("uid ")
    assert audit(f"to={quote(newest['time'])}&limit=1")["items"][0]["id"] < newest["id"]
    assert audit(f"from={quote(newest['time'])}")["items"][-1]["id"] == newest["id"]
    assert audit("who=nobody-of-this-name")["items"] == []


def test_the_audit_of_one_operation(site: Site) -> None:
    operation = site.hand_in(CONFIG).data["id"]
    entries = site.get(f"/audit?operation={operation}", Role.ADMIN).data["items"]
    assert [(entry["action"], entry["subject"]) for entry in entries] == [
        ("hand_in", f"operation {operation}")
    ]
    assert entries[0]["address"] == "127.0.0.1"


def test_the_diary_is_told_newest_first(site: Site) -> None:
    assert site.get("/diary").data == []
    folder = site.data.path / "watchdog"
    folder.mkdir()
    entries = [
        {"at": f"2025-01-01T08:00:0{n}+00:00", "what": "started", "why": "x", "pid": n} for n in (1, 2, 3)
    ]
    (folder / "diary.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries) + '{"at": "t')
    told = site.get("/diary?limit=3").data
    assert [entry["pid"] for entry in told] == [3, 2]
    assert set(told[0]) == set(DiaryEntryView.__annotations__)


def test_health_names_no_cluster_that_is_not_granted(site: Site) -> None:
    assert set(site.get("/health").data["components"]["clusters"]) == {"fish", "label"}
    health = limited(site, "/health", clusters=["fish"])
    assert set(health.data["components"]["clusters"]) == {"fish"}
    assert b"label" not in health.body
