"""Measure what one core's worth of the simulated cluster answers, and print a table.

    python bench/simulator.py [--seconds 4] [--only NAME]

The simulator is a process of its own, bound to one core; this one is the client and costs little: its frames
are made beforehand, its replies are counted, and only the last of each connection is looked into. `rows/s` is
by the clock; `per CPU-s` is by the processor time that the simulator used, and does not suffer from what else
the machine does.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from eomd.evt import bodies, frame
from eomd.evt.bodies import reply_shape
from eomd.evt.codec import Head, Rows
from eomd.evt.frame import FrameSplitter, Hello
from eomd.evt.simulator import read_journal
from eomd.model import Mode, RowStatus

FIRST_USER = 100_000_000
USERS = 1_000_000
ORIGIN = bytes(range(16))
RECEIVE_BYTES = 1 << 20
#: so many rows a second are prepared for a modify, whose frames can be sent only once
MODIFY_ROWS_PER_S = 2_000_000
MODIFY_REQUESTS_PER_S = 200_000


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    eids: tuple[int, ...]
    mode: Mode | None
    rows_each: int
    connections: int
    #: requests sent together on a connection, and answered before the next ones
    window: int
    #: what it must reach, in rows a second; 0: nothing
    wanted: int = 0

    @property
    def reply_body_bytes(self) -> int:
        return reply_shape(self.mode, self.rows_each, len(self.eids)).size


CASES = (
    Case("query", (1001, 1002), None, 4096, 4, 4, 2_000_000),
    Case("query-1-eid", (1001,), None, 4096, 4, 4, 2_000_000),
    Case("query-small", (1001,), None, 1, 20, 32, 70_000),
    Case("modify", (1001,), Mode.INC, 4096, 4, 4, 700_000),
    Case("modify-2-eids", (1001, 1002), Mode.INC, 4096, 4, 4),
    Case("modify-small", (1001,), Mode.INC, 1, 20, 32, 70_000),
)


class Peer:
    """One connection: sends portions of requests, and counts the bytes of their replies."""

    def __init__(self, port: int, portions: Iterator[bytes], reply_bytes: int, tail_bytes: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(frame.encode_hello(1, Hello("fish", ORIGIN)))
        [(frame_type, _, _)] = FrameSplitter(frame.FRAME_BYTES_MAX).split(self.socket.recv(4096))
        assert frame_type == frame.FrameType.WELCOME
        self._portions = portions
        self._reply_bytes = reply_bytes
        self._missing = 0
        #: the end of what came, one reply's body long or more
        self.tail = b""
        self._tail_bytes = tail_bytes
        self.portions_answered = 0

    def send(self) -> bool:
        """Send the next portion; False where there is none."""
        portion = next(self._portions, None)
        if portion is None:
            return False
        self.socket.sendall(portion)
        self._missing = self._reply_bytes
        return True

    def receive(self) -> bool:
        """Take what has come; True where every request of the portion is answered."""
        data = self.socket.recv(RECEIVE_BYTES)
        assert data, "the simulator has closed the connection"
        self.tail = data if len(data) >= self._tail_bytes else (self.tail + data)[-self._tail_bytes :]
        self._missing -= len(data)
        self.portions_answered += self._missing == 0
        return self._missing == 0


def make_portions(case: Case, rows: int) -> list[bytes]:
    """Return requests for so many rows, in portions of `window` requests; users come again and again."""
    each = case.window * case.rows_each
    head = Head(case.eids, case.mode, 1 if case.mode else 0)
    portions = []
    for start in range(0, rows, each):
        index = np.arange(start, start + each, dtype=np.uint32)
        users = (index * np.uint64(7919)) % np.uint64(USERS) + np.uint64(FIRST_USER)
        amounts = np.ones((each, len(case.eids)), np.int64) if case.mode else None
        portions.append(bodies.encode_requests(head, Rows(index, users, amounts), case.rows_each, 1))
    return portions


def share_out(case: Case, portions: Sequence[bytes]) -> list[Iterator[bytes]]:
    """Return each connection's portions: the same again and again for a query, each once for a modify."""
    if case.mode:
        return [iter(portions[number :: case.connections]) for number in range(case.connections)]
    return [iter(lambda one=portion: one, None) for portion in portions[: case.connections]]


def drive(peers: Sequence[Peer], seconds: float) -> float:
    """Keep every connection busy for so long or until its portions are used up; return the time it took."""
    selector = selectors.DefaultSelector()
    start = time.perf_counter()
    for peer in peers:
        if peer.send():
            selector.register(peer.socket, selectors.EVENT_READ, peer)
    while selector.get_map():
        for key, _ in selector.select():
            peer = key.data
            if peer.receive() and (time.perf_counter() - start > seconds or not peer.send()):
                selector.unregister(peer.socket)
    return time.perf_counter() - start


@contextmanager
def simulator(case: Case, folder: Path, core: int) -> Iterator[tuple[psutil.Process, int]]:
    """Run a simulator on this core; yield its process and its port."""
    command = [sys.executable, "-m", "eomd", "evtsim", "--state", str(folder)]
    command += ["--users", f"{FIRST_USER}-{FIRST_USER + USERS - 1}", "--max-rows", str(case.rows_each)]
    command += [word for eid in case.eids for word in ("--eid", str(eid))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("listening"))
        # its threads inherited nothing of the above: they were there already, or not yet
        for thread in psutil.Process(process.pid).threads():
            os.sched_setaffinity(thread.id, {core})
        yield psutil.Process(process.pid), int(line.rpartition(":")[2])
    finally:
        process.terminate()
        process.communicate()


def check_last_replies(case: Case, peers: Sequence[Peer]) -> None:
    """See in the last reply of every connection that its rows were really served."""
    n, size = case.rows_each, case.reply_body_bytes
    for peer in peers:
        if peer.portions_answered:
            status = peer.tail[-size:][size - 2 * n : size - n]
            assert status == bytes((RowStatus.OK,)) * n, "rows failed"


def check_journal(case: Case, folder: Path, rows: int) -> None:
    """See in the journal that every row was applied, once."""
    if case.mode:
        index = np.concatenate([block.rows for block in read_journal(folder)])
        assert len(index) == len(np.unique(index)) >= rows, "rows are missing or applied twice"


def measure(case: Case, seconds: float, core: int) -> None:
    rate = MODIFY_ROWS_PER_S if case.rows_each > 1 else MODIFY_REQUESTS_PER_S
    rows = int(rate * seconds) if case.mode else case.connections * case.window * case.rows_each
    shares = share_out(case, make_portions(case, rows))
    sizes = case.window * (frame.HEADER_BYTES + case.reply_body_bytes), case.reply_body_bytes
    with tempfile.TemporaryDirectory() as folder, simulator(case, Path(folder), core) as (process, port):
        peers = [Peer(port, share, *sizes) for share in shares]
        before = process.cpu_times()
        taken_s = drive(peers, seconds)
        after = process.cpu_times()
        served = sum(peer.portions_answered for peer in peers) * case.window * case.rows_each
        check_last_replies(case, peers)
        check_journal(case, Path(folder), served)
        for peer in peers:
            peer.socket.close()
    cpu_s = after.user + after.system - before.user - before.system
    wanted = f"{case.wanted:,}" if case.wanted else ""
    rates = f"{served / taken_s:>12,.0f} {served / cpu_s:>12,.0f}"
    print(f"{case.name:14} {case.rows_each:>8} {rates} {wanted:>11}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", choices=[case.name for case in CASES])
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[1:]))
    print(f"{'case':14} {'rows/req':>8} {'rows/s':>12} {'per CPU-s':>12} {'wanted':>11}")
    for case in CASES:
        if options.only in (None, case.name):
            measure(case, options.seconds, cores[0])


if __name__ == "__main__":
    main()
