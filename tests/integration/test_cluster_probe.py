"""The watchdog's look at a node: simulated ones, killed, mute, of another cluster; and one that babbles."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eomd.errors import FrameError, NodeRefusedError
from eomd.evt.frame import FrameType, encode_frame, encode_pong
from eomd.evt.probe import Evt1ProbeSession, load_probe
from eomd.model import NodeAddress
from eomd.watchdog import cluster_probe
from eomd.watchdog.cluster_probe import NodeProbe, cluster_of, node_subject
from eomd.watchdog.sight import DOWN, UP, Finding
from tests.on_loop import on_loop

ORIGIN = bytes(range(16))


def probe_of(address: NodeAddress, **changes: Any) -> NodeProbe:
    fields: dict[str, Any] = {"cluster": "fish", "make_session": Evt1ProbeSession, "origin": lambda: ORIGIN}
    return NodeProbe(address=address, **fields | changes)


async def look(probe: NodeProbe, deadline_s: float = 30.0) -> Finding:
    async with asyncio.timeout(deadline_s):
        return await probe.look()


def test_a_node_that_answers_is_up_and_keeps_one_connection(simulate: Any) -> None:
    cluster = simulate()
    probe = probe_of(cluster.nodes[0].address)

    @on_loop
    async def scenario() -> None:
        for _ in range(3):
            finding = await look(probe)
            assert finding.state == UP
            assert finding.latency_ms is not None and finding.latency_ms > 0
        probe.close()

    scenario()
    counts = cluster.counts()
    assert (counts["connections"], counts["pings"]) == (1, 3)


def test_the_connection_is_renewed_now_and_then(simulate: Any) -> None:
    cluster = simulate()
    now_s = 0.0
    probe = probe_of(cluster.nodes[0].address, clock=lambda: now_s)

    @on_loop
    async def scenario() -> None:
        nonlocal now_s
        for _ in range(3):
            assert (await look(probe)).state == UP
            now_s += cluster_probe.CONNECTION_S_MAX
        probe.close()

    scenario()
    assert cluster.counts()["connections"] == 3


def test_a_killed_node_is_down_until_it_is_back(simulate: Any) -> None:
    cluster = simulate()
    probe = probe_of(cluster.nodes[0].address)

    @on_loop
    async def scenario() -> None:
        assert (await look(probe)).state == UP
        cluster.stop_node(0)
        assert await look(probe) == Finding(DOWN, "connection refused")
        assert await look(probe) == Finding(DOWN, "connection refused")
        cluster.start_node(0)
        assert (await look(probe)).state == UP
        probe.close()

    scenario()


def test_a_node_restarted_between_two_looks_was_never_down(simulate: Any) -> None:
    cluster = simulate()
    probe = probe_of(cluster.nodes[0].address)

    @on_loop
    async def scenario() -> None:
        assert (await look(probe)).state == UP
        cluster.stop_node(0)
        cluster.start_node(0)
        assert (await look(probe)).state == UP
        probe.close()

    scenario()


def test_a_node_whose_answers_turn_wrong_is_down_until_they_are_right(simulate: Any) -> None:
    cluster = simulate()
    probe = probe_of(cluster.nodes[0].address)

    @on_loop
    async def scenario() -> None:
        assert (await look(probe)).state == UP
        cluster.order(wrong_crc_share=1.0)
        finding = await look(probe)
        assert finding.state == DOWN
        assert "CRC" in finding.reason
        cluster.order(wrong_crc_share=0.0)
        assert (await look(probe)).state == UP
        probe.close()

    scenario()


@pytest.mark.parametrize(
    ("faults", "state", "reason"),
    [
        ({"claim_cluster": "label"}, "misconfigured", "error 5"),
        ({"refuse_version": True}, "misconfigured", "error 2"),
        ({"wrong_crc_share": 1.0}, DOWN, "CRC"),
        ({"close_after": 1}, UP, ""),
        ({"one_byte": True}, UP, ""),
        ({"latency_ms": 20.0}, UP, ""),
    ],
)
def test_what_is_wrong_with_a_node_is_told(
    simulate: Any, faults: dict[str, object], state: str, reason: str
) -> None:
    cluster = simulate()
    cluster.order(**faults)
    probe = probe_of(cluster.nodes[0].address)

    @on_loop
    async def scenario() -> None:
        finding = await look(probe)
        assert finding.state == state
        assert reason in finding.reason
        probe.close()

    scenario()


def test_a_mute_node_is_given_up_at_the_deadline_and_its_late_answer_is_not_taken(simulate: Any) -> None:
    cluster = simulate()
    probe = probe_of(cluster.nodes[0].address)

    @on_loop
    async def scenario() -> None:
        assert (await look(probe)).state == UP
        cluster.order(silent=True)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await look(probe, 0.1)
        cluster.order(silent=False)
        assert (await look(probe)).state == UP
        probe.close()

    scenario()
    assert cluster.counts()["connections"] >= 3


def test_a_node_that_drains_says_so(simulate: Any) -> None:
    cluster = simulate()
    probe = probe_of(cluster.nodes[0].address)

    @on_loop
    async def scenario() -> None:
        assert (await look(probe)).state == UP
        cluster.order(do="drain")
        finding = await look(probe)
        assert finding.state in ("draining", DOWN)
        probe.close()

    scenario()


def test_nodes_are_named_for_people_and_found_again() -> None:
    probe = probe_of(NodeAddress("::1", 30717))
    assert probe.subject == "fish [::1]:30717" == node_subject("fish", "[::1]:30717")
    assert cluster_of(probe.subject) == "fish"


# --- EVT/1 against a node that says what it likes


Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def ask(say: Say, work: str) -> None:
    """Greet, or greet and ping, a node that does this."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await say(reader, writer)
        writer.close()
        done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        session = Evt1ProbeSession("fish", ORIGIN, reader, writer)
        await getattr(session, work)()
    finally:
        writer.transport.abort()
        await done.wait()
        server.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", FrameError),
        (encode_pong(2, b"not ours"), FrameError),
        (encode_pong(3, bytes(8)), FrameError),
        (encode_pong(2, bytes(8))[:-1] + b"x", FrameError),
        (encode_frame(FrameType.WELCOME, 2, b""), FrameError),
        (encode_frame(FrameType.ERROR, 2, b"\x05"), FrameError),
        (encode_frame(FrameType.ERROR, 2, b"\x04\x00\x00\x00"), NodeRefusedError),
        (encode_frame(FrameType.GOAWAY, 0, b"\x00\x00\x00\x00"), NodeRefusedError),
    ],
)
def test_a_wrong_answer_to_a_ping_is_told_from_a_right_one(answer: bytes, error: type[Exception]) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)

    @on_loop
    async def scenario() -> None:
        with pytest.raises(error):
            await ask(say, "ping")

    scenario()


# --- the seam


def test_the_dialect_is_found_by_its_codecs_name() -> None:
    assert load_probe("evt1") is Evt1ProbeSession
    assert load_probe("nobody-has-it") is None


def test_a_probe_needs_nothing_heavy() -> None:
    script = """
import sys
import eomd.watchdog.probes, eomd.watchdog.reporter, eomd.watchdog.remedies
from eomd.evt.probe import load_probe
assert load_probe("evt1")
heavy = {"numpy", "pyarrow", "pydantic", "sqlalchemy", "tornado", "pymysql"} & set(sys.modules)
sys.exit(", ".join(heavy) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
