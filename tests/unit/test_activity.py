"""The last hour in steps: nothing lost between two of them, nothing older told, nothing kept for ever."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from eomd.evt.cluster import NodeView
from eomd.handlers.console_views import activity_view
from eomd.model import NodeState
from eomd.operations.activity import NODES_MAX, POINTS, STEP_S, Activity
from eomd.operations.clusters import ClusterView

NOW = datetime(2025, 1, 1, 8, 0, 5, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def cluster(name: str, *addresses: str) -> ClusterView:
    nodes = tuple(
        NodeView(address, None, NodeState.UP, NOW, None, 1, 1, 0, (), None) for address in addresses
    )
    return ClusterView(name, name, "evt1", 0, False, True, nodes, (None,) * len(nodes))


def view(activity: Activity, *clusters: ClusterView, points: int = 3) -> Any:
    return activity_view(activity, list(clusters), points, NOW)


def test_rows_and_latency_are_told_by_node_cluster_and_in_all() -> None:
    clock = Clock()
    activity = Activity(clock)
    activity.observe("fish", "a:1", 0.002, 100)
    activity.observe("fish", "a:1", 0.004, 300)
    activity.observe("fish", "b:1", 0.006, 50)
    activity.observe("label", "c:1", 0.008, 10)
    clock.now_s += STEP_S + 5
    told = view(activity, cluster("fish", "a:1", "b:1"), cluster("label", "c:1"))
    fish, label = told["clusters"]
    assert (fish["name"], label["name"]) == ("fish", "label")
    assert [node["address"] for node in fish["nodes"]] == ["a:1", "b:1"]
    assert fish["nodes"][0]["rows_per_s"] == [None, None, 40.0]
    assert fish["nodes"][0]["latency_ms"] == [None, None, 3.0]
    assert (fish["rows_per_s"][-1], fish["latency_ms"][-1]) == (45.0, 4.0)
    assert (told["rows_per_s"][-1], told["latency_ms"][-1]) == (46.0, 5.0)
    assert (told["step_s"], told["points"], told["start"]) == (STEP_S, 3, "2025-01-01T07:59:30+00:00")


def test_what_is_not_granted_is_not_in_the_sum() -> None:
    clock = Clock()
    activity = Activity(clock)
    activity.observe("fish", "a:1", 0.002, 100)
    activity.observe("label", "c:1", 0.008, 10)
    clock.now_s += STEP_S
    assert view(activity, cluster("label", "c:1"))["rows_per_s"][-1] == 1.0


def test_a_step_that_is_not_over_is_not_told() -> None:
    clock = Clock()
    activity = Activity(clock)
    clock.now_s += 3 * STEP_S
    activity.observe("fish", "a:1", 0.002, 100)
    assert view(activity, cluster("fish", "a:1"))["rows_per_s"] == [0.0, 0.0, 0.0]


def test_an_hour_is_told_and_no_more() -> None:
    clock = Clock()
    activity = Activity(clock)
    fish = cluster("fish", "a:1")
    for step in range(2 * POINTS):
        activity.observe("fish", "a:1", 0.001, 10 * step)
        clock.now_s += STEP_S
    told = view(activity, fish, points=POINTS)
    assert told["rows_per_s"] == [float(step) for step in range(POINTS, 2 * POINTS)]
    clock.now_s += STEP_S * POINTS / 2
    told = view(activity, fish, points=POINTS)
    assert told["rows_per_s"] == [float(s) for s in range(POINTS * 3 // 2, 2 * POINTS)] + [0.0] * (
        POINTS // 2
    )
    clock.now_s += STEP_S * POINTS
    assert set(view(activity, fish, points=POINTS)["rows_per_s"]) == {0.0}


def test_nodes_that_have_gone_count_for_their_cluster_and_are_forgotten() -> None:
    clock = Clock()
    activity = Activity(clock)
    activity.observe("fish", "gone:1", 0.001, 10)
    clock.now_s += STEP_S
    assert view(activity, cluster("fish", "a:1"))["rows_per_s"][-1] == 1.0
    clock.now_s += STEP_S * (POINTS + 1)
    activity.observe("fish", "a:1", 0.001, 10)
    assert list(activity._rings) == [("fish", "a:1")]


def test_there_are_never_more_than_so_many_rings() -> None:
    clock = Clock()
    activity = Activity(clock)
    for number in range(NODES_MAX + 5):
        activity.observe("fish", f"n:{number}", 0.001, 10)
        clock.now_s += 0.001
    assert len(activity._rings) == NODES_MAX
    assert ("fish", f"n:{NODES_MAX + 4}") in activity._rings
