"""A full disk: the operation waits, nothing is cut off, and it goes on when there is space."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal import read_result
from tests.world import World, wait_until, write_users

ROWS = 600_000
USERS = range(100_000_000, 100_000_000 + ROWS)
LIMITS = "[limits]\nmin_free_mb = 4"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a tmpfs of 64 MB. Needs root, as every machine that runs these tests has."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path, leave_mb: int) -> Path:
    filler = disk / "filler"
    stat = subprocess.run(["df", "--output=avail", "-k", disk], capture_output=True, text=True, check=True)
    free_kb = int(stat.stdout.split()[1])
    filler.write_bytes(bytes((free_kb - leave_mb * 1024) * 1024))
    return filler


def test_an_operation_waits_for_space_and_loses_nothing(
    world: World, tmp_path: Path, small_disk: Path
) -> None:
    world.simulate("fish", 1)
    world.data = small_disk / "data"
    world.configure(extra=LIMITS)
    world.serve()
    source = write_users(tmp_path / "query.csv", USERS)
    filler = fill(small_disk, 20)
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
    world: World, tmp_path: Path, small_disk: Path
) -> None:
    world.simulate("fish", 1)
    world.data = small_disk / "data"
    world.configure(extra=LIMITS)
    server = world.serve()
    filler = fill(small_disk, 20)
    identity = world.client.hand_in(write_users(tmp_path / "query.csv", USERS)).data["id"]
    world.client.wait_for_state(identity, "paused")
    assert server.stop() == 0
    filler.unlink()
    world.serve()
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["rows"]["ok"] == ROWS
    wait_until(lambda: len(read_result(world.client.download(operation["resultname"]))) == ROWS + 1, "rows")
