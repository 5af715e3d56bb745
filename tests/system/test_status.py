"""`eomd status` on a whole world: with every part alive, and with each of them dead or ill."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.mariadb import MariaDb
from tests.watched import server_of, tree
from tests.world import World, wait_until

#: a server that ends is not started again before the test has looked
SLOW_RESTARTS = "restart_backoff_s = [60.0, 60.0]\n"
PARTS = ("watchdog", "server", "configuration", "ledger", "disk", "inbox", "clock")


@pytest.fixture
def watch(world: World) -> Iterator[Callable[..., World]]:
    """Start a world under a watchdog that looks often; wait until it calls all well."""

    def start(watchdog: str = "", **ledger: str) -> World:
        world.simulate(nodes=1)
        world.configure(extra=f"[watchdog]\nprobe_s = 0.2\n{watchdog}", **ledger)
        text = world.config.read_text()
        world.config.write_text(text.replace("[clusters.fish]", '[clusters.fish]\ntitle = "捕鱼集群"'))
        world.serve("up")
        wait_until(lambda: world.run("status").returncode == 0, "all is well")
        return world

    yield start
    for process in tree(world):
        process.kill()


def look(world: World) -> dict[str, Any]:
    """Return the picture; it and the exit code agree."""
    done = world.run("status", "--json")
    assert done.stderr == ""
    picture: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if picture["status"] == "ok" else 1)
    return picture


def told(world: World, words: str, status: str = "degraded") -> dict[str, Any]:
    """Wait until it says that this is wrong; return that."""

    def find() -> Any:
        picture = look(world)
        found = [wrong for wrong in picture["wrong"] if words in wrong["what"]]
        return found and picture["status"] == status and found[0]

    wrong: dict[str, Any] = wait_until(find, words)
    return wrong


def page(world: World) -> str:
    """Return what people read, its lines joined."""
    done = world.run("status")
    assert done.returncode == 1
    return " ".join(done.stdout.split())


def is_well(world: World) -> bool:
    return look(world)["status"] == "ok"


def test_where_all_is_well_every_part_is_told(watch: Callable[..., World]) -> None:
    world = watch()
    done = world.run("status")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("eomd is ok   2")
    assert [name for name in PARTS if not any(line.startswith(f"{name:<15}") for line in lines)] == []
    assert f"fish 捕鱼集群  127.0.0.1:{world.simulations[0].ports[0]}  up    up" in done.stdout
    picture = look(world)
    assert [name for name in PARTS if picture[name]["state"] not in
            ("running", "ready", "good", "up", "watching", "steady")] == []  # fmt: skip
    assert picture["server"]["pid"] == server_of(world).pid

    # the same from elsewhere, which knows less
    url = f"http://127.0.0.1:{world.port}"
    afar = json.loads(world.run("status", "--url", url, "--json").stdout)
    assert (afar["status"], afar["watchdog"]["state"], "configuration" in afar) == ("ok", "present", False)


def test_a_dead_node_a_broken_file_and_an_ill_inbox(watch: Callable[..., World]) -> None:
    world = watch()
    [simulation] = world.simulations
    subject = f"fish 127.0.0.1:{simulation.ports[0]}"
    simulation.kill()
    wrong = told(world, f"{subject}: the node is down: connection refused")
    assert (wrong["kind"], wrong["since"] is not None) == ("node_down", True)
    assert "Start the node again" in wrong["advice"]
    assert told(world, "fish: none of its nodes can be used")["advice"]
    assert f"! {subject}: the node is down: connection refused (node_down, for" in page(world)
    simulation.restart()
    wait_until(lambda: is_well(world), "the node's return")
    assert look(world)["lately"][0]["kind"] == "node_down"

    good = world.config.read_text()
    world.config.write_text(good + "[limits\n")
    wrong = told(world, "at line")
    assert wrong["what"].startswith(f"configuration: {world.config}: not good TOML")
    assert [tried["outcome"] for tried in wrong["tried"]] == ["stays in use"]
    assert "> Correct the file at the line named" in page(world)

    (world.folder / "file").touch()
    world.config.write_text(f'{good}[inbox]\npath = "{world.folder / "file"}"\n')
    wrong = told(world, "it is no folder")
    assert wrong["kind"] == "inbox_unreadable"
    assert look(world)["inbox"]["state"] == "unreadable"
    world.config.write_text(good)
    wait_until(lambda: is_well(world), "the end of both")


def test_a_dead_server_is_told_with_what_became_of_it(watch: Callable[..., World]) -> None:
    world = watch(SLOW_RESTARTS)
    server_of(world).kill()
    wrong = told(world, "no server runs", "down")
    assert "started again by itself" in wrong["advice"]
    assert told(world, "ended with signal SIGKILL", "down")["kind"] == "server_crashed"
    picture = look(world)
    assert (picture["watchdog"]["state"], picture["server"]["state"]) == ("running", "stopped")
    assert picture["ledger"]["state"] == picture["disk"]["state"] == "up"
    assert picture["clusters"][0]["nodes"][0]["probe"]["state"] == "up"
    assert picture["restarts"][-1]["what"] == "ended"
    assert world.run("status", "--url", f"http://127.0.0.1:{world.port}").returncode == 1


def test_a_server_that_a_person_stopped(watch: Callable[..., World]) -> None:
    world = watch()
    assert world.run("stop").returncode == 0
    assert told(world, "a person stopped the server", "down")["advice"] == "Start it: eomd start."
    assert world.run("start").returncode == 0
    wait_until(lambda: is_well(world), "all is well again")


def test_with_both_dead_the_files_speak(watch: Callable[..., World]) -> None:
    world = watch()
    world.simulations[0].kill()
    told(world, "the node is down")
    assert world.server is not None
    world.server.kill()
    told(world, "the watchdog has died, and the server with it", "down")
    picture = look(world)
    assert (picture["watchdog"]["state"], picture["server"]["state"]) == ("dead", "gone")
    assert picture["ledger"]["as_of"] == picture["watchdog"]["since"]
    assert picture["clusters"][0]["nodes"][0]["probe"]["state"] == "down"
    assert picture["configuration"]["state"] == "good"
    said = page(world)
    assert "ledger up at " in said
    assert "(down) In brackets: as the watchdog saw it last; nobody looks now." in said
    assert "the node is down: connection refused (node_down, for" in said

    world.config.write_text(world.config.read_text() + "[limits\n")
    assert " (at line " in told(world, "the configuration is wrong", "down")["what"]


def test_a_watchdog_that_was_ended_and_one_that_hangs(watch: Callable[..., World]) -> None:
    world = watch()
    assert world.server is not None
    world.server.process.send_signal(signal.SIGSTOP)
    wrong = told(world, "the watchdog does not answer")
    assert f"kill -9 {world.server.process.pid}" in wrong["advice"]
    assert look(world)["server"]["state"] == "ready"
    world.server.process.send_signal(signal.SIGCONT)
    wait_until(lambda: is_well(world), "all is well again")
    assert world.server.stop() == 0
    wrong = told(world, "nothing runs here", "down")
    assert wrong["advice"] == "Start it: systemctl start eomd, or eomd up."
    picture = look(world)
    assert (picture["watchdog"]["state"], picture["inbox"]["state"]) == ("ended", "not watched")
    assert [cluster["title"] for cluster in picture["clusters"]] == ["捕鱼集群"]


def test_a_ledger_that_is_away(watch: Callable[..., World], mariadb: MariaDb) -> None:
    world = watch(url=mariadb.url(mariadb.create_database()))
    mariadb.kill()
    try:
        wrong = told(world, "ledger: ")
        assert wrong["kind"] == "ledger_down"
        assert wrong["advice"].startswith("Start the database again")
        wait_until(lambda: look(world)["ledger"]["state"] == "down", "the server's view")
        # with the server gone, the probe still speaks
        assert world.run("stop").returncode == 0
        assert look(world)["ledger"]["state"] == "down"
        assert world.run("start").returncode == 0
    finally:
        mariadb.start()
    wait_until(lambda: is_well(world), "all is well again")
