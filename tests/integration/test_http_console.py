"""What pages ask for beside operations."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings
from eomd.model import Role
from eomd.operations.activity import STEP_S
from tests.integration.http_site import CONFIG, Site, open_site, wait_until
from tests.integration.test_http_api import read_events

BIG = 2**63 - 2


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = SimulatorSettings(counters=(Counter(1001), Counter(1002)), fill=1)
    with (
        SimulatedCluster(settings) as fish,
        open_site(tmp_path_factory.mktemp("site"), {"fish": fish, "label": "127.0.0.1:1:1"}) as opened,
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
