"""An operation's life over HTTP: running, held, paused, cancelled, resumed; and its neighbours."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.journal import count_applied, read_result
from tests.world import DEADLINE_S, World, wait_until, write_users

FIRST = 100_000_000
DATA = Path(__file__).parent.parent / "data"
CASES = json.loads((DATA / "cases.json").read_text())
PACE = "[clusters.fish]\nrows_per_s = 20000"


def pace(world: World) -> None:
    world.config.write_text(world.config.read_text().replace("[clusters.fish]", PACE))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_every_sample_file_becomes_what_it_should(world: World, case: dict) -> None:
    world.simulate("fish", 1)
    world.configure()
    world.serve()
    order = {"mode": case["mode"]} if "mode" in case else {}
    answer = world.client.hand_in(
        DATA / case["file"], eids=case.get("eids", [1001]), wait_s=30, model=case["model"], **order
    )
    if "problems" in case:
        assert (answer.status, answer.json["error"]) == (400, "INVALID_FILE")
        found = answer.data["problems"]
        assert len(found) == len(case["problems"])
        for wanted, problem in zip(case["problems"], found, strict=True):
            assert wanted.items() <= problem.items()
        assert world.client.get("/queryoperationsbyoperatorid?operatorid=7")["total"] == 0
        assert list((world.data / "operations").iterdir()) == []
    else:
        assert answer.status == 201, answer.body
        assert answer.data["rows"]["total"] == case["rows"]
        header, *rows = read_result(world.client.download(answer.data["resultname"]))
        assert len(rows) == case["rows"]
        assert set(case.get("carried", [])) <= set(header)


def test_a_small_query_passes_a_large_modify(world: World, tmp_path: Path) -> None:
    world.simulate("fish", 2)
    world.configure()
    pace(world)
    world.serve()
    large = write_users(tmp_path / "large.csv", range(FIRST, FIRST + 200_000), 1)
    small = write_users(tmp_path / "small.csv", range(FIRST, FIRST + 100))
    running = world.client.hand_in(large, mode="inc").data["id"]
    world.client.wait_for_state(running, "running")
    answered = world.client.hand_in(small, wait_s=30).data
    assert answered["state"] == "succeeded"
    assert world.client.operation(running)["state"] == "running"


def test_a_lost_cluster_holds_an_operation_and_lets_it_go_on(world: World, tmp_path: Path) -> None:
    simulation = world.simulate("fish", 2)
    world.configure()
    pace(world)
    world.serve()
    users = range(FIRST, FIRST + 60_000)
    identity = world.client.hand_in(write_users(tmp_path / "inc.csv", users, 5), mode="inc").data["id"]
    wait_until(lambda: world.client.operation(identity)["rows"]["done"] > 10_000, "progress")
    simulation.kill()
    held = world.client.wait_for_state(identity, "paused")
    assert held["paused_by"] == "cluster"
    assert "fish" in held["message"]
    simulation.restart()
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["rows"]["ok"] == len(users)
    applied = count_applied(simulation.state)
    assert set(applied) == set(users)
    assert set(applied.values()) == {1}


def test_a_pause_holds_over_a_restart_until_a_person_resumes(world: World, tmp_path: Path) -> None:
    simulation = world.simulate("fish", 1)
    world.configure()
    pace(world)
    server = world.serve()
    users = range(FIRST, FIRST + 60_000)
    identity = world.client.hand_in(write_users(tmp_path / "inc.csv", users, 5), mode="inc").data["id"]
    wait_until(lambda: world.client.operation(identity)["rows"]["done"] > 10_000, "progress")
    paused = world.client.post(f"/operations/{identity}/pause").data
    assert (paused["state"], paused["paused_by"]) == ("paused", "person")
    server.kill()
    world.serve()
    assert world.client.operation(identity)["paused_by"] == "person"
    assert world.client.post(f"/operations/{identity}/pause").json["error"] == "WRONG_STATE"
    assert world.client.post(f"/operations/{identity}/resume").status == 200
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["rows"]["ok"] == len(users)
    assert set(count_applied(simulation.state).values()) == {1}


@pytest.mark.parametrize("flags", [[], ["--no-idempotent"]], ids=["tokens", "no-tokens"])
def test_a_cancelled_operation_names_every_row(world: World, tmp_path: Path, flags: list[str]) -> None:
    simulation = world.simulate("fish", 2, *flags)
    world.configure()
    pace(world)
    world.serve()
    users = range(FIRST, FIRST + 100_000)
    identity = world.client.hand_in(write_users(tmp_path / "inc.csv", users, 5), mode="inc").data["id"]
    wait_until(lambda: world.client.operation(identity)["rows"]["done"] > 10_000, "progress")
    assert world.client.post(f"/operations/{identity}/cancel").data["state"] == "cancelled"
    operation = world.client.operation(identity)
    _, *rows = read_result(world.client.download(operation["resultname"]))
    assert [int(row[0]) for row in rows] == list(users)
    ok = [int(row[0]) for row in rows if row[1] == "OK"]
    assert {row[1] for row in rows} == {"OK", "NOT_SENT"}
    assert sorted(count_applied(simulation.state)) == ok
    assert operation["rows"]["done"] == len(ok)


def test_a_cancelled_operation_that_never_ran_has_no_result(world: World, tmp_path: Path) -> None:
    simulation = world.simulate("fish", 1)
    world.configure()
    simulation.kill()
    world.serve()
    identity = world.client.hand_in(write_users(tmp_path / "q.csv", range(1, 9))).data["id"]
    world.client.wait_for_state(identity, "paused")
    cancelled = world.client.post(f"/operations/{identity}/cancel").data
    assert (cancelled["state"], cancelled["resultname"]) == ("cancelled", None)


def test_a_stopped_server_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    simulation = world.simulate("fish", 1, "--no-idempotent")
    world.configure()
    pace(world)
    server = world.serve()
    users = range(FIRST, FIRST + 60_000)
    identity = world.client.hand_in(write_users(tmp_path / "inc.csv", users, 5), mode="inc").data["id"]
    wait_until(lambda: world.client.operation(identity)["rows"]["done"] > 10_000, "progress")
    assert server.stop() == 0
    world.serve()
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["state"] == "succeeded", operation
    assert set(count_applied(simulation.state).values()) == {1}


def test_a_dry_run_changes_nothing_and_shows_what_would_be(world: World, tmp_path: Path) -> None:
    simulation = world.simulate("fish", 1)
    world.configure()
    world.serve()
    source = write_users(tmp_path / "inc.csv", [FIRST, 5_000_000_000], 7)
    operation = world.client.hand_in(source, mode="inc", dry_run=True, wait_s=30).data
    assert (operation["state"], operation["dry_run"]) == ("partial", True)
    _, *rows = read_result(world.client.download(operation["resultname"]))
    assert rows == [[str(FIRST), "OK", "", "0", "7"], ["5000000000", "NO_SUCH_USER", "", "", ""]]
    assert not count_applied(simulation.state)


def test_two_hundred_clients_may_follow_a_million_rows(world: World, tmp_path: Path) -> None:
    world.simulate("fish", 2)
    world.configure()
    world.serve()
    rows = 1_000_000
    source = write_users(tmp_path / "query.csv", range(FIRST, FIRST + rows))
    identity = world.client.hand_in(source).data["id"]
    url = f"http://127.0.0.1:{world.port}/operations/{identity}"
    ends = asyncio.run(follow(url, clients=200))
    assert [end["state"] for end in ends] == ["succeeded"] * 200
    assert {end["rows"]["ok"] for end in ends} == {rows}


async def follow(url: str, clients: int) -> list[dict]:
    http = AsyncHTTPClient(force_instance=True, max_clients=clients)

    async def poll() -> dict:
        while True:
            response = await http.fetch(url, request_timeout=DEADLINE_S, connect_timeout=DEADLINE_S)
            operation = json.loads(response.body)["data"]
            if operation["state"] != "running" and operation["state"] != "queued":
                return operation

    try:
        return await asyncio.gather(*(poll() for _ in range(clients)))
    finally:
        http.close()


def test_a_second_server_on_one_data_folder_refuses(world: World) -> None:
    world.simulate("fish", 1)
    world.configure()
    world.serve()
    command = [sys.executable, "-m", "eomd", "serve", "-c", str(world.config)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert second.returncode != 0
    assert len(second.stderr.strip().splitlines()) == 1
    assert "running" in second.stderr or "in use" in second.stderr
    assert world.client.request("GET", "/health").status == 200
