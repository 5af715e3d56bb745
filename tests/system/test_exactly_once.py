"""Whatever dies while an `inc` runs: every row is applied exactly once, the result is whole and in order."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.journal import count_applied, read_result
from tests.mariadb import MariaDb
from tests.watched import kill_server
from tests.world import World, wait_until, write_users

ROWS = 100_000
FIRST_USER = 100_000_000
USERS = range(FIRST_USER, FIRST_USER + ROWS)
#: slow enough to be killed five times on the way
PACE = "[clusters.fish]\nrows_per_s = 20000"


def slow_down(world: World) -> None:
    text = world.config.read_text().replace("[clusters.fish]", PACE)
    world.config.write_text(text)


def assert_applied_once(world: World, operation: dict) -> None:
    applied = count_applied(world.simulations[0].state)
    assert set(applied) == set(USERS)
    assert set(applied.values()) == {1}
    header, *rows = read_result(world.client.download(operation["resultname"]))
    assert header == ["userid", "status", "detail", "1001_before", "1001_after"]
    assert rows == [[str(user), "OK", "", "0", "5"] for user in USERS]
    assert operation["rows"] == {"total": ROWS, "done": ROWS, "ok": ROWS, "failed": 0, "uncertain": 0}


def done(world: World, identity: int) -> int:
    return int(world.client.operation(identity)["rows"]["done"])


def test_five_kills_of_the_server_apply_every_row_exactly_once(world: World, tmp_path: Path) -> None:
    seed = Random().randrange(2**32)
    print(f"seed {seed}")
    random = Random(seed)
    world.simulate("fish", 2, "--close-after", "20:after", "--max-rows", "500", "--latency-ms", "5")
    world.configure()
    slow_down(world)
    world.serve("up")
    source = write_users(tmp_path / "inc.csv", USERS, 5)
    identity = world.client.hand_in(source, mode="inc").data["id"]
    for kill in range(5):
        threshold = random.randint(kill * ROWS // 7, (kill + 1) * ROWS // 7)
        wait_until(lambda threshold=threshold: done(world, identity) >= threshold, "progress")
        kill_server(world)
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["state"] == "succeeded"
    assert_applied_once(world, operation)


@pytest.mark.parametrize("kill_server_too", [False, True], ids=["ledger-alone", "server-too"])
def test_a_killed_mariadb_applies_every_row_exactly_once(
    world: World, tmp_path: Path, mariadb: MariaDb, kill_server_too: bool
) -> None:
    world.simulate("fish", 2, "--close-after", "20:after", "--max-rows", "500")
    world.configure(url=mariadb.url(mariadb.create_database()))
    slow_down(world)
    world.serve("up")
    source = write_users(tmp_path / "inc.csv", USERS, 5)
    identity = world.client.hand_in(source, mode="inc").data["id"]
    wait_until(lambda: done(world, identity) >= ROWS // 5, "progress")
    mariadb.kill()
    if kill_server_too:
        kill_server(world)
    wait_until(lambda: done(world, identity) >= ROWS // 2, "progress without a ledger")
    assert world.client.hand_in(source, mode="inc").status == 503
    mariadb.start()
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["state"] == "succeeded"
    assert_applied_once(world, operation)
    wait_until(lambda: listed_state(world, identity) == "succeeded", "the ledger knows the end")


def listed_state(world: World, identity: int) -> str | None:
    """Return the operation's state as the ledger lists it."""
    answer = world.client.request("GET", "/queryoperationsbyoperatorid?operatorid=7")
    return answer.data["items"][-1]["state"] if answer.status == 200 else None


def test_a_cluster_without_tokens_is_never_sent_a_row_twice(world: World, tmp_path: Path) -> None:
    world.simulate("fish", 2, "--no-idempotent", "--close-after", "9:after", "--max-rows", "200")
    world.configure()
    slow_down(world)
    world.serve("up")
    source = write_users(tmp_path / "inc.csv", USERS, 5)
    identity = world.client.hand_in(source, mode="inc").data["id"]
    wait_until(lambda: done(world, identity) >= ROWS // 4, "progress")
    kill_server(world)
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    applied = count_applied(world.simulations[0].state)
    _, *rows = read_result(world.client.download(operation["resultname"]))
    assert [row[0] for row in rows] == [str(user) for user in USERS]
    assert max(applied.values()) == 1
    statuses = {int(row[0]): row[1] for row in rows}
    assert set(statuses.values()) == {"OK", "UNCERTAIN"}
    assert all(applied[user] == 1 for user, status in statuses.items() if status == "OK")
    assert operation["state"] == "partial"
    assert operation["rows"]["uncertain"] == list(statuses.values()).count("UNCERTAIN")
