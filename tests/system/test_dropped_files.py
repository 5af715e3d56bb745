"""Dropped files with real processes: what comes back, and that a burst loses nothing to kill -9."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.journal import count_applied, read_result
from tests.watched import server_of
from tests.world import World, open_world, wait_until

FILES = 600
FIRST_USER = 100_000_000
QUICK = "[inbox]\nquiet_s = 0.5\n"
RECIPE = """[inbox.recipes.nightly]
cluster = "fish"
model = "modify"
mode = "inc"
eids = [1001, 1002]
amount = 5
description = "every night"
operatorid = 42
operatorname = "night job"
"""


@pytest.fixture
def fish(world: World) -> Iterator[World]:
    """Yield a running world with an inbox that is being watched."""
    world.simulate("fish", 2)
    world.configure(extra=QUICK + RECIPE)
    start(world)
    yield world


@pytest.fixture
def quick_fish() -> Iterator[World]:
    """Yield such a world in memory: thousands of operations would wait for the disk thousands of times."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for world in open_world(Path(folder)):
            world.simulate("fish", 2)
            world.configure(extra=QUICK + RECIPE)
            start(world)
            yield world


def start(world: World) -> None:
    world.serve("up")
    wait_until((world.data / "inbox" / "nightly").is_dir, "the inbox")


def status(world: World, stem: str, *states: str) -> dict:
    """Wait until an answer says one of these states."""
    path = world.data / "outbox" / f"{stem}.status.json"

    def look() -> dict | None:
        found = json.loads(path.read_bytes()) if path.exists() else None
        return found if found and found["state"] in states else None

    return wait_until(look, f"{stem} is {states}")


def test_a_dropped_file_comes_back_as_a_result(fish: World) -> None:
    (fish.data / "inbox" / "MODIFY_Fish_inc_1001,1002_op7_玩家.CSV").write_text("userid,amount\n1,5\n2,6\n")
    answer = status(fish, "MODIFY_Fish_inc_1001,1002_op7_玩家", "succeeded")
    operation = fish.client.operation(answer["id"])
    assert (operation["note"], operation["operatorid"]) == ("inc_1001,1002", 7)
    assert operation["operatorname"] == "inbox"
    result = (fish.data / "outbox" / answer["resultname"]).read_bytes()
    assert read_result(result)[1] == ["1", "OK", "", "0", "5", "0", "5"]
    assert result == fish.client.download(operation["resultname"])
    taken = [name for name in os.listdir(fish.data / "inbox" / ".taken") if not name.startswith(".")]
    assert [name.partition("-")[2] for name in taken] == ["MODIFY_Fish_inc_1001,1002_op7_玩家.CSV"]


def test_a_recipe_says_everything_and_a_repeat_is_refused(fish: World) -> None:
    source = fish.data / "inbox" / "nightly" / "anything"
    source.write_text("1\n2\n")
    answer = status(fish, "anything", "succeeded")
    assert (answer["recipe"], answer["mode"], answer["eids"]) == ("nightly", "inc", [1001, 1002])
    assert (answer["operatorid"], answer["operatorname"]) == (42, "night job")
    assert answer["description"] == "every night"
    source.with_name("again").write_bytes(b"2\r\n1\r\n")
    answer = status(fish, "again", "refused")
    assert "operation 1" in answer["message"]
    refused = fish.data / "inbox" / ".refused"
    [problems] = refused.glob("*-again.problems.txt")
    assert "an identical modify was handed in within 12 hours: operation 1" in problems.read_text()
    assert problems.with_name(problems.name.removesuffix(".problems.txt")).read_bytes() == b"2\r\n1\r\n"
    assert count_applied(fish.simulations[0].state) == {1: 1, 2: 1}


def test_a_file_whose_writer_keeps_it_open_is_taken_once_it_stands_still(fish: World) -> None:
    with open(fish.data / "inbox" / "query_fish_1001_open.csv", "w") as file:
        file.write("1\n2\n")
        file.flush()
        assert status(fish, "query_fish_1001_open", "succeeded")["rows"]["total"] == 2


def test_files_dropped_while_nobody_watches_are_taken_at_the_start(world: World) -> None:
    world.simulate("fish", 1)
    world.configure(extra=QUICK + RECIPE)
    (world.data / "inbox" / "nightly").mkdir(parents=True)
    (world.data / "inbox" / "query_fish_1001_early.csv").write_text("1\n")
    (world.data / "inbox" / "nightly" / "early").write_text("1\n")
    start(world)
    status(world, "query_fish_1001_early", "succeeded")
    status(world, "early", "succeeded")


# --- a burst


def admitted(world: World, condition: str = "1") -> int:
    with closing(sqlite3.connect(f"file:{world.data}/eomd.db?mode=ro", uri=True, timeout=30)) as ledger:
        return ledger.execute(f"SELECT count(*) FROM define_optgroup WHERE {condition}").fetchone()[0]


def drop(world: World, numbers: range) -> None:
    for number in numbers:
        path = world.data / "inbox" / f"modify_fish_inc_1001_{number}.csv"
        path.write_text(f"{FIRST_USER + number},1\n")


def test_a_burst_makes_one_operation_of_each_file_whoever_is_killed(quick_fish: World) -> None:
    fish = quick_fish
    seed = Random().randrange(2**32)
    print(f"seed {seed}")
    chance = Random(seed)
    drop(fish, range(FILES // 2))
    wait_until(lambda: admitted(fish) >= chance.randrange(1, FILES // 4), "some are operations")
    server_of(fish).kill()
    drop(fish, range(FILES // 2, FILES))
    wait_until(lambda: admitted(fish) >= FILES // 2 - chance.randrange(FILES // 4), "more are operations")
    assert fish.server is not None
    fish.server.kill()
    start(fish)
    wait_until(lambda: admitted(fish, "status = 10") == FILES, "all have succeeded", 240.0)
    assert admitted(fish) == FILES
    applied = count_applied(fish.simulations[0].state)
    assert applied == dict.fromkeys(range(FIRST_USER, FIRST_USER + FILES), 1)
    outbox = fish.data / "outbox"
    wait_until(lambda: len(list(outbox.glob("*-result.csv"))) == FILES, "all are answered", 240.0)
    assert visible(fish.data / "inbox") == {"nightly"}
    assert visible(fish.data / "inbox" / ".refused") == set()


def visible(folder: Path) -> set[str]:
    return {name for name in os.listdir(folder) if not name.startswith(".")}
