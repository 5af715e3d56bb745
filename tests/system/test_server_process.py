"""The server as a process: signals, exit codes, the watchdog's pipe and sockets."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eomd.handover import HTTP, Heartbeat, Sign, handover_environment
from eomd.listen import TcpAddress, close_sockets, open_sockets
from tests.world import DEADLINE_S, Client, World, open_world, wait_until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from open_world(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_good_order(world: World, number: int) -> None:
    world.configure()
    server = world.serve()
    server.process.send_signal(number)
    assert server.process.wait(DEADLINE_S) == 0
    assert "Traceback" not in server.log.read_text()


def test_a_second_server_on_the_same_folder_is_told_to_come_back(world: World) -> None:
    world.configure()
    world.serve()
    second = world.run("serve")
    assert second.returncode == os.EX_TEMPFAIL
    assert "Traceback" not in second.stderr


def test_a_codec_that_is_not_there_is_a_fault_of_the_configuration(world: World) -> None:
    world.configure(extra='[clusters.odd]\nnodes = ["127.0.0.1:1"]\ncodec = "none"\n')
    done = world.run("serve")
    assert done.returncode == os.EX_CONFIG
    assert "codec" in done.stderr


def test_tables_that_are_not_up_to_date_are_a_fault_of_the_configuration(world: World) -> None:
    world.configure(extra="")
    text = world.config.read_text().replace("[ledger]", "[ledger]\nauto_migrate = false")
    world.config.write_text(text)
    done = world.run("serve")
    assert done.returncode == os.EX_CONFIG
    assert "eomd migrate" in done.stderr


class Pipe:
    """The watchdog's end of the heartbeat."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self._lines: list[bytes] = []

    def read(self) -> Sign | None:
        """Return the next sign; None at the end."""
        while len(self._lines) < 2:
            ready, _, _ = select.select([self.read_end], [], [], DEADLINE_S)
            assert ready, "no sign of life"
            received = os.read(self.read_end, 4096)
            if not received:
                return None
            *before, torn = self._lines or [b""]
            self._lines = [*before, *(torn + received).split(b"\n")]
        return Heartbeat.parse(self._lines.pop(0)).sign

    def read_until(self, sign: Sign) -> None:
        while (read := self.read()) is not sign:
            assert read is not None, f"no {sign}"

    def close(self) -> None:
        for end in (self.read_end, self.write_end):
            if end >= 0:
                os.close(end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    opened = Pipe()
    yield opened
    opened.close()


def start_handed_over(world: World, pipe: Pipe) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server as the watchdog does; return it and its port."""
    sockets = open_sockets(TcpAddress("127.0.0.1", 0), None)
    port = sockets[HTTP].getsockname()[1]
    handed = [sockets[HTTP].fileno(), pipe.write_end]
    with open(world.folder / "server.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "eomd", "serve", "-c", str(world.config)],
            env={**os.environ, **handover_environment(sockets, pipe.write_end)},
            pass_fds=handed,
            stderr=log,
        )
    close_sockets(sockets)
    os.close(pipe.write_end)
    pipe.write_end = -1
    return process, port


def test_the_heartbeat_tells_ready_alive_and_draining(world: World, pipe: Pipe) -> None:
    world.configure()
    process, port = start_handed_over(world, pipe)
    try:
        assert pipe.read() is Sign.STARTING
        pipe.read_until(Sign.READY)
        assert Client(port).request("GET", "/health").status == 200
        assert pipe.read() is Sign.ALIVE
        process.terminate()
        pipe.read_until(Sign.DRAINING)
        pipe.read_until(Sign.HANDED_OVER)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_a_server_whose_watchdog_is_gone_ends(world: World, pipe: Pipe) -> None:
    world.configure()
    process, _ = start_handed_over(world, pipe)
    try:
        pipe.read()
        os.close(pipe.read_end)
        pipe.read_end = -1
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_a_running_operation_lets_the_server_end_and_goes_on_later(world: World) -> None:
    world.simulate("fish", 1, "--latency-ms", "50", "--max-rows", "10", "--max-inflight", "1")
    world.configure(connections=1)
    server = world.serve()
    source = world.folder / "users.csv"
    source.write_text("".join(f"{user}\n" for user in range(1, 2001)))
    operation = world.client.hand_in(source).data["id"]
    wait_until(lambda: world.client.operation(operation)["rows"]["done"] > 0, "rows are answered")
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 20
    world.serve()
    assert world.client.wait_for_state(operation, "succeeded")["rows"]["ok"] == 2000
