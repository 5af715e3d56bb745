"""What the watchdog does when its server crashes, hangs, outgrows its limits, or cannot start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from eomd.runtime import UP_SOCKET, runtime_folder
from tests.watched import (
    another_server,
    children_of,
    diary_of,
    folder_of,
    incidents_of,
    is_gone,
    large_download,
    log_of,
    nobody_is_refused,
    server_of,
    state_of,
    tree,
)
from tests.world import DEADLINE_S, Child, World, wait_until, write_users

Watch = Callable[..., World]

BLOCKING = """
import os

from eomd.evt.wire import Evt1Codec


class Blocking(Evt1Codec):
    def open_session(self, *arguments):
        while os.path.exists(os.environ["BLOCKED_BY"]):
            pass
        return super().open_session(*arguments)
"""


def test_a_stopped_server_is_stuck_shows_its_stacks_and_is_replaced(watched: World) -> None:
    server = server_of(watched)
    with nobody_is_refused(watched):
        server.suspend()
        another_server(watched, server)
    (incident,) = incidents_of(watched, "server_stuck")
    assert "stopped by a signal" in incident["summary"]
    stacks = folder_of(watched) / f"stacks-{server.pid}.txt"
    assert str(stacks) in incident["summary"]
    assert "most recent call first" in stacks.read_text()
    wait_until(lambda: incidents_of(watched, "server_stuck")[0]["remedies"], "the remedy is noted")
    assert "killed" in [entry["what"] for entry in diary_of(watched)]


def test_a_loop_that_never_returns_is_stuck_and_the_stacks_say_where(
    world: World, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", "blocking", BLOCKING)
    gate = tmp_path / "gate"
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("BLOCKED_BY", str(gate))
    simulation = world.simulate()
    watch("hang_after_s = 2.0", codec="blocking")
    server = server_of(world)
    gate.touch()
    simulation.kill()
    simulation.restart()
    wait_until(lambda: incidents_of(world, "server_stuck"), "the server is stuck")
    gate.unlink()
    another_server(world, server)
    assert "blocking.py" in (folder_of(world) / f"stacks-{server.pid}.txt").read_text()


def install(site: Path, name: str, source: str) -> None:
    """Leave what an installer leaves of a package with one codec."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[eomd.evt_codecs]\n{name} = {name}:{name.capitalize()}\n")


def test_what_everybody_slept_through_is_nobodys_fault(watch: Watch) -> None:
    world = watch("hang_after_s = 1.0")
    server, watchdog = server_of(world), psutil.Process(world.server.process.pid)
    for process in (watchdog, server):
        process.suspend()
    wait_until(clock_of(2.5), "the sleep is over")
    for process in (server, watchdog):
        process.resume()
    wait_until(lambda: "the watchdog was kept from running" in log_of(world), "it noticed")
    wait_until(lambda: state_of(world)["state"] == "ready", "all is well again")
    assert server_of(world).pid == server.pid
    assert incidents_of(world, "server_stuck") == []


def clock_of(seconds: float) -> Callable[[], bool]:
    due = time.monotonic() + seconds
    return lambda: time.monotonic() > due


def test_a_crash_in_native_code_leaves_its_stacks(watched: World) -> None:
    server = server_of(watched)
    server.send_signal(signal.SIGSEGV)
    another_server(watched, server)
    (incident,) = incidents_of(watched, "server_crashed")
    assert incident["summary"].startswith("ended with signal SIGSEGV after")
    assert "Segmentation fault" in (folder_of(watched) / f"stacks-{server.pid}.txt").read_text()


def test_a_crash_loop_slows_down_is_named_and_ends_with_its_cause(watch: Watch) -> None:
    world = watch("restart_backoff_s = [0.05, 0.4]")
    server = server_of(world)
    operations = world.data / "operations"
    operations.rename(world.folder / "elsewhere")
    operations.write_text("in the way")
    server.kill()
    wait_until(lambda: state_of(world).get("failures", 0) >= 5, "five failures in a row")
    (incident,) = incidents_of(world, "server_crashed")
    assert "times in a row" in incident["summary"]
    assert incident["closed"] is None
    operations.unlink()
    (world.folder / "elsewhere").rename(operations)
    another_server(world, server)
    wait_until(lambda: incidents_of(world, "server_crashed")[0]["closed"], "the incident is over")


def test_a_broken_configuration_does_not_keep_a_crashed_server_down(watched: World) -> None:
    server = server_of(watched)
    wait_until((folder_of(watched) / "good" / "origin.json").exists, "the good copy")
    good = watched.config.read_text()
    watched.config.write_text(good + "[sever]\nlisten = 1\n")
    server.kill()
    server = another_server(watched, server)
    (incident,) = incidents_of(watched, "configuration")
    assert "sever" in incident["summary"]
    assert incident["closed"] is None
    assert state_of(watched)["last_good_configuration"]
    watched.config.write_text(good)
    watched.server.kill(signal.SIGHUP)
    server = another_server(watched, server)
    assert not state_of(watched)["last_good_configuration"]
    wait_until(lambda: incidents_of(watched, "configuration")[0]["closed"], "the incident is over")


def test_a_broken_configuration_does_not_keep_a_machine_down_after_a_boot(watched: World) -> None:
    wait_until((folder_of(watched) / "good" / "origin.json").exists, "the good copy")
    watched.server.stop()
    watched.config.write_text(watched.config.read_text() + "[sever\n")
    watched.serve("up")
    (incident,) = wait_until(lambda: incidents_of(watched, "configuration"), "the incident")
    assert "not good TOML" in incident["summary"]
    assert state_of(watched)["last_good_configuration"]


def test_a_relative_data_folder_is_found_from_the_copy_too(world: World, watch: Watch) -> None:
    world.simulate()
    world.configure()
    world.config.write_text(world.config.read_text().replace(str(world.data), "data"))
    world.serve("up")
    wait_until((folder_of(world) / "good" / "origin.json").exists, "the good copy")
    world.config.write_text(world.config.read_text() + "[sever]\n")
    server = server_of(world)
    server.kill()
    another_server(world, server)
    assert not (folder_of(world) / "good" / "data").exists()


def test_a_port_that_is_taken_is_an_incident_until_it_is_free(world: World, watch: Watch) -> None:
    world.configure()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", world.port))
        other.listen()
        assert world.run("up").returncode == 1
    (incident,) = incidents_of(world, "port_taken")
    assert f"127.0.0.1:{world.port}: Address already in use" in incident["summary"]
    world.serve("up")
    wait_until(lambda: incidents_of(world, "port_taken")[0]["closed"], "the incident is over")


def test_over_its_memory_limit_the_server_is_replaced_between_requests(watch: Watch, tmp_path: Path) -> None:
    world = watch("rss_limit_mb = 50")
    server = server_of(world)
    users = range(1, 20_001)
    with nobody_is_refused(world):
        operation = world.client.hand_in(write_users(tmp_path / "users.csv", users)).data["id"]
        another_server(world, server)
    (incident,) = incidents_of(world, "server_memory")
    assert "over watchdog.rss_limit_mb = 50" in incident["summary"]
    assert world.client.wait_for_state(operation, "succeeded", "partial")["rows"]["done"] == len(users)
    assert incidents_of(world, "server_crashed") == []


def test_near_its_limit_of_open_files_the_server_is_replaced(watched: World) -> None:
    server = server_of(watched)
    used = server.num_fds()
    server.rlimit(psutil.RLIMIT_NOFILE, (used + 1, used + 1))
    another_server(watched, server)
    (incident,) = incidents_of(watched, "server_descriptors")
    assert f"of at most {used + 1} open files" in incident["summary"]


def test_a_standby_takes_over_and_another_one_takes_its_place(watch: Watch) -> None:
    world = watch("standby = true")
    server = server_of(world)
    standby = standby_of(world)
    with nobody_is_refused(world):
        server.kill()
        assert another_server(world, server).pid == standby.pid
    assert "--standby" not in " ".join(standby.cmdline())
    assert "eomd serve" in " ".join(standby.cmdline())
    assert standby_of(world).pid != standby.pid
    assert world.server.stop() == 0


def standby_of(world: World) -> psutil.Process:
    found: list[psutil.Process] = wait_until(lambda: children_of(world, standby=True), "a standby")
    return found[0]


def test_a_standby_that_is_killed_or_stopped_costs_nothing(watch: Watch) -> None:
    world = watch("standby = true")
    standby = standby_of(world)
    standby.kill()
    wait_until(lambda: is_gone(standby), "its end")
    other = standby_of(world)
    other.suspend()
    server = server_of(world)
    server.kill()
    assert another_server(world, server).pid != other.pid


def test_a_reload_leaves_the_standby_alone_which_serves_with_what_was_read(watch: Watch) -> None:
    world = watch("standby = true")
    server, standby = server_of(world), standby_of(world)
    world.config.write_text(world.config.read_text().replace("min_free_mb = 16", "min_free_mb = 17"))
    said = world.run("reload")
    assert (said.returncode, said.stderr) == (0, "")
    assert standby_of(world).pid == standby.pid
    server.kill()
    assert another_server(world, server).pid == standby.pid
    good = folder_of(world) / "good" / "eomd.toml"
    wait_until(lambda: "min_free_mb = 17" in good.read_text(), "the good copy is what it serves with")


def test_a_planned_restart_cuts_off_no_answer_and_lets_nobody_wait_for_it(watched: World) -> None:
    server = server_of(watched)
    with nobody_is_refused(watched), large_download(watched) as download:
        with an_order(watched, "restart") as answer:
            another_server(watched, server)
            assert answer()["outcome"].startswith("serving after ")
        assert server.is_running()
        assert download.read_on() == download.source.read_bytes()
    wait_until(lambda: is_gone(server), "its end")


@contextmanager
def an_order(world: World, order: str) -> Iterator[Callable[[], Any]]:
    """Give the watchdog an order; what is yielded waits for its answer."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(DEADLINE_S)
        line.connect(str(runtime_folder(world.data, os.environ) / UP_SOCKET))
        line.sendall(json.dumps({"order": order}).encode() + b"\n")
        yield lambda: json.loads(line.makefile().readline())


def test_a_stop_is_remembered_until_a_start(watched: World) -> None:
    said = watched.run("stop")
    assert (said.returncode, said.stdout) == (0, "stopped\n")
    assert_closed(watched)
    said = watched.run("reload")
    assert said.stdout == "a person stopped the server; it reads the configuration when it starts\n"
    assert watched.server.stop() == 0
    restart(watched)
    assert_closed(watched)
    watched.server.kill()
    restart(watched)
    assert_closed(watched)
    said = watched.run("start")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("serving after")
    assert watched.client.get("/health")["status"] == "ok"
    assert [e["what"] for e in diary_of(watched) if e["why"].startswith("ordered by")] == ["stop", "start"]


def restart(world: World) -> None:
    """Start a watchdog that does not start a server."""
    world.server = Child(["up", "-c", str(world.config)], world.folder / "server.log")


def assert_closed(world: World) -> None:
    """Wait until the watchdog answers in the server's place."""

    def answers() -> bool:
        with suppress(OSError, http.client.HTTPException):
            answer = world.client.request("GET", "/health")
            return (answer.status, answer.headers["Retry-After"]) == (503, "30") and (
                answer.json["error"] == "STOPPED"
            )
        return False

    wait_until(answers, "the watchdog answers")
    wait_until(lambda: children_of(world, standby=False) == [], "no server runs")


def test_a_server_that_is_told_to_end_does_not_become_ready_by_its_silence(watched: World) -> None:
    server_of(watched).suspend()
    assert watched.run("stop").stdout == "stopped\n"
    assert [entry["what"] for entry in diary_of(watched)].count("ready") == 1


def test_orders_to_a_watchdog_that_is_not_there_say_so(world: World) -> None:
    world.configure()
    for order in ("stop", "start", "reload"):
        done = world.run(order)
        assert done.returncode == 1
        assert done.stderr.startswith("eomd: no watchdog is running here")


def test_a_watchdog_that_is_killed_takes_its_standby_along(watch: Watch) -> None:
    world = watch("standby = true")
    server, standby = server_of(world), standby_of(world)
    world.server.kill()
    world.serve("up")
    assert another_server(world, server).pid != standby.pid
    wait_until(lambda: is_gone(standby), "the former standby's end")
    assert world.server.stop() == 0
    assert tree(world) == []


def test_a_unix_socket_to_listen_at_is_taken_away(world: World, watch: Watch) -> None:
    world.configure()
    place = world.folder / "http.sock"
    world.config.write_text(world.config.read_text().replace(f"127.0.0.1:{world.port}", f"unix:{place}"))
    world.server = Child(["up", "-c", str(world.config)], world.folder / "server.log")
    wait_until(lambda: state_of(world)["state"] == "ready", "the server is ready")
    assert place.is_socket()
    assert world.server.stop() == 0
    assert not place.exists()


def test_systemd_hears_that_the_loop_runs_how_it_stands_and_of_a_reload(world: World, watch: Watch) -> None:
    world.configure()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(world.folder / "notify"))
        listener.settimeout(DEADLINE_S)
        server = world.serve("up", NOTIFY_SOCKET=str(world.folder / "notify"), WATCHDOG_USEC="200000")
        heard = listen(listener, "READY=1")
        assert any(message.startswith("EXTEND_TIMEOUT_USEC=") for message in heard)
        assert any(message.startswith("STATUS=the server is starting, process ") for message in heard)
        listen(listener, "WATCHDOG=1")
        server.kill(signal.SIGHUP)
        listen(listener, "RELOADING=1\nMONOTONIC_USEC=")
        listen(listener, "READY=1")
        server.kill(signal.SIGTERM)
        listen(listener, "STOPPING=1")
        listen(listener, "EXTEND_TIMEOUT_USEC=")
        assert server.process.wait(DEADLINE_S) == 0


def listen(listener: socket.socket, awaited: str) -> list[str]:
    """Return what was heard up to the message that begins so."""
    heard: list[str] = []
    deadline = time.monotonic() + DEADLINE_S
    while not heard or not heard[-1].startswith(awaited):
        assert time.monotonic() < deadline, heard
        heard.append(listener.recv(1000).decode())
    return heard
