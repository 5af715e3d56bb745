"""The simulated cluster over TCP: the protocol page's rules of a node, and one store behind several."""

import json
import socket
from pathlib import Path

import pytest
from raw_client import ORIGIN, RawClient, address, applied, columns_of, modify, query

from eomd.evt import frame
from eomd.evt.frame import ErrorCode, FrameType, Hello
from eomd.model import Mode, RowStatus

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "evt-vectors.json").read_text(encoding="utf-8"))
HELLO = frame.encode_hello(1, Hello("fish", ORIGIN))
TWO_NODES = (("127.0.0.1", 0),) * 2


# --- one store behind several nodes


def test_what_one_node_did_every_node_knows(simulate):
    cluster = simulate(listen=TWO_NODES)
    with RawClient(address(cluster, 0)) as first, RawClient(address(cluster, 1)) as second:
        assert (first.welcome.node, second.welcome.node) == ("fish-a", "fish-b")
        assert first.welcome.capabilities == frame.IDEMPOTENT_BIT | frame.RESTORE_BIT
        assert (first.welcome.max_rows, first.welcome.max_inflight) == (10, 4)
        assert first.ask(modify(2, [5, 6], 7)).after.tolist() == [[7], [7]]
        assert second.ask(query(2, [6, 4])).before.tolist() == [[7], [0]]
        again = second.ask(modify(3, [5, 6], 7))
        assert again.status.tolist() == [RowStatus.REPLAYED] * 2
        assert again.after.tolist() == [[7], [7]]
        assert second.ask(modify(4, [6, 5], 7)).status.tolist() == [RowStatus.TOKEN_MISUSED] * 2
    assert applied(cluster) == [0, 1]


def test_every_final_status_is_told_over_the_wire(simulate):
    with RawClient(address(simulate())) as client:
        for row, (request, status, detail) in enumerate(
            [
                (modify(1, [1000], first_row=0), RowStatus.NO_SUCH_USER, 255),
                (modify(1, [1], first_row=1, eids=(1001, 7)), RowStatus.NO_SUCH_EID, 1),
                (modify(1, [1], 11, first_row=2, eids=(1001, 1002)), RowStatus.OUT_OF_RANGE, 1),
                (modify(1, [950], first_row=3), RowStatus.USER_LOCKED, 255),
                (modify(1, [1], first_row=4, eids=(1001, 1003)), RowStatus.READ_ONLY, 1),
                (modify(1, [1], first_row=5, mode=Mode.RESTORE, expected=3), RowStatus.CONFLICT, 0),
            ]
        ):
            for _ in range(2):
                found = client.ask(request)
                assert (found.status.tolist(), found.detail.tolist()) == ([status], [detail]), row
                assert not found.before.any()
                assert not found.after.any()


def test_a_node_that_stopped_comes_back_on_its_port_with_its_counters(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        client.ask(modify(2, [5], 7))
        cluster.stop_node(0)
        assert client.read() is None
    with pytest.raises(OSError, match="refused"):
        RawClient(address(cluster))
    cluster.start_node(0)
    with RawClient(address(cluster)) as client:
        assert client.ask(query(2, [5])).before.tolist() == [[7]]


def test_a_cluster_comes_back_from_its_folder(simulate, tmp_path):
    cluster = simulate(state=tmp_path)
    with RawClient(address(cluster)) as client:
        client.ask(modify(2, [5], 7))
    cluster.stop()
    with RawClient(address(simulate(state=tmp_path))) as client:
        assert client.ask(modify(2, [5], 7)).status.tolist() == [RowStatus.REPLAYED]


# --- the page's rules of a connection


@pytest.mark.parametrize("request_", [query(7, [1]), modify(7, [1]), frame.encode_ping(7, bytes(8))])
def test_nothing_is_served_before_the_greeting(simulate, request_):
    cluster = simulate()
    with RawClient(address(cluster), greet=False) as client:
        client.send(request_ + HELLO)
        client.expect_error(7, ErrorCode.NOT_GREETED)
        assert client.read() is None
    assert applied(cluster) == []


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (frame.encode_hello(5, Hello("leisure", ORIGIN)), ErrorCode.WRONG_CLUSTER),
        (frame.encode_hello(5, Hello("fish", ORIGIN, version=2)), ErrorCode.VERSION),
        (frame.encode_frame(FrameType.HELLO, 5, b"\2\0"), ErrorCode.VERSION),
        (frame.encode_frame(FrameType.HELLO, 5, b"\1\0"), ErrorCode.MALFORMED),
        (frame.encode_frame(FrameType.HELLO, 5, b"\1"), ErrorCode.MALFORMED),
    ],
)
def test_a_greeting_that_is_not_for_this_node_is_refused(simulate, hello, code):
    with RawClient(address(simulate()), greet=False) as client:
        client.send(hello)
        client.expect_error(5, code)
        assert client.read() is None


@pytest.mark.parametrize(
    "data", [pytest.param(bytes.fromhex(v["hex"]), id=v["reason"]) for v in VECTORS["reject"]]
)
def test_every_rejected_vector_ends_the_connection_after_what_came_before(simulate, data):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        client.send(modify(3, [5]) + data + modify(4, [6], operation=2))
        assert columns_of(client.read()).status.tolist() == [0]
        frame_type, request, body = client.read()
        assert frame_type == FrameType.ERROR
        assert frame.decode_notice(body).code == ErrorCode.MALFORMED
        readable = data.startswith(b"EVT1")
        assert request == (int.from_bytes(data[8:12], "little") if readable else 0)
        assert client.read() is None
    assert [block.operation for block in cluster.journal()] == [1]
    assert cluster.counts()["malformed"] == 1


@pytest.mark.parametrize(
    "data",
    [
        HELLO,
        frame.encode_welcome(8, frame.Welcome("n", 0, 1, 1, 64)),
        frame.encode_pong(8, bytes(8)),
        frame.encode_frame(FrameType.PING, 8, bytes(7)),
        frame.encode_goaway(0, ""),
        query(8, [1])[:8] + bytes(4) + query(8, [1])[12:],
    ],
    ids=["hello", "welcome", "pong", "short ping", "goaway", "request 0"],
)
def test_what_no_client_says_ends_the_connection(simulate, data):
    with RawClient(address(simulate())) as client:
        client.send(data)
        client.expect_error(int.from_bytes(data[8:12], "little"), ErrorCode.MALFORMED)
        assert client.read() is None


def test_nothing_is_heard_after_what_ended_the_connection(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        client.send(HELLO + modify(2, [5]) + HELLO + b"EVT2" + bytes(40))
        client.expect_error(1, ErrorCode.MALFORMED)
        client.send(modify(3, [5]))
        assert client.read() is None
    assert (cluster.counts()["malformed"], applied(cluster)) == (1, [])


def test_a_bad_request_among_alike_ones_ends_the_connection_where_it_stands(simulate):
    cluster = simulate()
    good = [modify(2 + row, [5], first_row=row) for row in range(3)]
    user_at = len(good[1]) - 16
    body = good[1][frame.HEADER_BYTES : user_at] + bytes(8) + good[1][user_at + 8 :]
    with RawClient(address(cluster)) as client, RawClient(address(cluster)) as other:
        client.send(good[0] + frame.encode_frame(FrameType.MODIFY, 3, body) + good[2])
        assert columns_of(client.read()).status.tolist() == [0]
        assert "user" in client.expect_error(3, ErrorCode.MALFORMED)
        assert client.read() is None
        assert other.ping()
    assert applied(cluster) == [0]


def test_a_request_over_max_rows_is_refused_and_the_connection_stays(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        client.send(query(3, range(1, 12)) + modify(4, range(1, 12)))
        client.expect_error(3, ErrorCode.TOO_MANY_ROWS)
        client.expect_error(4, ErrorCode.TOO_MANY_ROWS)
        assert client.ask(query(5, range(1, 11))).status.tolist() == [0] * 10
    assert (cluster.counts()["over_rows"], applied(cluster)) == (2, [])


def test_a_reply_over_the_clients_max_frame_is_not_sent(simulate):
    cluster = simulate()
    with RawClient(address(cluster), max_frame=8 + 5 * 18) as client:
        assert client.ask(modify(3, range(1, 6))).status.tolist() == [0] * 5
        client.send(modify(4, range(1, 7), operation=2))
        client.expect_error(4, ErrorCode.TOO_MANY_ROWS)
    assert len(applied(cluster)) == 5


def test_restore_is_malformed_where_it_is_not_served(simulate):
    with RawClient(address(simulate(restore=False))) as client:
        assert client.welcome.capabilities == frame.IDEMPOTENT_BIT
        client.send(modify(3, [1], mode=Mode.RESTORE, expected=0))
        assert "mode 4" in client.expect_error(3, ErrorCode.MALFORMED)


def test_requests_beyond_max_inflight_are_refused_as_overload(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        client.send(b"".join(modify(2 + number, [5], first_row=number) for number in range(6)))
        replies = [client.read() for _ in range(6)]
        refused = sorted(request for kind, request, _ in replies if kind == FrameType.ERROR)
        assert refused == [6, 7]
    assert (cluster.counts()["over_inflight"], sorted(applied(cluster))) == (2, [0, 1, 2, 3])


def test_clients_of_several_origins_are_served_alike_in_one_turn(simulate):
    cluster = simulate()
    with (
        RawClient(address(cluster)) as first,
        RawClient(address(cluster), origin=bytes(16)) as second,
        RawClient(address(cluster), max_frame=2000) as third,
    ):
        clients = first, second, third
        for _ in range(20):
            for client in clients:
                client.send(modify(2, [5]))
            for client in clients:
                columns_of(client.read())
    assert [block.origin for block in cluster.journal()].count(ORIGIN) == 1
    assert cluster.values([1001], [5]).tolist() == [[2]]


def test_half_a_frame_is_no_reason_to_keep_anything(simulate):
    cluster = simulate()
    for cut in (3, 23, 24, 40):
        with RawClient(address(cluster)) as client:
            client.send(modify(2, [5])[:cut])
            client.socket.shutdown(socket.SHUT_WR)
            assert client.read() is None
    assert applied(cluster) == []
