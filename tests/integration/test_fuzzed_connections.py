"""Damaged streams, both ways: node and client refuse them cleanly, go on with others, and leak nothing."""

import asyncio
import contextlib
import logging
import socket
from itertools import accumulate

import numpy as np
import pytest
from fake_node import FakeWork, settings_for, until
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_client import ORIGIN, RawClient, address, modify, query

from eomd.evt import bodies, frame
from eomd.evt.cluster import Cluster
from eomd.evt.codec import load_codec
from eomd.evt.frame import ErrorCode, FrameSplitter, FrameType, Hello, Welcome
from eomd.evt.simulator import SimulatedCluster, SimulatorSettings, UserRange
from eomd.model import NodeAddress, RowStatus
from tests.world import wait_until

HELLO = frame.encode_hello(1, Hello("fish", ORIGIN))
REQUESTS = (
    query(2, [5, 6]),
    query(3, [5], eids=(1001, 1002)),
    modify(4, [5, 6, 7]),
    modify(5, [8], eids=(1001, 1002), operation=2),
    frame.encode_ping(6, bytes(8)),
    HELLO,
)
#: where in the stream (relative), bytes cut out, bytes put in, whether the frames' CRCs are put right again
DAMAGE = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12), st.booleans())


def damaged(frames, damage):
    """Return the stream with some of its bytes replaced, but for a request id: nothing guards it."""
    where, length, new, repaired = damage
    if repaired:
        number = min(int(where * len(frames)), len(frames) - 1)
        return b"".join([*frames[:number], damaged_but_whole(frames[number], damage), *frames[number + 1 :]])
    stream = b"".join(frames)
    at = int(where * len(stream))
    spoilt = bytearray(stream[:at] + new + stream[at + length :])
    if len(spoilt) == len(stream):
        for start in accumulate(map(len, frames[:-1]), initial=0):
            spoilt[start + 8 : start + 12] = stream[start + 8 : start + 12]
    return bytes(spoilt)


def damaged_but_whole(one, damage):
    """Return the frame with another body, and length and CRC to match."""
    where, length, new, _ = damage
    body = one[frame.HEADER_BYTES :]
    at = int(where * len(body))
    request = int.from_bytes(one[8:12], "little")
    return frame.encode_frame(FrameType(one[4]), request, body[:at] + new + body[at + length :])


@pytest.fixture(scope="module")
def complaints():
    """Every warning and error logged while this module's tests run."""
    handler, records = logging.Handler(logging.WARNING), []
    handler.emit = records.append
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


# --- a node


@pytest.fixture(scope="module")
def node(complaints):
    counters = {"users": (UserRange(1, 999),), "max_rows": 10, "max_inflight": 50}
    with SimulatedCluster(SimulatorSettings(**counters)) as cluster:
        yield cluster


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=6),
    DAMAGE,
    st.lists(st.floats(0, 1), max_size=3),
)
def test_a_node_answers_a_damaged_stream_with_frames_and_an_end(node, greeted, requests, damage, cuts):
    stream = damaged([HELLO] * greeted + list(requests), damage)
    places = sorted(int(cut * len(stream)) for cut in cuts)
    with RawClient(address(node), greet=False) as client:
        # it may have ended the connection before everything was sent
        with contextlib.suppress(OSError):
            for start, stop in zip([0, *places], [*places, len(stream)], strict=True):
                client.send(stream[start:stop])
            client.socket.shutdown(socket.SHUT_WR)
        frames = client.read_all()
    errors = [frame.decode_notice(body) for kind, _, body in frames if kind == FrameType.ERROR]
    ends = [error for error in errors if error.code != ErrorCode.TOO_MANY_ROWS]
    assert len(ends) <= 1
    assert not ends or (frames[-1][0], errors[-1]) == (FrameType.ERROR, ends[0])


def test_a_node_that_was_fuzzed_serves_and_holds_nothing(node, complaints):
    wait_until(lambda: not node.nodes[0].connections, "no connection is left")
    with RawClient(address(node)) as client:
        assert client.ask(query(2, [5])).status.tolist() == [0]
        wait_until(lambda: len(node.nodes[0].connections) == 1, "this one")
    applied = [
        (block.origin, block.operation, row) for block in node.journal() for row in block.rows.tolist()
    ]
    assert len(applied) == len(set(applied))
    assert not complaints


# --- a client


class Liar:
    """A node that answers right, but damages what it says on its first connections."""

    def __init__(self, damages):
        self._damages = list(damages)

    async def serve(self, reader, writer):
        damage, splitter = (self._damages.pop() if self._damages else None), FrameSplitter(2**22)
        try:
            while data := await reader.read(65536):
                answers = [answer for one in splitter.split(data) for answer in answer_to(one)]
                if damage and answers and answers[0][4] != FrameType.WELCOME:
                    writer.write(damaged(answers, damage))
                else:
                    writer.write(b"".join(answers))
        except ConnectionError:
            pass
        finally:
            writer.close()


def answer_to(request):
    frame_type, number, body = request
    if frame_type == FrameType.HELLO:
        return [frame.encode_welcome(number, Welcome("liar", 3, 4, 8, 2**22))]
    if frame_type == FrameType.PING:
        return [frame.encode_pong(number, body)]
    batch = bodies.decode_requests([request])
    n = len(batch.rows)
    columns = batch.rows.users.astype(np.int64).reshape(n, 1) * 10, np.zeros(n, np.uint8)
    return [bodies.encode_values(batch.requests, *columns, np.full(n, 255, np.uint8)).tobytes()]


@settings(max_examples=40, deadline=None)
@given(st.lists(DAMAGE, min_size=1, max_size=2))
def test_a_client_survives_damaged_answers_and_believes_none_with_a_wrong_crc(complaints, damages):
    async def main():
        server = await asyncio.start_server(Liar(damages).serve, "127.0.0.1", 0)
        where = NodeAddress("127.0.0.1", server.sockets[0].getsockname()[1], 1)
        cluster = Cluster(settings_for(nodes=(where,), codec=load_codec("evt1"), reply_timeout_s=0.25))
        await cluster.start()
        work = FakeWork(30)
        cluster.attach(work)
        await work.finished(30)
        if not any(repaired for _, _, _, repaired in damages):
            assert work.count(RowStatus.OK) == 30
            assert work.before[:, 0].tolist() == [user * 10 for user in range(1, 31)]
        await cluster.close()
        server.close()
        await server.wait_closed()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    asyncio.run(main())
    assert not [record for record in complaints if record.levelno > logging.WARNING]
