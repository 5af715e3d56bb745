"""A full disk: the operation waits, nothing is cut off, and it goes on when there is space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal import read_result
from tests.small_disk import SmallDisk
from tests.world import World, wait_until, write_users

ROWS = 600_000
USERS = range(100_000_000, 100_000_000 + ROWS)
LIMITS = "[limits]\nmin_free_mb = 4"


@pytest.fixture
def small_disk(world: World, tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk that the world's data is on."""
    disk = SmallDisk(tmp_path / "disk")
    world.data, world.through = disk.folder / "data", disk.through
    yield disk
    if world.server is not None:
        # its runtime folder may be another than ours, so it clears up itself
        world.server.stop()
    disk.close()


def test_an_operation_waits_for_space_and_loses_nothing(
    world: World, tmp_path: Path, small_disk: SmallDisk
) -> None:
    world.simulate("fish", 1)
    world.configure(extra=LIMITS)
    world.serve()
    source = write_users(tmp_path / "query.csv", USERS)
    filler = small_disk.fill(leave_mb=20)
    answer = world.client.hand_in(source)
    assert answer.status == 201, answer.body
    identity = answer.data["id"]
    operation = world.client.wait_for_state(identity, "paused")
    assert operation["paused_by"] == "disk"
    assert "min_free_mb" in operation["message"]
    refused = world.client.hand_in(source)
    assert (refused.status, refused.json["error"]) == (507, "DISK_FULL")
    filler.unlink()
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["state"] == "succeeded"
    _, *rows = read_result(world.client.download(operation["resultname"]))
    assert [row[:2] for row in rows] == [[str(user), "OK"] for user in USERS]


def test_a_server_that_ends_while_the_disk_is_full_goes_on_later(
    world: World, tmp_path: Path, small_disk: SmallDisk
) -> None:
    world.simulate("fish", 1)
    world.configure(extra=LIMITS)
    server = world.serve()
    filler = small_disk.fill(leave_mb=20)
    identity = world.client.hand_in(write_users(tmp_path / "query.csv", USERS)).data["id"]
    world.client.wait_for_state(identity, "paused")
    assert server.stop() == 0
    filler.unlink()
    world.serve()
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["rows"]["ok"] == ROWS
    wait_until(lambda: len(read_result(world.client.download(operation["resultname"]))) == ROWS + 1, "rows")
