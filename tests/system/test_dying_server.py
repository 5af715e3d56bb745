"""A server that dies between any two steps on the disk, again and again: each hand-in is carried out once."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.journal import count_applied, read_result
from tests.world import Child, World, wait_until, write_users

FIRST = 100_000_000
#: rows of each hand-in; the first is on its way over many lives
SIZES = (30_000, 400, 2_000, 50)
DEATHS = 6
#: steps on the disk that a life takes at most
STEPS_MAX = 60
PACE = "[clusters.fish]\nrows_per_s = 20000"


class DyingServer(Child):
    def __init__(self, world: World, steps: int) -> None:
        self.log = world.folder / "server.log"
        script = Path(__file__).with_name("dying_server.py")
        command = [sys.executable, str(script), str(steps), "serve", "-c", str(world.config)]
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
                start_new_session=True,
            )


def users(job: int) -> range:
    return range(FIRST + job * 100_000, FIRST + job * 100_000 + SIZES[job])


class Jobs:
    """Hand-ins, each under its key, offered until they have been taken."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.ids: dict[int, int] = {}
        self.sources = [write_users(folder / f"{job}.csv", users(job), 5) for job in range(len(SIZES))]

    def offer(self) -> bool:
        """Hand in what has not been taken; tell whether all have ended."""
        with suppress(OSError, http.client.HTTPException):
            for job, source in enumerate(self.sources):
                if job not in self.ids:
                    answer = self.world.client.hand_in(source, mode="inc", key=f"job {job}")
                    if answer.status not in (200, 201):
                        assert answer.status == 503, answer.body
                        return False
                    self.ids[job] = answer.data["id"]
            return all(self.ended().values())
        return False

    def ended(self) -> dict[int, Any]:
        page = self.world.client.get("/queryoperationsbyoperatorid?operatorid=7&page_size=200")
        return {view["id"]: view["executed"] for view in page["items"]}


@pytest.mark.parametrize("flags", [[], ["--no-idempotent"]], ids=["tokens", "no-tokens"])
def test_a_server_may_die_at_any_step_on_the_disk(world: World, tmp_path: Path, flags: list[str]) -> None:
    seed = Random().randrange(2**32)
    print(f"seed {seed}")
    random = Random(seed)
    simulation = world.simulate("fish", 1, "--max-rows", "250", *flags)
    world.configure()
    world.config.write_text(world.config.read_text().replace("[clusters.fish]", PACE))
    jobs = Jobs(world, tmp_path)
    for _ in range(DEATHS):
        server = world.server = DyingServer(world, random.randint(1, STEPS_MAX))
        wait_until(lambda server=server: jobs.offer() or server.process.poll() is not None, "an end")
        server.destroy()
    world.serve()
    wait_until(jobs.offer, "every hand-in has ended")
    applied = count_applied(simulation.state)
    assert set(applied.values()) == {1}
    for job, identity in jobs.ids.items():
        check(world, job, identity, set(applied), tokens=not flags)
    # whatever else the ledger has was refused, and did not run
    others = set(jobs.ended()) - set(jobs.ids.values())
    assert {world.client.operation(other)["state"] for other in others} <= {"cancelled"}
    wait_until(lambda: not list((world.data / "operations").glob(".staging-*")), "nothing is half handed in")


def check(world: World, job: int, identity: int, applied: set[int], *, tokens: bool) -> None:
    operation = world.client.operation(identity)
    _, *rows = read_result(world.client.download(operation["resultname"]))
    assert [int(row[0]) for row in rows] == list(users(job))
    statuses = {int(row[0]): row[1] for row in rows}
    ok = {user for user, status in statuses.items() if status == "OK"}
    assert ok <= applied
    assert set(statuses.values()) <= ({"OK"} if tokens else {"OK", "UNCERTAIN"})
    assert operation["rows"]["ok"] == len(ok)
    assert operation["rows"]["uncertain"] == len(rows) - len(ok)
    assert operation["state"] == ("succeeded" if len(ok) == len(rows) else "partial")
