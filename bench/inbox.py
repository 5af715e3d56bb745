"""Drop tens of thousands of files into the inbox at once and prove that each becomes exactly one operation.

    python bench/inbox.py [--files 50000] [--kills 3] [--until answered] [--real-time] [--folder /dev/shm]

Real processes over loopback: `eomd up` with its server, a simulator, and this one, which writes the files,
kills the server with SIGKILL meanwhile, and in the end reads the ledger and the simulator's own journal. How
long the loops are held comes from the server's own metrics and from asking the watchdog all the while, which
counts the time that the machine gives to others as well: with `--real-time` it gives it to those two first.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))
from eomd.runtime import UP_SOCKET, runtime_folder
from tests.journal import count_applied
from tests.world import World, open_world, wait_until

FIRST_USER = 100_000_000
#: what this must reach (50,000 files)
CLAIMED_S_MAX = 60.0
DEADLINE_S = 7200.0
CLAIMED, ANSWERED = "claimed", "answered"


@dataclass
class Watch:
    """What was seen of the watchdog all the while."""

    #: how long each order took, in ms
    answered_ms: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)


def look(up_socket: Path, watchdog: int, orders: Connection) -> None:
    """Ask the watchdog how it is until told to stop; send how long each answer took, and its memory."""
    process = psutil.Process(watchdog)
    answered_ms, rss_mb = [], []
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(up_socket))
        answers = caller.makefile("rb")
        while not orders.poll(0.002):
            start = time.perf_counter()
            caller.sendall(b'{"order": "status"}\n')
            answers.readline()
            answered_ms.append((time.perf_counter() - start) * 1000)
            rss_mb.append(process.memory_info().rss / 2**20)
    orders.send((answered_ms, rss_mb))


@contextmanager
def watching(world: World) -> Iterator[Watch]:
    """Look at the watchdog from a process of its own."""
    watch = Watch()
    assert world.server is not None
    ours, theirs = multiprocessing.Pipe()
    up_socket = runtime_folder(world.data, os.environ) / UP_SOCKET
    looker = multiprocessing.get_context("fork").Process(
        target=look, args=(up_socket, world.server.process.pid, theirs)
    )
    looker.start()
    try:
        yield watch
    finally:
        ours.send(None)
        watch.answered_ms, watch.rss_mb = ours.recv()
        looker.join()


def read_lag(world: World) -> Counter[float]:
    """Return the loop lag of the server's life: upper bound in seconds → looks."""
    text = world.client.request("GET", "/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("eomd_loop_lag_seconds_bucket")]
    return Counter({float(line.split('"')[1]): int(float(line.rpartition(" ")[2])) for line in lines})


def drop(inbox: Path, files: int) -> float:
    """Write the files, one modify of one user each; return how long that took."""
    start = time.perf_counter()
    for number in range(files):
        path = inbox / f"modify_fish_inc_1001_{number}.csv"
        path.write_bytes(b"%d,1\n" % (FIRST_USER + number))
    return time.perf_counter() - start


def hurry(world: World) -> None:
    """Give watchdog and server, and what they start from now on, real-time priority."""
    assert world.server is not None
    watchdog = psutil.Process(world.server.process.pid)
    for process in (watchdog, *watchdog.children()):
        for thread in process.threads():
            os.sched_setscheduler(thread.id, os.SCHED_FIFO, os.sched_param(10))


def count_claimed(world: World) -> int:
    """Ask the watchdog how many files it has claimed: looking at the folder itself would be work."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(runtime_folder(world.data, os.environ) / UP_SOCKET))
        caller.sendall(b'{"order": "status"}\n')
        status = json.loads(caller.makefile("rb").readline())
    return int(status["inbox"]["claimed_ever"])


def server_pid(world: World) -> int | None:
    assert world.server is not None
    with suppress(psutil.Error):
        for child in psutil.Process(world.server.process.pid).children():
            if "serve" in child.cmdline():
                return child.pid
    return None


def kill_server(world: World) -> None:
    pid = wait_until(lambda: server_pid(world), "a server")
    os.kill(pid, signal.SIGKILL)


def count_waiting(inbox: Path) -> int:
    """Return how many files are not claimed."""
    return sum(not name.startswith(".") for name in os.listdir(inbox))


def count_operations(world: World, condition: str = "1") -> int:
    with closing(sqlite3.connect(f"file:{world.data}/eomd.db?mode=ro", uri=True, timeout=30)) as ledger:
        query = f"SELECT count(*) FROM define_optgroup WHERE {condition}"
        return int(ledger.execute(query).fetchone()[0])


def is_answered(world: World, files: int) -> bool:
    """Tell whether every operation has ended and has its answer."""
    with suppress(sqlite3.Error):
        if count_operations(world, "executed = 1") < files:
            return False
        return sum(name.endswith("-result.csv") for name in os.listdir(world.data / "outbox")) >= files
    return False


def prove(world: World, files: int) -> None:
    """Read in ledger, journal, inbox and outbox that each file is one operation, carried out once."""
    with closing(sqlite3.connect(f"file:{world.data}/eomd.db?mode=ro", uri=True)) as ledger:
        names = [row[0] for row in ledger.execute("SELECT original_name FROM eom_operation")]
    assert sorted(names) == sorted(f"modify_fish_inc_1001_{number}.csv" for number in range(files))
    assert count_operations(world, "status = 10") == files
    applied = count_applied(world.simulations[0].state)
    assert applied == dict.fromkeys(range(FIRST_USER, FIRST_USER + files), 1)
    assert os.listdir(world.data / "inbox" / ".refused") == []
    statuses = [path for path in (world.data / "outbox").iterdir() if path.name.endswith(".status.json")]
    assert all(json.loads(path.read_bytes())["state"] == "succeeded" for path in statuses)
    assert len(statuses) == files


def run(world: World, files: int, kills: int, until: str) -> None:
    inbox = world.data / "inbox"
    wait_until((inbox / ".taken").exists, "the inbox")
    lag = Counter[float]()
    lag.subtract(read_lag(world))
    with watching(world) as watch:
        start = time.perf_counter()
        dropped_s = drop(inbox, files)
        wait_until(lambda: count_claimed(world) >= files, "all are claimed", DEADLINE_S)
        assert not count_waiting(inbox)
        claimed_s = time.perf_counter() - start
        print(
            f"{files:,} files written in {dropped_s:.1f} s, all claimed after {claimed_s:.1f} s", flush=True
        )
        if until == ANSWERED:
            see_answered(world, files, kills, lag)
            ended_s = time.perf_counter() - start
        lag.update(read_lag(world))
    assert world.server is not None
    world.server.stop()
    if until == ANSWERED:
        prove(world, files)
        print(f"all answered after {ended_s:.0f} s ({files / ended_s:.0f}/s), {kills} kills of the server")
    show_holds(watch, lag)


def see_answered(world: World, files: int, kills: int, lag: Counter[float]) -> None:
    """Kill the server now and then until all are answered; add each life's lag."""
    for number in range(1, kills + 1):
        share = files * number // (kills + 2)
        wait_until(lambda share=share: count_operations(world) >= share, "some are admitted", DEADLINE_S)
        lag.update(read_lag(world))
        kill_server(world)
    wait_until(lambda: is_answered(world, files), "all are answered", DEADLINE_S)


def show_holds(watch: Watch, lag: Counter[float]) -> None:
    total = lag[float("inf")]
    late = {f"{bound * 1000:g} ms": total - count for bound, count in lag.items() if bound >= 0.005}
    print(f"server's loop, all its lives: {total:,} looks, later than: {late}")
    answered = sorted(watch.answered_ms)
    quantiles = {q: answered[min(int(len(answered) * q), len(answered) - 1)] for q in (0.5, 0.99, 0.999, 1.0)}
    shown = ", ".join(f"{q:.1%} {ms:.1f} ms" for q, ms in quantiles.items())
    print(f"watchdog asked {len(answered):,} times: {shown}; at most {max(watch.rss_mb):.0f} MB")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=3, help="SIGKILLs of the server meanwhile")
    parser.add_argument("--until", choices=[CLAIMED, ANSWERED], default=ANSWERED)
    parser.add_argument("--real-time", action="store_true", help="for a machine that others use (root)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="best on a tmpfs")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="eomd-bench-", dir=options.folder) as folder:
        for world in open_world(Path(folder)):
            world.simulate("fish", 2, "--users", f"{FIRST_USER}-{FIRST_USER + options.files - 1}")
            world.configure()
            world.serve("up")
            if options.real_time:
                hurry(world)
            run(world, options.files, options.kills, options.until)


if __name__ == "__main__":
    main()
