"""`eomd up` with its eyes open: dead nodes and databases, and what `eomd incidents` says of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.mariadb import MariaDb
from tests.world import World, wait_until, write_users

RSS_BYTES_MAX = 40 << 20
PROBE = "[watchdog]\nprobe_s = 0.2\n"


@pytest.fixture
def watched(world: World) -> Iterator[World]:
    """A world whose server is under a watchdog that looks often."""
    world.simulate()
    world.configure(extra=PROBE)
    world.serve("up")
    yield world
    stop(world)


@pytest.fixture
def on_mariadb(world: World, mariadb: MariaDb) -> Iterator[World]:
    world.simulate()
    world.configure(extra=PROBE, url=mariadb.url(mariadb.create_database()))
    world.serve("up")
    yield world
    mariadb.thaw()
    mariadb.kill()
    mariadb.start()
    stop(world)


def stop(world: World) -> None:
    assert world.server is not None
    world.server.stop()


def nodes(world: World) -> list[Any]:
    return [node for cluster in world.client.get("/clusters") for node in cluster["nodes"]]


def kinds(world: World, is_open: int) -> list[str]:
    return [item["kind"] for item in world.client.get(f"/incidents?open={is_open}")["items"]]


def told(world: World, *states: str) -> bool:
    """Tell whether every node's probe says one of these."""
    return all(node["probe"] is not None and node["probe"]["state"] in states for node in nodes(world))


def ledger(world: World) -> Any:
    return world.client.get("/health")["components"]["ledger"]


def test_dead_nodes_are_told_and_used_again_when_they_are_back(watched: World, tmp_path: Path) -> None:
    wait_until(lambda: told(watched, "up"), "every node is up")
    [simulation] = watched.simulations
    simulation.kill()
    wait_until(lambda: told(watched, "down"), "every node is down")
    wait_until(lambda: kinds(watched, 1) == ["node_down", "node_down"], "an incident for each")
    simulation.restart()
    wait_until(lambda: not kinds(watched, 1), "their end")
    assert set(kinds(watched, 0)) == {"node_down"}
    wait_until(lambda: all(node["state"] == "up" for node in nodes(watched)), "the pool has them again")
    answer = watched.client.hand_in(write_users(tmp_path / "users.csv", range(100_000_000, 100_000_100)))
    watched.client.wait_for_state(answer.data["id"], "succeeded")


def test_a_killed_ledger_is_an_incident_until_it_is_back(on_mariadb: World, mariadb: MariaDb) -> None:
    wait_until(lambda: ledger(on_mariadb)["probe"] == "up", "the ledger is up")
    mariadb.kill()
    wait_until(lambda: ledger(on_mariadb)["probe"] == "down", "the probe sees it")
    wait_until(lambda: ledger(on_mariadb)["state"] == "down", "the server knows")
    assert kinds(on_mariadb, 1) == ["ledger_down"]
    mariadb.start()
    wait_until(lambda: ledger(on_mariadb)["state"] == "up", "the server has it again")
    wait_until(lambda: kinds(on_mariadb, 0) == ["ledger_down"], "the incident is over, in the ledger itself")
    rows = "SELECT kind, closed IS NULL FROM eom_incident"
    database = mariadb.execute(
        "SELECT table_schema FROM information_schema.tables"
        " WHERE table_name = 'eom_incident' ORDER BY create_time DESC LIMIT 1"
    )[0][0]
    assert list(mariadb.execute(rows, database=database)) == [("ledger_down", 0)]


def test_a_frozen_ledger_is_told_to_the_server(on_mariadb: World, mariadb: MariaDb) -> None:
    wait_until(lambda: ledger(on_mariadb)["probe"] == "up", "the ledger is up")
    mariadb.freeze()
    wait_until(lambda: ledger(on_mariadb)["state"] == "down", "the server knows")
    wait_until(lambda: ledger(on_mariadb)["probe"] == "down", "the probe sees it")
    mariadb.thaw()
    wait_until(lambda: ledger(on_mariadb)["state"] == "up", "the server has it again")
    wait_until(lambda: not kinds(on_mariadb, 1), "the incident is over")


def test_the_watchdog_stays_small_beside_a_database(on_mariadb: World) -> None:
    wait_until(lambda: ledger(on_mariadb)["probe"] == "up", "the ledger was looked at")
    assert on_mariadb.server is not None
    assert psutil.Process(on_mariadb.server.process.pid).memory_info().rss < RSS_BYTES_MAX


def test_incidents_outlive_the_server_and_the_watchdog(watched: World) -> None:
    wait_until(lambda: told(watched, "up"), "every node is up")
    watched.simulations[0].kill()
    wait_until(lambda: kinds(watched, 1) == ["node_down", "node_down"], "an incident for each")
    asked = watched.run("incidents", "--open", "--json")
    assert asked.returncode == 0, asked.stderr
    before = json.loads(asked.stdout)
    assert [item["kind"] for item in before["items"]] == ["node_down", "node_down"]
    assert watched.server is not None
    for process in psutil.Process(watched.server.process.pid).children():
        os.kill(process.pid, signal.SIGSTOP)
        watched.server.kill()
        os.kill(process.pid, signal.SIGKILL)
    asked = watched.run("incidents", "--open", "--json")
    assert "the watchdog's own memory" in asked.stderr
    assert json.loads(asked.stdout) == before
    shown = watched.run("incidents", "--kind", "node_down")
    assert shown.stdout.count("the node is down: connection refused") == 2
    watched.simulations[0].restart()
    watched.serve("up")
    wait_until(lambda: not kinds(watched, 1), "the next watchdog closes them")
    assert {item["id"] for item in watched.client.get("/incidents")["items"]} >= {
        item["id"] for item in before["items"]
    }


def test_the_diary_says_who_restarted_the_server_and_why(watched: World) -> None:
    assert watched.server is not None
    (child,) = psutil.Process(watched.server.process.pid).children()
    child.send_signal(signal.SIGKILL)
    wait_until(lambda: not child.is_running() and watched._answers(), "another server")
    wait_until(lambda: "signal SIGKILL" in watched.run("incidents", "--restarts").stdout, "the diary")
    entries = json.loads(watched.run("incidents", "--restarts", "--json").stdout)
    assert [entry["what"] for entry in entries][:3] == ["started", "ready", "ended"]
    assert entries[2]["pid"] == child.pid
