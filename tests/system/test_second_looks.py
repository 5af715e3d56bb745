"""A server killed while a modify waits for a person, or is looked at again: nothing goes that must wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.journal import count_applied
from tests.watched import kill_server
from tests.world import World, wait_until, write_users

ROWS = 30_000
USERS = range(100_000_000, 100_000_000 + ROWS)
CANARY = 1_000
APPROVED = {"reason": "agreed", "operatorid": 8, "operatorname": "Wang"}


@pytest.fixture
def users(tmp_path: Path) -> Path:
    return write_users(tmp_path / "players.csv", USERS, 5)


def start(world: World, tables: str = "") -> None:
    """Start a server under its watchdog, slow enough to be killed on the way."""
    world.simulate("fish", 2, "--max-rows", "500")
    world.configure(extra=tables)
    text = world.config.read_text()
    world.config.write_text(text.replace("[clusters.fish]", "[clusters.fish]\nrows_per_s = 20000"))
    world.serve("up")


def set_pace(world: World, rows_per_s: int) -> None:
    body = json.dumps({"rows_per_s": rows_per_s}).encode()
    answer = world.client.request("PATCH", "/clusters/fish", body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body


def handed_in(world: World, source: Path, **config: Any) -> int:
    answer = world.client.hand_in(source, mode="inc", **config)
    assert answer.status == 201, answer.body
    return int(answer.data["id"])


def applied(world: World) -> dict[int, int]:
    return count_applied(world.simulations[0].state)


def test_what_waits_for_a_second_person_waits_over_a_kill(world: World, users: Path) -> None:
    start(world, "[approval]\nrows = 1")
    operation = handed_in(world, users)
    before = world.client.operation(operation)
    assert before["state"] == "awaiting_approval"
    kill_server(world)
    after = world.client.wait_for_state(operation, "awaiting_approval")
    assert (after["approval"], after["message"]) == (before["approval"], before["message"])
    assert applied(world) == {}
    assert world.client.post(f"/operations/{operation}/approve", APPROVED).status == 200
    world.client.wait_for_state(operation, "succeeded")
    assert applied(world) == dict.fromkeys(USERS, 1)


@pytest.mark.parametrize("away", [True, False], ids=["cluster-away", "cluster-there"])
def test_an_approval_is_not_lost_by_a_kill_right_after_it(world: World, users: Path, away: bool) -> None:
    start(world, "[approval]\nrows = 1")
    operation = handed_in(world, users)
    if away:
        world.simulations[0].kill()
    decided = world.client.post(f"/operations/{operation}/approve", APPROVED).data["approval"]["decision"]
    kill_server(world)
    found = world.client.operation(operation)
    assert found["state"] != "awaiting_approval"
    assert found["approval"]["decision"] == decided
    again = world.client.post(f"/operations/{operation}/approve", APPROVED)
    assert (again.status, again.json["error"]) == (409, "WRONG_STATE")
    if away:
        world.simulations[0].restart()
    world.client.wait_for_state(operation, "succeeded")
    assert applied(world) == dict.fromkeys(USERS, 1)


def test_a_canary_that_waits_holds_the_others_back_over_a_kill(world: World, users: Path) -> None:
    start(world)
    operation = handed_in(world, users, canary_rows=CANARY, canary_wait=True)
    before = world.client.wait_for_state(operation, "paused")
    canary = dict.fromkeys(USERS[:CANARY], 1)
    assert (before["paused_by"], applied(world)) == ("canary", canary)
    for _ in range(2):
        kill_server(world)
        after = world.client.wait_for_state(operation, "paused")
        assert (after["paused_by"], after["message"]) == ("canary", before["message"])
        assert applied(world) == canary
    assert world.client.post(f"/operations/{operation}/resume").status == 200
    wait_until(lambda: len(applied(world)) > CANARY, "the others go")
    # that a person let them go is not forgotten
    kill_server(world)
    world.client.wait_for_state(operation, "succeeded")
    assert applied(world) == dict.fromkeys(USERS, 1)


def test_a_read_back_begins_again_and_sends_nothing(world: World, users: Path) -> None:
    start(world)
    operation = handed_in(world, users, verify="all")

    def is_done(rows: int) -> bool:
        found = world.client.operation(operation)
        assert found["executed"] == 0, "it is killed too late"
        return bool(found["rows"]["done"] >= rows)

    wait_until(lambda: is_done(ROWS // 2), "half of the rows are answered")
    # from here on it takes so long that nobody misses it
    set_pace(world, 4_000)
    wait_until(lambda: is_done(ROWS), "all rows are answered")
    kill_server(world)
    set_pace(world, 20_000)
    ended = world.client.wait_for_state(operation, "succeeded")
    assert f"{ROWS:,}" in ended["message"]
    assert applied(world) == dict.fromkeys(USERS, 1)
