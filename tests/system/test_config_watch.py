"""`eomd up` watches its configuration: changes take effect by themselves, mistakes change nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.journal import count_applied, read_result
from tests.system.test_up import another_server, log_of, server_of, tree
from tests.world import World, free_port, wait_until, write_users

USERS = range(1, 20_001)


@pytest.fixture
def watched(world: World) -> Iterator[World]:
    """A world under a watchdog, with one cluster and a folder for more."""
    world.simulate("fish")
    (world.folder / "clusters.d").mkdir()
    world.configure()
    world.serve("up")
    yield world
    for process in tree(world):
        process.kill()


def clusters(world: World) -> list[str]:
    return [cluster["name"] for cluster in world.client.get("/clusters")]


def edit(world: World, old: str, new: str) -> None:
    text = world.config.read_text()
    assert old in text
    world.config.write_text(text.replace(old, new))


def set_limit(world: World, rows: int) -> str:
    """Return the configuration with another limit of rows."""
    lines = [line for line in world.config.read_text().splitlines() if not line.startswith("rows = ")]
    lines.insert(lines.index("[limits]") + 1, f"rows = {rows}")
    return "\n".join([*lines, ""])


def takes(world: World, rows: int) -> bool:
    """Tell whether so many rows are within the limit, once the server can say so."""
    source = write_users(world.folder / "some.csv", range(1, rows + 1))

    def ask() -> int:
        status = world.client.hand_in(source).status
        return status if status in (201, 413) else 0

    return bool(wait_until(ask, "an answer") == 201)


def incidents(world: World, **wanted: Any) -> list[Any]:
    """Return the incidents of the configuration, as the watchdog remembers them."""
    kept = world.data / "watchdog/incidents.json"
    found = json.loads(kept.read_bytes()) if kept.exists() else []
    items = found["incidents"] if isinstance(found, dict) else found
    return [item for item in items if item["kind"] == "configuration"]


def open_incident(world: World) -> Any:
    return next((item for item in incidents(world) if item["closed"] is None), None)


# --- files that change


def test_a_cluster_comes_and_goes_with_its_file(watched: World) -> None:
    server = server_of(watched)
    label = watched.simulate("label", 2)
    file = watched.folder / "clusters.d/label.toml"
    nodes = json.dumps([f"127.0.0.1:{port}:2" for port in label.ports])
    file.write_text(f"nodes = {nodes}\nrows_per_s = 2000\n")
    wait_until(lambda: clusters(watched) == ["fish", "label"], "the new cluster")

    source = write_users(watched.folder / "users.csv", USERS, 3)
    other = watched.client.hand_in(source, mode="inc").data["id"]
    mine = watched.client.hand_in(source, mode="inc", cluster="label").data["id"]
    wait_until(lambda: watched.client.operation(mine)["rows"]["done"] > 1000, "rows of label")
    content = file.read_text()
    file.unlink()
    parked = watched.client.wait_for_state(mine, "paused")
    assert parked["paused_by"] == "cluster"
    assert watched.client.wait_for_state(other, "succeeded")["rows"]["ok"] == len(USERS)

    file.write_text(content.replace("rows_per_s", "#"))
    done = watched.client.wait_for_state(mine, "succeeded")
    for simulation in watched.simulations:
        assert count_applied(simulation.state) == dict.fromkeys(USERS, 1)
    rows = read_result(watched.client.download(done["resultname"]))[1:]
    assert rows == [[str(user), "OK", "", "0", "3"] for user in USERS]
    assert server_of(watched).pid == server.pid


def in_place(path: Path, text: str) -> None:
    with path.open("r+") as file:
        file.write(text)
        file.truncate()


def by_renaming(path: Path, text: str) -> None:
    beside = path.with_name("eomd.toml.part")
    beside.write_text(text)
    beside.rename(path)


def by_linking(path: Path, text: str) -> None:
    """As a tool does that keeps each version and moves a link."""
    version = path.with_name(f"version-{len(text)}.toml")
    version.write_text(text)
    link = path.with_name("link")
    link.symlink_to(version)
    link.rename(path)


def same_size_and_time(path: Path, text: str) -> None:
    facts = path.stat()
    assert len(text) == facts.st_size
    by_renaming(path, text)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize("write", [in_place, by_renaming, by_linking])
def test_however_the_file_is_written_it_is_read(watched: World, write: Callable[[Path, str], None]) -> None:
    write(watched.config, set_limit(watched, 5))
    wait_until(lambda: not takes(watched, 6), "the limit")
    write(watched.config, set_limit(watched, 900))
    wait_until(lambda: takes(watched, 6), "the other limit")


def test_a_file_of_the_same_size_and_time_is_read_too(watched: World) -> None:
    by_renaming(watched.config, set_limit(watched, 5))
    wait_until(lambda: not takes(watched, 6), "the limit")
    same_size_and_time(watched.config, set_limit(watched, 9))
    wait_until(lambda: takes(watched, 6), "the other limit")


# --- files that are wrong


def test_a_broken_file_keeps_the_last_good_one_and_is_told_with_its_line(watched: World) -> None:
    server = server_of(watched)
    good = watched.config.read_text()
    line = len(good.splitlines()) + 2
    watched.config.write_text(good + "\n[clusters.label\nnodes = 5\n")
    incident = wait_until(lambda: open_incident(watched), "the incident")
    assert incident["summary"].startswith(f"{watched.config}: not good TOML: ")
    assert f"at line {line}," in incident["summary"]
    assert [each["outcome"] for each in incident["remedies"]] == ["stays in use"]
    listed = wait_until(lambda: watched.client.get("/incidents?kind=configuration")["items"], "the listing")
    assert listed[0]["summary"] == incident["summary"]
    assert clusters(watched) == ["fish"]

    (watched.folder / "clusters.d/label.toml").write_text("nodes = ['127.0.0.1:1']\nnods = 1\n")
    watched.config.write_text(good)
    wait_until(
        lambda: "clusters.d/label.toml line 2: [clusters.label] nods" in open_incident(watched)["summary"],
        "the other mistake",
    )
    (watched.folder / "clusters.d/label.toml").write_text("nodes = ['127.0.0.1:1']\n")
    wait_until(lambda: open_incident(watched) is None, "the end of the incident")
    assert len(incidents(watched)) == 1
    assert clusters(watched) == ["fish", "label"]
    assert server_of(watched).pid == server.pid


def test_a_server_that_dies_over_a_broken_file_serves_the_last_good_one_until_it_is_corrected(
    watched: World,
) -> None:
    watched.config.write_text(set_limit(watched, 5))
    wait_until(lambda: not takes(watched, 6), "the limit")
    good = watched.config.read_text()
    watched.config.write_text("[sever]\n")
    wait_until(lambda: open_incident(watched), "the incident")
    server = server_of(watched)
    server.kill()
    server = another_server(watched, server)
    assert str(watched.data / "watchdog/good/eomd.toml") in server.cmdline()
    assert not takes(watched, 6)
    assert clusters(watched) == ["fish"]
    watched.config.write_text(good.replace("rows = 5", "rows = 7"))
    server = another_server(watched, server)
    assert str(watched.config) in server.cmdline()
    wait_until(lambda: open_incident(watched) is None, "the end of the incident")
    assert takes(watched, 7)
    assert not takes(watched, 8)


def test_what_only_the_server_finds_wrong_is_told_too(watched: World) -> None:
    file = watched.folder / "clusters.d/label.toml"
    file.write_text("nodes = ['127.0.0.1:1']\ncodec = 'absent'\n")
    incident = wait_until(lambda: open_incident(watched), "the incident")
    assert "no codec named 'absent' is installed" in incident["summary"]
    server = server_of(watched)
    server.kill()
    another_server(watched, server)
    assert clusters(watched) == ["fish"]
    file.unlink()
    wait_until(lambda: open_incident(watched) is None, "the end of the incident")


def test_a_start_over_a_broken_file_serves_the_last_good_one(watched: World) -> None:
    good = watched.config.read_text()
    assert watched.server is not None
    assert watched.server.stop() == 0
    watched.config.write_text(good + "[limits\n")
    watched.serve("up")
    assert open_incident(watched)
    assert clusters(watched) == ["fish"]
    watched.config.write_text(good)
    wait_until(lambda: open_incident(watched) is None, "the end of the incident")


# --- eomd reload and SIGHUP


def test_reload_says_what_is_in_force_and_what_waits(watched: World) -> None:
    done = watched.run("reload")
    assert (done.returncode, done.stdout) == (0, "nothing has changed\n")
    # faster than the watch, or after it: told at once, or known already
    edit(watched, "sqlite:///eomd.db", "sqlite:///other.db")
    edit(watched, f"127.0.0.1:{watched.port}", f"127.0.0.1:{free_port()}")
    done = watched.run("reload")
    assert done.returncode == 3
    assert done.stdout == (
        "waits for a restart of the server (eomd reload --restart):\n"
        "  ledger.url\n"
        "waits for a restart of eomd up (systemctl restart eomd):\n"
        "  server.listen\n"
    )
    server = server_of(watched)
    done = watched.run("reload", "--restart")
    assert done.returncode == 3
    assert "the server is restarted: serving after " in done.stdout
    assert server_of(watched).pid != server.pid
    assert (watched.data / "other.db").exists()
    done = watched.run("reload")
    assert done.stdout.splitlines()[0] == "waits for a restart of eomd up (systemctl restart eomd):"


def test_another_data_folder_waits_for_another_watchdog(watched: World) -> None:
    edit(watched, f'data_dir = "{watched.data}"', f'data_dir = "{watched.folder / "elsewhere"}"')
    # the command looks for the watchdog where the file says
    done = watched.run("reload", environ={"EOMD_DATA_DIR": str(watched.data)})
    assert done.returncode == 3
    assert done.stdout.endswith("  data_dir\n")
    server = server_of(watched)
    server.kill()
    another_server(watched, server)
    assert not (watched.folder / "elsewhere").exists()
    assert clusters(watched) == ["fish"]


def test_reload_of_a_broken_file_says_why_and_changes_nothing(watched: World) -> None:
    good = watched.config.read_text()
    watched.config.write_text(good.replace("[limits]", "[limits]\nrowz = 5"))
    done = watched.run("reload")
    assert done.returncode == 1
    assert done.stderr.startswith(f"eomd: {watched.config} line ")
    assert done.stderr.endswith("[limits] rowz: unknown key; did you mean rows?\n")
    assert open_incident(watched)


def test_reload_without_a_server_says_when_it_counts(watched: World) -> None:
    assert watched.run("stop").returncode == 0
    watched.config.write_text(set_limit(watched, 5))
    done = watched.run("reload")
    assert done.returncode == 0
    assert done.stdout == "a person stopped the server; it reads the configuration when it starts\n"
    assert watched.run("start").returncode == 0
    assert not takes(watched, 6)


def test_reload_without_a_watchdog_says_so(world: World) -> None:
    world.configure()
    done = world.run("reload")
    assert done.returncode == 1
    assert "no watchdog is running here" in done.stderr


def test_sighup_reads_the_configuration_and_leaves_the_server_alone(watched: World) -> None:
    assert watched.server is not None
    server = server_of(watched)
    watched.config.write_text(set_limit(watched, 5))
    watched.server.kill(signal.SIGHUP)
    wait_until(lambda: "limits.rows taken over" in log_of(watched), "the reload")
    assert not takes(watched, 6)
    assert server_of(watched).pid == server.pid
    assert psutil.pid_exists(server.pid)


def test_the_server_s_limits_change_while_it_runs(watched: World) -> None:
    """A frozen server is given as long as the configuration says now."""
    edit(watched, "[limits]", "[watchdog]\nheartbeat_s = 0.2\nhang_after_s = 600.0\n[limits]")
    lines = watched.run("reload").stdout.splitlines()
    assert lines[0].startswith("in force ")
    assert lines[1:] == ["  watchdog.heartbeat_s", "  watchdog.hang_after_s"]
    server = server_of(watched)
    server.suspend()
    edit(watched, "hang_after_s = 600.0", "hang_after_s = 1.0")
    watched.run("reload")
    another_server(watched, server)
