"""Whatever is killed while an undo runs, each row is given back once, and what others did is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eomd.evt.simulator import read_journal
from tests.journal import read_result
from tests.watched import kill_server
from tests.world import World, wait_until, write_users

ROWS = 60_000
USERS = range(100_000_000, 100_000_000 + ROWS)
#: slow enough to be killed twice on the way
PACE = "[clusters.fish]\nrows_per_s = 20000"
#: rows that others change while the undo runs
OTHERS = USERS[::100]


def sums(world: World) -> dict[int, int]:
    """Return each user's counter as the cluster's journal adds up."""
    held = dict.fromkeys(USERS, 0)
    for block in read_journal(world.simulations[0].state):
        changes = (block.after - block.before)[:, 0].tolist()
        for user, change in zip(block.users.tolist(), changes, strict=True):
            held[user] += change
    return held


def done(world: World, identity: int) -> int:
    return int(world.client.operation(identity)["rows"]["done"])


@pytest.mark.parametrize(("mode", "inverse"), [("inc", "dec"), ("dec", "inc"), ("set", "restore")])
def test_two_kills_while_undoing_give_every_row_back_once(
    world: World, tmp_path: Path, mode: str, inverse: str
) -> None:
    world.simulate("fish", 2, "--close-after", "20:after", "--max-rows", "500", "--latency-ms", "5")
    world.configure()
    world.config.write_text(world.config.read_text().replace("[clusters.fish]", PACE))
    world.serve("up")
    identity = changed(world, write_users(tmp_path / "all.csv", USERS, 5), mode)
    # other writers, before the undo and while it runs
    changed(world, write_users(tmp_path / "before.csv", OTHERS[:300], 3), "inc")
    undo = world.client.post(f"/operations/{identity}/undo").data
    assert undo["mode"] == inverse
    meanwhile = world.client.hand_in(write_users(tmp_path / "during.csv", OTHERS[300:], 3), mode="inc").data
    for part in (4, 2):
        wait_until(lambda part=part: done(world, undo["id"]) >= ROWS // part, "progress of the undo")
        kill_server(world)
    again = world.client.post(f"/operations/{identity}/undo")
    assert (again.status, again.data["id"]) == (200, undo["id"])
    ended = world.client.wait_for_state(undo["id"], "succeeded", "partial", "failed")
    world.client.wait_for_state(meanwhile["id"], "succeeded")
    conflicts = conflicts_of(world, ended)
    assert set(OTHERS[:300]) <= conflicts <= set(OTHERS) if mode == "set" else conflicts == set()
    left = dict.fromkeys(conflicts, 5) if mode == "set" else {}
    others = set(OTHERS)
    assert sums(world) == {user: left.get(user, 0) + 3 * (user in others) for user in USERS}


def changed(world: World, source: Path, mode: str) -> int:
    identity = int(world.client.hand_in(source, mode=mode).data["id"])
    world.client.wait_for_state(identity, "succeeded")
    return identity


def conflicts_of(world: World, undo: dict[str, Any]) -> set[int]:
    """Return the users whom the undo has left alone; all others were given back."""
    _, *rows = read_result(world.client.download(undo["resultname"]))
    assert [row[0] for row in rows] == [str(user) for user in USERS]
    statuses = {int(row[0]): row[1] for row in rows}
    assert set(statuses.values()) <= {"OK", "CONFLICT"}
    return {user for user, status in statuses.items() if status == "CONFLICT"}
