"""Every fault of the simulated cluster, from its settings and by an order, as a client sees it."""

import gc
import json
import socket
import struct
from pathlib import Path

import click
import numpy as np
import pytest
from raw_client import DEADLINE_S, ORIGIN, RawClient, address, applied, modify, query

from eomd.cli.evtsim import evtsim
from eomd.errors import ConfigurationError, ConnectError, FrameError
from eomd.evt import frame
from eomd.evt.columns import REQUEST_AT
from eomd.evt.frame import ErrorCode, FrameType, Hello
from eomd.evt.simulator import Faults
from eomd.evt.simulator.cluster import ACTIONS
from eomd.evt.simulator.control import send_order
from eomd.evt.simulator.node import NodeCounts
from eomd.model import RowStatus
from tests.world import wait_until

HELLO = frame.encode_hello(1, Hello("fish", ORIGIN))
TWO_NODES = (("127.0.0.1", 0),) * 2


def send_each(client, rows):
    """Send one-row modifies, each after the answer before; return how many were answered."""
    for row in range(rows):
        try:
            client.send(modify(2 + row, [5], first_row=row))
        except OSError:
            return row
        if client.read() is None:
            return row
    return rows


@pytest.mark.parametrize(("when", "done"), [("before", 2), ("after", 3)])
def test_a_connection_ends_at_its_nth_request(simulate, when, done):
    cluster = simulate(faults=Faults(close_after=3, close_when=when))
    with RawClient(address(cluster)) as client:
        assert send_each(client, 9) == 2
    assert applied(cluster) == list(range(done))
    with RawClient(address(cluster)) as client:
        client.send(b"".join(modify(2 + row, [5], first_row=10 + row) for row in range(4)))
        assert [request for _, request, _ in client.read_all()] == [2, 3]
    assert applied(cluster)[done:] == list(range(10, 10 + done))


@pytest.mark.parametrize(("when", "done"), [("before", 2), ("after", 5)])
def test_a_connection_falls_silent_at_its_nth_request(simulate, when, done):
    cluster = simulate(faults=Faults(mute_after=3, mute_when=when), max_inflight=9)
    with RawClient(address(cluster)) as client, RawClient(address(cluster)) as other:
        client.send(b"".join(modify(2 + row, [5], first_row=row) for row in range(5)))
        assert [client.read()[1] for _ in range(2)] == [2, 3]
        client.send(frame.encode_ping(9, bytes(8)))
        assert other.ping()
        cluster.order(do="close")
        assert client.read() is None
    assert applied(cluster) == list(range(done))


@pytest.mark.parametrize("greet", [False, True])
def test_a_silent_node_takes_connections_and_says_nothing(simulate, greet):
    cluster = simulate(faults=Faults(silent=not greet))
    with RawClient(address(cluster), greet=greet) as client:
        cluster.order(silent=True)
        client.send(HELLO + modify(2, [5]))
        with RawClient(address(cluster), greet=False) as other:
            other.send(HELLO)
            wait_until(lambda: cluster.counts()["connections"] == 2, "both connections")
            cluster.order(do="close")
            assert (client.read(), other.read()) == (None, None)
    assert applied(cluster) == []
    cluster.order(silent=False)
    with RawClient(address(cluster)) as client:
        assert client.ping()


def test_what_is_held_back_when_a_node_falls_silent_is_not_sent(simulate):
    cluster = simulate(listen=TWO_NODES)
    with RawClient(address(cluster, 0)) as client, RawClient(address(cluster, 1)) as later:
        cluster.order(latency_ms=2000)
        client.send(modify(2, [5]))
        wait_until(lambda: applied(cluster), "the request is done")
        cluster.order(node=0, silent=True)
        # its answer comes later than the other's would have
        assert later.ping()
        cluster.order(do="close")
        assert client.read() is None


def test_latency_holds_answers_back_and_later_ones_pass_them(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        cluster.order(latency_ms=60_000)
        client.send(modify(2, [5]))
        wait_until(lambda: applied(cluster), "the request is done")
        cluster.order(latency_ms=0)
        client.send(query(3, [5]))
        assert client.read()[1] == 3


def test_latency_holds_the_greeting_back_too(simulate):
    cluster = simulate(faults=Faults(latency_ms=60_000))
    with RawClient(address(cluster), greet=False) as client:
        client.send(HELLO + modify(2, [5]))
        wait_until(lambda: applied(cluster), "the request is done")
        cluster.order(do="close")
        assert client.read() is None


def test_jitter_brings_answers_in_another_order(simulate):
    cluster = simulate(faults=Faults(jitter_ms=50), max_inflight=30)
    with RawClient(address(cluster)) as client:
        client.send(b"".join(query(2 + number, [5]) for number in range(30)))
        requests = [client.read()[1] for _ in range(30)]
    assert sorted(requests) == list(range(2, 32))
    assert requests != sorted(requests)


def test_answers_held_back_count_as_in_flight(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        cluster.order(latency_ms=60_000)
        for row in range(5):
            client.send(modify(2 + row, [5], first_row=row))
            wait_until(lambda row=row: len(applied(cluster)) == min(row + 1, 4), "the request is done")
        wait_until(lambda: cluster.counts()["over_inflight"] == 1, "the fifth is refused")
    assert applied(cluster) == [0, 1, 2, 3]


def test_a_wrong_crc_is_a_wrong_crc(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        cluster.order(wrong_crc_share=1.0)
        client.send(modify(2, [5]))
        with pytest.raises(FrameError, match="CRC"):
            client.read()
    assert applied(cluster) == [0]


@pytest.mark.parametrize(
    ("question", "greet"),
    [
        (HELLO, False),
        (frame.encode_ping(2, bytes(8)), True),
        (frame.encode_error(2, ErrorCode.MALFORMED, ""), True),
    ],
    ids=["HELLO", "PING", "what is refused"],
)
def test_a_wrong_crc_is_met_whatever_is_asked(simulate, question, greet):
    cluster = simulate()
    with RawClient(address(cluster), greet=greet) as client:
        cluster.order(wrong_crc_share=1.0)
        client.send(question)
        with pytest.raises(FrameError, match="CRC"):
            client.read()


def test_a_goaway_may_have_a_wrong_crc(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        cluster.order(wrong_crc_share=1.0)
        cluster.order(do="drain")
        with pytest.raises(FrameError, match="CRC"):
            client.read()


def test_a_corrupt_reply_has_one_wrong_byte_and_never_in_its_request_id(simulate):
    cluster, places = simulate(), set()
    with RawClient(address(cluster)) as client:
        client.ask(query(2, [5]))
        good = client.received[-(frame.HEADER_BYTES + 8 + 8 + 2) :]
        cluster.order(corrupt_share=1.0)
        for _ in range(400):
            client.send(query(2, [5]))
            bad = b""
            while len(bad) < len(good):
                bad += client.socket.recv(len(good) - len(bad))
            [place] = [at for at in range(len(good)) if good[at] != bad[at]]
            places.add(place)
            with pytest.raises(FrameError):
                splitter = frame.FrameSplitter(2**16)
                splitter.split(bad)
                splitter.split(bytes(2**16))
    assert places == set(range(len(good))) - set(range(REQUEST_AT, REQUEST_AT + 4))


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ({"busy_share": 1.0}, RowStatus.BUSY),
        ({"internal_share": 1.0}, RowStatus.INTERNAL),
    ],
)
def test_rows_that_are_busy_or_failed_are_not_done(simulate, faults, status):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        cluster.order(**faults)
        found = client.ask(modify(2, [5, 6]))
        assert found.status.tolist() == [status] * 2
        assert found.detail.tolist() == [255] * 2
        assert client.ask(query(3, [5])).status.tolist() == [status]
        assert applied(cluster) == []
        cluster.order(**dict.fromkeys(faults, 0.0))
        assert client.ask(modify(2, [5, 6])).status.tolist() == [0, 0]


def test_shares_are_shares(simulate):
    cluster = simulate(faults=Faults(busy_share=0.3, internal_share=0.2), max_rows=10_000)
    with RawClient(address(cluster)) as client:
        status = client.ask(query(2, [5] * 10_000)).status
    shares = [np.count_nonzero(status == one) / 10_000 for one in (RowStatus.BUSY, RowStatus.INTERNAL)]
    assert shares == pytest.approx([0.3, 0.2], abs=0.03)


def test_overloaded_requests_are_refused_and_not_done(simulate):
    cluster = simulate(faults=Faults(overloaded_share=1.0))
    with RawClient(address(cluster)) as client:
        client.send(modify(2, [5]))
        client.expect_error(2, ErrorCode.OVERLOADED)
        assert client.ping()
    assert applied(cluster) == []


def test_goaway_comes_after_the_nth_request_and_the_rest_is_answered(simulate):
    cluster = simulate(faults=Faults(goaway_after=2, latency_ms=20))
    with RawClient(address(cluster)) as client:
        client.send(b"".join(modify(2 + row, [5], first_row=row) for row in range(3)))
        kinds = [FrameType(kind) for kind, _, _ in client.read_all()]
        assert sorted(kinds) == [FrameType.MODIFIED] * 3 + [FrameType.GOAWAY]
        assert kinds[0] == FrameType.GOAWAY
    with RawClient(address(cluster)) as client:
        assert client.ping()


def test_a_drained_node_says_goaway_answers_and_listens_no_more(simulate):
    cluster = simulate(listen=TWO_NODES, faults=Faults(latency_ms=50))
    with RawClient(address(cluster, 0)) as client, RawClient(address(cluster, 1)) as other:
        client.send(modify(2, [5]))
        wait_until(lambda: applied(cluster), "the request is done")
        cluster.order(node=0, do="drain")
        with pytest.raises(OSError, match="refused"):
            RawClient(address(cluster, 0))
        assert sorted(kind for kind, _, _ in client.read_all()) == [FrameType.MODIFIED, FrameType.GOAWAY]
        assert other.ping()
    cluster.start_node(0)
    with RawClient(address(cluster, 0)) as client:
        assert client.ping()


def data_segments_received(client):
    """Return Linux's count of TCP segments with data that this socket received (tcp_info)."""
    [count] = struct.unpack_from(
        "<I", client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 152
    )
    return count


def test_one_byte_at_a_time(simulate):
    cluster = simulate()
    with RawClient(address(cluster)) as client:
        client.ask(modify(2, [5, 6, 7]))
        whole = data_segments_received(client)
        cluster.order(one_byte=True)
        assert client.ask(modify(2, [5, 6, 7])).status.tolist() == [RowStatus.REPLAYED] * 3
        assert data_segments_received(client) >= whole + 10


def test_a_node_can_say_that_it_is_of_another_cluster(simulate):
    cluster = simulate(faults=Faults(claim_cluster="leisure"))
    with RawClient(address(cluster), greet=False) as client:
        client.send(HELLO)
        assert "leisure" in client.expect_error(1, ErrorCode.WRONG_CLUSTER)
        assert client.read() is None
    with RawClient(address(cluster), "leisure") as client:
        cluster.order(claim_cluster="")
        assert client.ping()
    with RawClient(address(cluster)) as client:
        assert client.ping()


def test_a_node_that_serves_no_version(simulate):
    cluster = simulate(faults=Faults(refuse_version=True))
    with RawClient(address(cluster), greet=False) as client:
        client.send(HELLO)
        client.expect_error(1, ErrorCode.VERSION)
        assert client.read() is None


def test_a_node_without_tokens_says_so_and_keeps_what_it_promised_before(simulate):
    cluster = simulate(listen=TWO_NODES)
    with RawClient(address(cluster)) as promised:
        cluster.order(node=0, no_idempotent=True)
        with RawClient(address(cluster)) as plain:
            assert plain.welcome.capabilities == frame.RESTORE_BIT
            for _ in range(2):
                assert plain.ask(modify(2, [5])).status.tolist() == [RowStatus.OK]
            for status in (RowStatus.OK, RowStatus.REPLAYED):
                assert promised.ask(modify(2, [5])).status.tolist() == [status]
            assert plain.ask(modify(2, [5])).after.tolist() == [[4]]
    with RawClient(address(cluster, 1)) as other:
        assert other.welcome.capabilities == frame.IDEMPOTENT_BIT | frame.RESTORE_BIT
    assert [block.idempotent for block in cluster.journal()] == [False, False, True, False]


# --- orders


def test_orders_are_taken_over_tcp_for_one_node_or_all(simulate):
    cluster = simulate(listen=TWO_NODES, control=("127.0.0.1", 0))
    where = cluster.control.host, cluster.control.port
    answer = send_order(*where, {"node": 1, "busy_share": 1.0, "latency_ms": 0.5})
    assert answer["ok"]
    first, second = answer["nodes"]
    assert (first["faults"]["busy_share"], second["faults"]["busy_share"]) == (0.0, 1.0)
    assert (second["name"], second["address"], second["listening"]) == (
        "fish-b",
        str(address(cluster, 1)),
        True,
    )
    with RawClient(address(cluster, 1)) as client:
        assert client.ask(query(2, [5])).status.tolist() == [RowStatus.BUSY]
    [first, second] = send_order(*where, {"silent": True, "do": "stop"})["nodes"]
    assert [first["listening"], second["listening"]] == [False, False]
    assert second["counts"]["query_rows"] == 1
    assert set(second["counts"]) == set(NodeCounts().as_dict())
    assert send_order(*where, {})["nodes"][0]["faults"]["silent"] is True


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (["silent"], "object"),
        ({"silence": True}, "silence"),
        ({"silent": True, "busy_share": 2}, "busy_share"),
        ({"node": 2, "silent": True}, "node"),
        ({"node": True, "silent": True}, "node"),
        ({"do": "explode", "silent": True}, "explode"),
    ],
)
def test_a_wrong_order_is_answered_and_changes_nothing(simulate, order, reason):
    cluster = simulate(listen=TWO_NODES, control=("127.0.0.1", 0))
    answer = send_order(cluster.control.host, cluster.control.port, order)
    assert (answer["ok"], reason in answer["error"]) == (False, True)
    with RawClient(address(cluster)) as client:
        assert client.ping()


def test_several_orders_on_one_connection_and_rubbish_between(simulate):
    cluster = simulate(control=("127.0.0.1", 0))
    with socket.create_connection((cluster.control.host, cluster.control.port), DEADLINE_S) as connection:
        connection.sendall(b'{"jitter_ms": 1}\n{not json\n\xff\n{"jitter_ms": 0}\n')
        with connection.makefile("rb") as file:
            answers = [json.loads(file.readline())["ok"] for _ in range(4)]
    assert answers == [True, False, False, True]


def test_an_open_conversation_ends_with_the_cluster(simulate):
    cluster = simulate(control=("127.0.0.1", 0))
    with socket.create_connection((cluster.control.host, cluster.control.port), DEADLINE_S) as connection:
        connection.sendall(b"{}\n")
        with connection.makefile("rb") as file:
            assert json.loads(file.readline())["ok"]
            cluster.stop()
            gc.collect()
            assert file.readline() == b""


def test_nobody_to_take_an_order_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(ConnectError, match=str(port)):
        send_order("127.0.0.1", port, {})


def test_an_order_of_a_wrong_fault_raises(simulate):
    with pytest.raises(ConfigurationError):
        simulate().order(busy_share=-1)


# --- what the page promises


def test_every_fault_has_a_flag_and_all_of_them_are_in_the_page():
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    flags = {flag for parameter in evtsim.params for flag in parameter.opts}
    faults = [name for name in Faults.__dataclass_fields__ if not name.endswith("_when")]
    assert {"--" + name.replace("_", "-") for name in faults} <= flags
    assert isinstance(evtsim, click.Command)
    for word in (*flags, *Faults.__dataclass_fields__, *ACTIONS, *NodeCounts().as_dict()):
        assert f"`{word}" in page, word
