"""Measure eomd's main job against simulated clusters on this machine and print a table.

    python bench/throughput.py [--rows 1000000] [--large 10000000] [--only NAME]

Real processes over loopback: a server, a simulator, and this client. A rate counts from the end of the upload
to the operation's end; loop lag comes from the server's own metrics, memory from its process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import select
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.world import World, open_world

FIRST_USER = 100_000_000
EIDS = [1001, 1002]
BASE: dict[str, object] = {"cluster": "fish", "eids": EIDS, "operatorid": 1, "operatorname": "bench"}


@dataclass
class Watch:
    """What was seen of a server while something ran."""

    rss_mb: list[float] = field(default_factory=list)
    health_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One measured operation."""

    id: int
    rows: int
    seconds: float
    state: str

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds


def write_source(path: Path, rows: int, amount: int | None) -> Path:
    """Write a source file of so many users, without holding it in memory."""
    with open(path, "wb") as source:
        source.write(b"userid\n" if amount is None else b"userid,amount\n")
        tail = b"\n" if amount is None else b",%d\n" % amount
        for start in range(0, rows, 1_000_000):
            users = range(FIRST_USER + start, FIRST_USER + min(rows, start + 1_000_000))
            source.write(b"".join(b"%d%b" % (user, tail) for user in users))
    return path


def hand_in(port: int, source: Path, config: dict[str, object]) -> Run:
    """Hand a file in and wait for the operation's end; the clock starts when the last byte is sent."""
    boundary = "bench"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="config"\r\n\r\n{json.dumps(config)}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{source.name}"\r\n\r\n'
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.putrequest("POST", "/modify" if "mode" in config else "/query")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={boundary}")
    connection.putheader("Content-Length", str(len(head) + source.stat().st_size + len(tail)))
    connection.endheaders()
    connection.send(head)
    with open(source, "rb") as content:
        while piece := content.read(1 << 20):
            connection.send(piece)
    connection.send(tail)
    start = time.perf_counter()
    return follow(connection, start)


def derive(port: int, parent: int, kind: str) -> Run:
    """Have something made of an operation and wait for its end; the clock starts when it is asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    start = time.perf_counter()
    connection.request("POST", f"/operations/{parent}/{kind}")
    return follow(connection, start)


def follow(connection: http.client.HTTPConnection, start: float) -> Run:
    """Wait for the end of the operation that the connection is about to tell of."""
    operation = json.loads(connection.getresponse().read())["data"]
    while operation["state"] in ("queued", "running"):
        connection.request("GET", f"/operations/{operation['id']}")
        operation = json.loads(connection.getresponse().read())["data"]
        select.select([], [], [], 0.01)
    seconds = time.perf_counter() - start
    connection.close()
    return Run(operation["id"], operation["rows"]["total"], seconds, operation["state"])


def give_up(world: World, source: Path, config: dict[str, object]) -> Run:
    """Return an operation that was cancelled before a row of it was sent."""
    set_drain(world, True)
    parked = hand_in(world.port, source, config)
    world.client.post(f"/operations/{parked.id}/cancel")
    world.client.wait_for_state(parked.id, "cancelled")
    set_drain(world, False)
    return parked


def set_drain(world: World, drain: bool) -> None:
    body = json.dumps({"drain": drain}).encode()
    answer = world.client.request("PATCH", "/clusters/fish", body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body


@contextmanager
def watching(world: World) -> Iterator[Watch]:
    """Ask for /health and look at memory all the while, from a process of its own."""
    watch = Watch()
    assert world.server is not None
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    looker = context.Process(target=look, args=(world.port, world.server.process.pid, theirs))
    looker.start()
    try:
        yield watch
    finally:
        ours.send(None)
        watch.health_ms, watch.rss_mb = ours.recv()
        looker.join()


def look(port: int, server: int, orders: Connection) -> None:
    """Send how many milliseconds each /health took and the server's memory in MB, once told to stop."""
    process = psutil.Process(server)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    health_ms, rss_mb = [], []
    while not orders.poll(0.02):
        start = time.perf_counter()
        connection.request("GET", "/health")
        connection.getresponse().read()
        health_ms.append((time.perf_counter() - start) * 1000)
        rss_mb.append(process.memory_info().rss / 2**20)
    orders.send((health_ms, rss_mb))


def read_lag(world: World) -> dict[float, float]:
    """Return the loop lag's cumulative histogram: upper bound in seconds → looks."""
    text = world.client.request("GET", "/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("eomd_loop_lag_seconds_bucket")]
    return {float(line.split('"')[1]): float(line.rpartition(" ")[2]) for line in lines}


def longest_hold(before: dict[float, float], after: dict[float, float]) -> float:
    """Return the upper bound of the highest bucket that was hit in between, in ms."""
    new = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = new[float("inf")]
    return 1000 * min((bound for bound, count in new.items() if count >= total), default=float("inf"))


class Bench:
    """A table of measurements, a world for each kind of cluster."""

    def __init__(self, rows: int, large: int, repeat: int) -> None:
        self.rows, self.large, self.repeat = rows, large, repeat
        print(
            f"{'what':<46} {'rows':>11} {'s':>7} {'rows/s':>10} {'RSS MB':>7} {'health p99':>10} {'hold':>8}"
        )

    @contextmanager
    def world(self, *flags: str, rows: int, connections: int = 4) -> Iterator[World]:
        with tempfile.TemporaryDirectory(prefix="eomd-bench-") as folder:
            worlds = open_world(Path(folder))
            world = next(worlds)
            users = f"{FIRST_USER}-{FIRST_USER + rows - 1}"
            try:
                world.simulate("fish", 2, "--users", users, *flags)
                world.configure(connections=connections, reply_timeout_s=10.0)
                world.serve()
                yield world
            finally:
                worlds.close()

    def measure(self, what: str, world: World, source: Path, **config: object) -> list[Run]:
        """Hand a file in `repeat` times; print as `run`."""
        return self.run(what, world, [partial(hand_in, world.port, source, BASE | config)] * self.repeat)

    def run(self, what: str, world: World, calls: Sequence[Callable[[], Run]]) -> list[Run]:
        """Call them one after the other; print the median run with the worst of everything else."""
        before = read_lag(world)
        with watching(world) as watch:
            runs = [call() for call in calls]
        assert all(run.state == "succeeded" for run in runs), runs
        run = sorted(runs, key=lambda each: each.seconds)[len(runs) // 2]
        health = float(np.percentile(watch.health_ms, 99))
        hold = longest_hold(before, read_lag(world))
        print(
            f"{what:<46} {run.rows:>11,} {run.seconds:>7.2f} {run.rows_per_s:>10,.0f} "
            f"{max(watch.rss_mb):>7.0f} {health:>7.1f} ms {hold:>5.0f} ms",
            flush=True,
        )
        return runs

    def derived(self) -> None:
        with self.world(rows=self.rows) as world:
            source = write_source(world.folder / "inc.csv", self.rows, 5)

            def children(what: str, kind: str, parents: Sequence[Run]) -> list[Run]:
                return self.run(what, world, [partial(derive, world.port, each.id, kind) for each in parents])

            plans = self.measure("dry run of inc, 2 EIDs", world, source, mode="inc", dry_run=True)
            commits = children("commit of its plan", "commit", plans)
            children("undo of the commit: dec", "undo", commits)
            puts = self.measure("set, 2 EIDs", world, source, mode="set")
            children("undo of the set: restore", "undo", puts[-1:])
            given_up = [give_up(world, source, BASE | {"mode": "inc"}) for _ in range(self.repeat)]
            children("retry of what was not sent", "retry", given_up)

    def plain(self) -> None:
        with self.world(rows=self.rows) as world:
            query = write_source(world.folder / "query.csv", self.rows, None)
            inc = write_source(world.folder / "inc.csv", self.rows, 5)
            self.measure("query, 2 EIDs", world, query)
            self.measure("inc, 2 EIDs", world, inc, mode="inc")
            self.measure("set, 2 EIDs", world, inc, mode="set")

    def latency(self) -> None:
        with self.world("--latency-ms", "5", rows=self.rows) as world:
            query = write_source(world.folder / "query.csv", self.rows, None)
            inc = write_source(world.folder / "inc.csv", self.rows, 5)
            self.measure("query, 5 ms of latency", world, query)
            self.measure("inc, 5 ms of latency", world, inc, mode="inc")

    def single(self) -> None:
        rows = self.rows // 4
        with self.world("--max-rows", "1", "--max-inflight", "256", rows=rows) as world:
            query = write_source(world.folder / "query.csv", rows, None)
            self.measure("query, one row a request", world, query)

    def memory(self) -> None:
        repeat, self.repeat = self.repeat, 1
        with self.world(rows=self.large) as world:
            query = write_source(world.folder / "query.csv", self.large, None)
            self.measure(f"query, {self.large:,} rows", world, query)
            query.unlink()
        with self.world(rows=self.large) as world:
            inc = write_source(world.folder / "inc.csv", self.large, 5)
            self.measure(f"set, {self.large:,} rows (doubled users sought)", world, inc, mode="set")
        self.repeat = repeat


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, the median is printed")
    parser.add_argument("--only", choices=["plain", "derived", "latency", "single", "memory"])
    options = parser.parse_args(arguments)
    bench = Bench(options.rows, options.large, options.repeat)
    parts: dict[str, Callable[[], None]] = {
        "plain": bench.plain,
        "derived": bench.derived,
        "latency": bench.latency,
        "single": bench.single,
        "memory": bench.memory,
    }
    for name in [options.only] if options.only else parts:
        parts[name]()


if __name__ == "__main__":
    main()
