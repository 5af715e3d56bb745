"""What `supervision.py` measures of eomd alone: its watchdog killed, ledger and nodes lost, inbox full."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.throughput import longest_hold, read_lag
from eomd.evt.simulator.control import send_order
from tests.chaos.complaints import Complaints
from tests.chaos.systemd import Unit, UnitSettings
from tests.mariadb import MariaDb
from tests.world import World, free_port, wait_until, write_users

ROOT = Path(__file__).parents[1]
PROBE_S = 2.0
USERS = range(100_000_000, 100_020_000)


class Bench:
    """eomd with a MariaDB and one simulated cluster, under something that plays systemd."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.mariadb = MariaDb(folder / "mariadb")
        self.mariadb.start()
        self.world = World(folder)
        self._control = free_port()
        self.world.simulate("fish", 2, "--control", f"127.0.0.1:{self._control}")
        command = [sys.executable, "-m", "eomd", "up", "-c", str(self.world.config)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        settings = UnitSettings.read(ROOT / "etc" / "systemd" / "eomd.service")
        self.unit = Unit(command, environ, folder, settings, Complaints())
        self.world.port = self.unit.port
        self.world.configure(url=self.mariadb.url(self.mariadb.create_database()))
        self.source = write_users(folder / "query.csv", USERS)

    def close(self) -> None:
        self.unit.stop()
        self.unit.close()
        self.world.close()
        self.mariadb.kill()

    def order(self, do: str) -> None:
        """Have the first node do something."""
        answer = send_order("127.0.0.1", self._control, {"node": 0, "do": do})
        assert answer["ok"], answer

    def ask(self, path: str) -> Any:
        """Return an answer's data; None where there is none."""
        try:
            answer = self.world.client.request("GET", path)
        except OSError:
            return None
        return answer.data if answer.status == 200 else None

    def node(self) -> tuple[str, str]:
        """Return the first node's state as the connections and as the probe see it."""
        for cluster in self.ask("/clusters") or []:
            node = cluster["nodes"][0]
            return node["state"], (node["probe"] or {"state": "unknown"})["state"]
        return "unknown", "unknown"

    def takes_hand_ins(self) -> bool:
        return self.world.client.hand_in(self.source).status == 201

    def spool_is_empty(self) -> bool:
        return not [
            path for path in (self.world.data / "spool").rglob("*") if path.is_file() and path.stat().st_size
        ]


@contextmanager
def open_bench(folder: Path) -> Iterator[Bench]:
    bench = Bench(folder)
    try:
        yield bench
    finally:
        bench.close()


def since(condition: Callable[[], Any], what: str) -> float:
    """Return the seconds until this holds."""
    began_s = time.monotonic()
    wait_until(condition, what)
    return time.monotonic() - began_s


def measure_system(folder: Path, times: int) -> None:
    """Print a line for each."""
    with open_bench(folder) as bench:
        boot: list[float] = []
        for _ in range(times):
            bench.unit.start()
            boot.append(since(lambda: bench.ask("/health"), "an answer"))
            bench.unit.stop()
        show("started → serving", boot)
        bench.unit.start()
        wait_until(lambda: bench.node() == ("up", "up"), "all is well")
        show("watchdog killed -9 → both serving", [_kill_watchdog(bench) for _ in range(times)])
        nodes = [_lose_node(bench) for _ in range(times)]
        show(f"node dead → marked down, probed every {PROBE_S:g} s", [down_s for down_s, _ in nodes])
        show("node back → used again", [back_s for _, back_s in nodes])
        show("ledger back → hand-ins accepted, spool written", [_lose_ledger(bench) for _ in range(times)])


def show(what: str, seconds: Sequence[float]) -> None:
    print(f"{what:<52} median {median(seconds):>6.2f} s   worst {max(seconds):>6.2f} s", flush=True)


def _kill_watchdog(bench: Bench) -> float:
    restarts = bench.unit.restarts
    bench.unit.signal(signal.SIGKILL)
    seconds = since(lambda: bench.unit.restarts > restarts and bench.ask("/health"), "both again")
    wait_until(lambda: bench.node() == ("up", "up"), "all is well")
    return seconds


def _lose_node(bench: Bench) -> tuple[float, float]:
    """Return the seconds to being marked down and to being used again."""
    bench.order("stop")
    down_s = since(lambda: bench.node()[1] == "down", "the probe's word")
    bench.order("start")
    return down_s, since(lambda: bench.node() == ("up", "up"), "its use")


def _lose_ledger(bench: Bench) -> float:
    """Lose it while an operation runs, so that its end waits in the spool."""
    identity = bench.world.client.hand_in(bench.source).data["id"]
    bench.mariadb.kill()
    wait_until(lambda: bench.world.client.hand_in(bench.source).status == 503, "hand-ins are refused")
    bench.world.client.wait_for_state(identity, "succeeded")
    bench.mariadb.start()
    return since(lambda: bench.takes_hand_ins() and bench.spool_is_empty(), "the ledger's return")


def measure_inbox(files: int) -> None:
    """Drop many small files at once and print how long their claims took, and what that did to the loop."""
    shared_memory = Path("/dev/shm")
    place = shared_memory if os.access(shared_memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="eomd-bench-", dir=place) as folder:
        world = World(Path(folder))
        try:
            _drop(world, files)
        finally:
            world.close()


def _drop(world: World, files: int) -> None:
    world.simulate("fish", 2)
    world.configure()
    world.serve("up")
    inbox = world.data / "inbox"
    wait_until(inbox.is_dir, "an inbox")
    before, began_s = read_lag(world), time.monotonic()
    for number in range(files):
        beside = inbox / f"{number}.part"
        beside.write_text(f"{USERS[0] + number % len(USERS)}\n")
        beside.rename(inbox / f"query_fish_1001_{number}.csv")
    dropped_s = time.monotonic() - began_s
    wait_until(lambda: not any(p.suffix == ".csv" for p in inbox.iterdir()), "all are claimed", 600.0)
    claimed_s = time.monotonic() - began_s
    hold = longest_hold(before, read_lag(world))
    print(
        f"{files:,} files dropped within {dropped_s:.1f} s, all claimed after {claimed_s:.1f} s; "
        f"the server's loop was held for {hold:.0f} ms at most"
    )
