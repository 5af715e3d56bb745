"""The simulated cluster as a process: killed at any moment, ordered from the command line, started badly."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

import numpy as np
import pytest

from eomd.evt import bodies, frame
from eomd.evt.codec import Head, Rows
from eomd.evt.frame import FrameSplitter, FrameType, Hello
from eomd.evt.simulator import read_journal
from eomd.evt.simulator.journal import JOURNAL_NAME
from eomd.model import Mode, RowStatus
from tests.world import DEADLINE_S, Simulation, free_port

ORIGIN = bytes(range(16))
HEAD = Head((1001, 1002), Mode.INC, 7)
ROWS_EACH = 50
REQUESTS = 4000


class Sender:
    """Sends requests of ROWS_EACH rows, keeps what was answered, and can be cut off at any moment."""

    def __init__(self) -> None:
        #: by request id, its reply's body
        self.answered: dict[int, bytes] = {}

    def run(self, ports: Sequence[int]) -> None:
        """Send what is not answered yet, over all ports in turn."""
        for start, numbers in enumerate(self._missing()):
            self._exchange(ports[start % len(ports)], numbers)

    def run_until_killed(self, ports: Sequence[int], answers: int, kill: Callable[[], None]) -> None:
        """Send as `run` does; after so many answers send much at once, and kill at the first answer to it."""
        goal, missing = len(self.answered) + answers, iter(self._missing())
        while len(self.answered) < goal:
            self._exchange(ports[0], next(missing))
        with ExitStack() as stack:
            crowd = [stack.enter_context(self._connect(port)) for port in ports for _ in range(5)]
            for connection, numbers in zip(crowd, missing, strict=False):
                connection.sendall(requests(numbers))
            select.select(crowd, [], [], DEADLINE_S)
            kill()

    def _missing(self) -> list[list[int]]:
        missing = [number for number in range(1, REQUESTS + 1) if number not in self.answered]
        return [missing[start : start + 30] for start in range(0, len(missing), 30)]

    def _exchange(self, port: int, numbers: Sequence[int]) -> None:
        connection, splitter = self._connect(port), FrameSplitter(2**22)
        with connection:
            connection.sendall(requests(numbers))
            waiting = set(numbers)
            while waiting:
                data = connection.recv(1 << 20)
                assert data, "the cluster ended by itself"
                for frame_type, request, body in splitter.split(data):
                    assert frame_type == FrameType.MODIFIED
                    self.answered[request] = body
                    waiting.remove(request)

    def _connect(self, port: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        connection.sendall(frame.encode_hello(1, Hello("fish", ORIGIN)))
        [(frame_type, _, _)] = FrameSplitter(2**22).split(connection.recv(4096))
        assert frame_type == FrameType.WELCOME
        return connection


def rows_of(number: int) -> Rows:
    index = np.arange((number - 1) * ROWS_EACH, number * ROWS_EACH, dtype=np.uint32)
    return Rows(index, index.astype(np.uint64) % 30_000 + 1, np.full((ROWS_EACH, 2), 3, np.int64))


def requests(numbers: Sequence[int]) -> bytes:
    return b"".join(bodies.encode_requests(HEAD, rows_of(number), ROWS_EACH, number) for number in numbers)


def columns_of(body: bytes) -> bodies.ReplyColumns:
    return bodies.decode_replies(bodies.decode_reply_shape(FrameType.MODIFIED, body), [body])


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    """A cluster of two nodes that takes orders."""
    ports = [free_port(), free_port()]
    simulation = Simulation(tmp_path, "fish", ports, ("--control", f"127.0.0.1:{free_port()}"))
    yield simulation
    simulation.destroy()


def test_a_killed_cluster_has_lost_no_answer_and_applies_nothing_twice(simulation: Simulation) -> None:
    random, sender = Random(), Sender()
    for _ in range(5):
        sender.run_until_killed(simulation.ports, random.randrange(1, 600), simulation.kill)
        simulation.restart()
    firsts = dict(sender.answered)
    sender.run(simulation.ports)
    assert len(sender.answered) == REQUESTS

    # every answer of the first time is given again, from either node
    again = Sender()
    again.run(simulation.ports[::-1])
    for number, body in firsts.items():
        first, second = columns_of(body), columns_of(again.answered[number])
        assert set(second.status) == {RowStatus.REPLAYED}
        assert (first.before == second.before).all()
        assert (first.after == second.after).all()

    applied = list(read_journal(simulation.state))
    index = np.concatenate([block.rows for block in applied])
    assert np.array_equal(np.sort(index), np.arange(REQUESTS * ROWS_EACH))
    totals = np.zeros(30_001, np.int64)
    for block in applied:
        assert (totals[block.users] == block.before[:, 0]).all()
        totals[block.users] += 3
        assert (totals[block.users] == block.after[:, 0]).all()


def evtsim(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eomd", "evtsim", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def order(simulation: Simulation, text: str) -> subprocess.CompletedProcess[str]:
    return evtsim(*simulation.flags[:2], "--order", text)


def test_orders_are_given_from_the_command_line(simulation: Simulation) -> None:
    done = order(simulation, '{"node": 1, "latency_ms": 2.5, "do": "stop"}')
    assert done.returncode == 0
    first, second = json.loads(done.stdout)["nodes"]
    assert (first["listening"], second["listening"]) == (True, False)
    assert (first["faults"]["latency_ms"], second["faults"]["latency_ms"]) == (0, 2.5)
    refused = order(simulation, '{"latency": 2}')
    assert (refused.returncode, json.loads(refused.stdout)["ok"]) == (1, False)
    assert order(simulation, "latency_ms=2").returncode == 2
    simulation.kill()
    nobody = order(simulation, "{}")
    assert nobody.returncode == 1
    assert len(nobody.stderr.splitlines()) == 1


#: a flag as it is written, and what it makes of the faults
FLAGS: dict[str, dict[str, object]] = {
    "--latency-ms 1.5": {"latency_ms": 1.5},
    "--jitter-ms 2": {"jitter_ms": 2.0},
    "--close-after 7:before": {"close_after": 7, "close_when": "before"},
    "--mute-after 9": {"mute_after": 9, "mute_when": "after"},
    "--silent": {"silent": True},
    "--wrong-crc-share 0.1": {"wrong_crc_share": 0.1},
    "--corrupt-share 0.2": {"corrupt_share": 0.2},
    "--busy-share 0.3": {"busy_share": 0.3},
    "--internal-share 0.4": {"internal_share": 0.4},
    "--overloaded-share 0.5": {"overloaded_share": 0.5},
    "--goaway-after 6": {"goaway_after": 6},
    "--one-byte": {"one_byte": True},
    "--claim-cluster leisure": {"claim_cluster": "leisure"},
    "--refuse-version": {"refuse_version": True},
    "--no-idempotent": {"no_idempotent": True},
}


def test_every_flag_is_heard(tmp_path: Path) -> None:
    flags = ["--control", f"127.0.0.1:{free_port()}", *" ".join(FLAGS).split()]
    simulation = Simulation(tmp_path, "fish", [free_port()], flags)
    try:
        done = order(simulation, "{}")
    finally:
        simulation.destroy()
    [node] = json.loads(done.stdout)["nodes"]
    assert node["faults"] == {name: value for faults in FLAGS.values() for name, value in faults.items()}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--users", "9-5"], "users 9-5"),
        (["--users", "1-9223372036854775807"], "fit memory"),
        (["--eid", "0"], "EID 0"),
        (["--eid", "7:5:4"], "EID 7"),
        (["--eid", f"7:{-(2**70)}:4"], "EID 7"),
        (["--close-after", "3:never"], "before or after"),
        (["--close-after", "-3"], "close_after"),
        (["--state", "{damaged}"], "damaged at byte 0"),
        (["--state", "{used}"], "another simulated cluster"),
        (["--listen", "127.0.0.1:{port}"], "in use"),
    ],
)
def test_a_cluster_that_cannot_start_says_why_in_one_line(
    simulation: Simulation, tmp_path: Path, flags: list[str], words: str
) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / JOURNAL_NAME).write_bytes(b"not a journal at all")
    places = {"damaged": tmp_path / "damaged", "used": simulation.state, "port": simulation.ports[0]}
    done = evtsim(*(flag.format(**places) for flag in flags))
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert words in line
    assert "Traceback" not in line
