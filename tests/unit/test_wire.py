"""The codec: bodies both ways against the page's vectors, the client session against good and bad nodes."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eomd.errors import ConfigurationError, EncodeError, FrameError
from eomd.evt import bodies, frame
from eomd.evt.codec import (
    Capability,
    Fault,
    Head,
    Ponged,
    Refused,
    Replied,
    Rows,
    Welcomed,
    WentAway,
    load_codec,
)
from eomd.evt.frame import FrameSplitter, FrameType
from eomd.evt.wire import REQUEST_ROWS_MAX, Evt1Codec
from eomd.model import USER_MAX, VALUE_MAX, VALUE_MIN, Mode

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "evt-vectors.json").read_text(encoding="utf-8"))
ACCEPT = {vector["name"]: (vector["fields"], bytes.fromhex(vector["hex"])) for vector in VECTORS["accept"]}
ORIGIN = bytes(range(16))
QUERY = Head((1001, 1002), None, 0)
INC = Head((1001,), Mode.INC, 42)


def head_of(fields):
    mode = Mode(fields["mode"]) if "mode" in fields else None
    return Head(tuple(fields["eids"]), mode, fields.get("operation", 0))


def rows_of(fields):
    def matrix(name):
        return np.array(fields[name], np.int64) if name in fields else None

    users = np.array(fields["users"], np.uint64)
    index = np.array(fields.get("rows", range(len(users))), np.uint32)
    return Rows(index, users, matrix("amounts"), matrix("expected"))


def rows_for(head, n):
    shape = (n, len(head.eids))
    amounts = np.arange(n * len(head.eids), dtype=np.int64).reshape(shape) if head.mode else None
    expected = np.full(shape, 9, np.int64) if head.mode is Mode.RESTORE else None
    return Rows(np.arange(n, dtype=np.uint32), np.arange(1, n + 1, dtype=np.uint64), amounts, expected)


def assert_same_rows(found, rows):
    for name in ("index", "users", "amounts", "expected"):
        left, right = getattr(found, name), getattr(rows, name)
        assert (left is None) == (right is None)
        assert left is None or (left == right).all()


def make_session(**welcome):
    fields = {"node": "fish-a", "capabilities": 3, "max_rows": 10_000, "max_inflight": 8, "max_frame": 2**22}
    session = Evt1Codec().open_session("fish", ORIGIN)
    session.encode_hello()
    session.receive(frame.encode_welcome(1, frame.Welcome(**(fields | welcome))))
    return session


def values_of(request, n, k, status=0, detail=255, value=7):
    columns = np.full((n, k), value, np.int64), np.full(n, status, np.uint8), np.full(n, detail, np.uint8)
    return bodies.encode_values(np.array([request], np.uint32), *columns).tobytes()


# --- vectors


@pytest.mark.parametrize(
    "name", ["query-1x1", "query-3x2", "modify-inc-2x1", "modify-set-3x3", "modify-restore-1x2"]
)
def test_request_vector_both_ways(name):
    fields, data = ACCEPT[name]
    head, rows = head_of(fields), rows_of(fields)
    assert bodies.encode_requests(head, rows, len(rows), fields["request"]) == data
    [run] = bodies.group_requests(FrameSplitter(2**22).split(data))
    batch = bodies.decode_requests(run)
    assert (batch.head, batch.requests.tolist()) == (head, [fields["request"]])
    assert_same_rows(batch.rows, rows)


@pytest.mark.parametrize("name", ["values-3x2", "modified-2x1"])
def test_reply_vector_both_ways(name):
    fields, data = ACCEPT[name]
    request = np.array([fields["request"]], np.uint32)
    status, detail = (np.array(fields[word], np.uint8) for word in ("status", "detail"))
    if "values" in fields:
        columns = [np.array(fields["values"], np.int64)]
        encoded = bodies.encode_values(request, *columns, status, detail)
    else:
        columns = [np.array(fields[word], np.int64) for word in ("before", "after")]
        encoded = bodies.encode_modified(request, *columns, status, detail)
    assert encoded.tobytes() == data
    [(frame_type, _, body)] = FrameSplitter(2**22).split(data)
    shape = bodies.decode_reply_shape(frame_type, body)
    found = bodies.decode_replies(shape, [body])
    assert (found.before == columns[0]).all()
    assert found.after is None if len(columns) == 1 else (found.after == columns[1]).all()
    assert found.status.tolist() == fields["status"]
    assert found.detail.tolist() == fields["detail"]


@pytest.mark.parametrize(
    "data", [pytest.param(bytes.fromhex(v["hex"]), id=v["reason"]) for v in VECTORS["reject"]]
)
def test_rejected_vectors_are_refused_by_a_node(data):
    with pytest.raises(FrameError):
        for run in bodies.group_requests(FrameSplitter(2**22).split(data)):
            bodies.decode_requests(run)


@pytest.mark.parametrize(
    "data", [pytest.param(bytes.fromhex(v["hex"]), id=v["reason"]) for v in VECTORS["reject"]]
)
def test_rejected_vectors_are_refused_by_a_client(data):
    with pytest.raises(FrameError):
        make_session().receive(data)


# --- malformed requests


def modify_body(n=1, k=1, mode=1, operation=1, reserved=0, eid=5, user=1, amount=1):
    head = np.array([operation], "<u8").tobytes() + np.array([n], "<u4").tobytes()
    head += np.array([k], "<u2").tobytes() + bytes((mode, reserved))
    columns = np.array([eid, 0, 0, 0], "<u4").tobytes() + np.array([user], "<u8").tobytes()
    return head + columns + np.array([amount], "<i8").tobytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 2**32 - 1}, "bytes instead of"),
        ({"k": 0}, "k is 0"),
        ({"k": 256}, "k is 256"),
        ({"mode": 0}, "mode 0"),
        ({"mode": 5}, "mode 5"),
        ({"mode": 4}, "bytes instead of"),
        ({"operation": 2**63}, "operation"),
        ({"reserved": 1}, "reserved"),
        ({"eid": 0}, "EID"),
        ({"user": 0}, "user"),
        ({"user": 2**63}, "user"),
        ({"amount": -1}, "negative"),
        ({"amount": -1, "mode": 2}, "negative"),
    ],
)
def test_malformed_modifies_are_refused(change, reason):
    with pytest.raises(FrameError, match=reason):
        bodies.decode_requests([(FrameType.MODIFY, 1, modify_body(**change))])


def test_padding_behind_the_row_numbers_is_checked_in_every_frame_of_a_run():
    good = modify_body()
    bad = good[:28] + b"\1" + good[29:]
    with pytest.raises(FrameError, match="padding"):
        bodies.decode_requests([(FrameType.MODIFY, 1, good), (FrameType.MODIFY, 2, bad)])


@given(st.sampled_from([FrameType.QUERY, FrameType.MODIFY]), st.binary(max_size=120))
def test_rubbish_requests_give_frame_errors_or_a_batch(frame_type, body):
    [run] = bodies.group_requests([(frame_type, 1, body)])
    try:
        batch = bodies.decode_requests(run)
    except FrameError:
        return
    assert len(batch.rows) == batch.rows_each >= 1


# --- what a client sends


@st.composite
def orders(draw):
    mode = draw(st.sampled_from([None, *Mode]))
    n, k = draw(st.integers(1, 40)), draw(st.integers(1, 16))
    lowest = 0 if mode in (Mode.INC, Mode.DEC) else VALUE_MIN
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = Rows(
        random.integers(0, 2**32, n, np.uint32),
        random.integers(1, USER_MAX, n, np.uint64, endpoint=True),
        random.integers(lowest, VALUE_MAX, (n, k), np.int64, endpoint=True) if mode else None,
        random.integers(VALUE_MIN, VALUE_MAX, (n, k), np.int64) if mode is Mode.RESTORE else None,
    )
    eids = tuple(random.integers(1, 2**32, k).tolist())
    return Head(eids, mode, draw(st.integers(0, 2**63 - 1)) if mode else 0), rows


@given(orders(), st.integers(1, 41), st.integers(1, 2**32 - 41))
def test_requests_round_trip(order, rows_each, first_request):
    head, rows = order
    frames = FrameSplitter(2**22).split(bodies.encode_requests(head, rows, rows_each, first_request))
    batches = [bodies.decode_requests(run) for run in bodies.group_requests(frames)]
    count = -(-len(rows) // rows_each)
    requests = np.concatenate([batch.requests for batch in batches])
    assert requests.tolist() == list(range(first_request, first_request + count))
    assert {batch.head for batch in batches} == {head}
    assert np.concatenate([batch.rows.users for batch in batches]).tolist() == rows.users.tolist()
    if head.mode:
        assert (np.concatenate([batch.rows.amounts for batch in batches]) == rows.amounts).all()
        assert (np.concatenate([batch.rows.index for batch in batches]) == rows.index).all()
    if head.mode is Mode.RESTORE:
        assert (np.concatenate([batch.rows.expected for batch in batches]) == rows.expected).all()


def test_one_row_requests_of_one_operation_are_one_batch():
    frames = FrameSplitter(2**22).split(bodies.encode_requests(INC, rows_for(INC, 1000), 1, 5))
    [run] = bodies.group_requests(frames)
    assert_same_rows(bodies.decode_requests(run).rows, rows_for(INC, 1000))


@pytest.mark.parametrize(
    "other", [Head((1002,), Mode.INC, 42), Head((1001,), Mode.INC, 43), Head((1001,), Mode.DEC, 42)]
)
def test_requests_of_different_heads_are_not_taken_for_alike(other):
    data = b"".join(bodies.encode_requests(head, rows_for(head, 1), 1, 5) for head in (INC, other))
    runs = bodies.group_requests(FrameSplitter(2**22).split(data))
    assert [bodies.decode_requests(run).head for run in runs] == [INC, other]


@pytest.mark.parametrize(
    ("head", "change"),
    [
        (INC, {"amounts": None}),
        (QUERY, {"amounts": np.ones((2, 2), np.int64)}),
        (INC, {"amounts": np.ones((2, 2), np.int64)}),
        (INC, {"amounts": np.full((2, 1), -1)}),
        (INC, {"users": np.array([0, 1], np.uint64)}),
        (INC, {"users": np.array([1, 2**63], np.uint64)}),
        (INC, {"expected": np.ones((2, 1), np.int64)}),
        (Head((1001,), Mode.RESTORE, 1), {}),
        (Head((1001,), Mode.RESTORE, 1), {"expected": np.ones((1, 1), np.int64)}),
        (Head((), Mode.INC, 1), {}),
        (Head((0,), Mode.INC, 1), {}),
        (Head((2**32,), Mode.INC, 1), {}),
        (Head((1,), Mode.INC, 2**63), {}),
        (Head((1,), Mode.INC, -1), {}),
        (Head(tuple(range(1, 257)), None, 0), {"amounts": None}),
    ],
)
def test_what_the_frame_cannot_say_is_refused(head, change):
    fields = {"index": np.arange(2, dtype=np.uint32), "users": np.array([1, 2], np.uint64)}
    fields |= {"amounts": np.ones((2, 1), np.int64), "expected": None} | change
    with pytest.raises(EncodeError):
        make_session().encode_requests(head, Rows(**fields), 2, 1)


def test_request_ids_stop_at_32_bits():
    session = make_session()
    session.encode_requests(INC, rows_for(INC, 2), 1, 2**32 - 2)
    for first_request in (0, 2**32 - 1):
        with pytest.raises(EncodeError, match="32 bits"):
            session.encode_requests(INC, rows_for(INC, 2), 1, first_request)


def test_nothing_but_hello_can_be_sent_before_the_greeting():
    session = Evt1Codec().open_session("fish", ORIGIN)
    assert frame.decode_hello(FrameSplitter(2**22).split(session.encode_hello())[0][2]).cluster == "fish"
    with pytest.raises(EncodeError):
        session.encode_ping(2)
    with pytest.raises(EncodeError):
        session.encode_requests(INC, rows_for(INC, 1), 1, 1)


def test_restore_is_not_sent_to_a_node_without_it():
    restore = Head((1,), Mode.RESTORE, 1)
    with pytest.raises(EncodeError, match="restore"):
        make_session(capabilities=1).encode_requests(restore, rows_for(restore, 1), 1, 1)


@given(st.sampled_from([None, *Mode]), st.integers(1, 16), st.integers(1, 9000), st.integers(0, 200_000))
def test_rows_per_request_is_the_largest_that_fits(mode, k, max_rows, max_frame):
    head = Head(tuple(range(1, k + 1)), mode, 1)
    session = make_session(max_rows=max_rows, max_frame=max_frame)
    n = session.rows_per_request_max(head)
    assert 0 <= n <= min(max_rows, REQUEST_ROWS_MAX)
    if n:
        assert bodies.request_layout(mode, k, n).size <= max_frame
    if n < min(max_rows, REQUEST_ROWS_MAX):
        assert bodies.request_layout(mode, k, n + 1).size > max_frame
        with pytest.raises(EncodeError, match="do not fit"):
            session.encode_requests(head, rows_for(head, n + 1), n + 1, 1)


# --- what a client receives


def test_the_greeting_is_told_in_no_dialects_words():
    session = Evt1Codec().open_session("fish", ORIGIN)
    [event] = session.receive(ACCEPT["welcome"][1])
    assert event == Welcomed("fish-a", Capability.IDEMPOTENT | Capability.RESTORE, 4096, 32)


def test_replies_of_one_shape_come_as_one_event():
    session = make_session()
    session.encode_requests(QUERY, rows_for(QUERY, 7), 3, 10)
    data = values_of(11, 3, 2, value=4) + values_of(10, 3, 2, value=5) + values_of(12, 1, 2, value=6)
    first, second = session.receive(data)
    assert first.requests.tolist() == [11, 10]
    assert first.before.tolist() == [[4, 4]] * 3 + [[5, 5]] * 3
    assert first.after is None
    assert second.requests.tolist() == [12]
    assert second.before.tolist() == [[6, 6]]


def test_queries_and_modifies_in_flight_together_are_told_apart():
    session = make_session()
    session.encode_requests(QUERY, rows_for(QUERY, 1), 1, 1)
    session.encode_requests(INC, rows_for(INC, 1), 1, 2)
    one = np.array([2], np.uint32), np.zeros((1, 1), np.int64), np.ones((1, 1), np.int64)
    modified = bodies.encode_modified(*one, np.zeros(1, np.uint8), np.full(1, 255, np.uint8)).tobytes()
    events = session.receive(modified + values_of(1, 1, 2))
    assert [(event.requests.tolist(), event.after is None) for event in events] == [([2], False), ([1], True)]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(values_of(11, 3, 2), id="request not in flight"),
        pytest.param(values_of(10, 2, 2), id="fewer rows"),
        pytest.param(values_of(10, 3, 1), id="fewer counters"),
        pytest.param(values_of(10, 4, 2), id="more rows"),
        pytest.param(values_of(10, 3, 2, status=2), id="unknown status"),
        pytest.param(values_of(10, 3, 2, status=200), id="status of eomd's own"),
        pytest.param(values_of(10, 3, 2, status=11, detail=2), id="detail names no counter"),
        pytest.param(values_of(10, 3, 2) * 2, id="answered twice"),
        pytest.param(ACCEPT["query-1x1"][1], id="a request"),
        pytest.param(ACCEPT["welcome"][1], id="a second greeting"),
        pytest.param(ACCEPT["pong"][1], id="pong without ping"),
        pytest.param(frame.encode_error(11, 3, ""), id="error for a request not in flight"),
        pytest.param(frame.encode_frame(FrameType.GOAWAY, 10, b"\0\0\0\0"), id="goaway that names a request"),
        pytest.param(frame.encode_frame(FrameType.ERROR, 10, b"\4\0\1\0"), id="error without its text"),
    ],
)
def test_a_wrong_reply_is_refused(reply):
    session = make_session()
    session.encode_requests(QUERY, rows_for(QUERY, 3), 3, 10)
    with pytest.raises(FrameError):
        session.receive(reply)


def test_a_modify_answered_like_a_query_of_the_same_size_is_refused():
    session = make_session()
    session.encode_requests(INC, rows_for(INC, 1), 1, 10)
    with pytest.raises(FrameError, match="type"):
        session.receive(values_of(10, 1, 2))


def test_a_reply_with_other_counts_in_the_right_size_is_refused():
    session = make_session()
    session.encode_requests(Head((1,), None, 0), rows_for(QUERY, 5), 5, 10)
    [(_, _, body)] = FrameSplitter(2**22).split(values_of(10, 5, 1))
    changed = b"\1\0\0\0\6\0\0\0" + body[8:]
    with pytest.raises(FrameError, match="counts"):
        session.receive(frame.encode_frame(FrameType.VALUES, 10, changed))


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (1, Fault.BROKEN),
        (2, Fault.VERSION),
        (3, Fault.OURS),
        (4, Fault.OVERLOADED),
        (5, Fault.WRONG_CLUSTER),
        (6, Fault.BROKEN),
        (77, Fault.BROKEN),
    ],
)
def test_every_error_code_has_its_fault(code, fault):
    session = make_session()
    session.encode_requests(QUERY, rows_for(QUERY, 3), 3, 10)
    assert session.receive(frame.encode_error(10, code, "why")) == [Refused(10, fault, code, "why")]


def test_a_refused_request_is_no_longer_in_flight():
    session = make_session()
    session.encode_requests(QUERY, rows_for(QUERY, 3), 3, 10)
    session.receive(frame.encode_error(10, 4, "later"))
    with pytest.raises(FrameError):
        session.receive(values_of(10, 3, 2))


def test_an_error_before_the_greeting_is_told():
    session = Evt1Codec().open_session("fish", ORIGIN)
    [event] = session.receive(frame.encode_error(1, 5, "this is qianpao"))
    assert event == Refused(1, Fault.WRONG_CLUSTER, 5, "this is qianpao")


def test_ping_and_goaway():
    session = make_session()
    [(frame_type, request, body)] = FrameSplitter(2**22).split(session.encode_ping(9))
    assert (frame_type, request) == (FrameType.PING, 9)
    data = frame.encode_pong(9, body) + frame.encode_goaway(1, "busy") + frame.encode_goaway(0, "")
    assert session.receive(data) == [Ponged(9), WentAway(True, "busy"), WentAway(False, "")]


def test_a_pong_with_another_payload_is_refused():
    session = make_session()
    session.encode_ping(9)
    with pytest.raises(FrameError):
        session.receive(frame.encode_pong(9, b"notthat!"))


@given(st.integers(1, 60), st.integers(1, 7), st.data())
def test_any_chunking_of_replies_gives_the_same_rows(n, rows_each, data):
    session = make_session()
    session.encode_requests(QUERY, rows_for(QUERY, n), rows_each, 1)
    count = -(-n // rows_each)
    sizes = [rows_each] * (n // rows_each) + [n % rows_each] * bool(n % rows_each)
    stream = b"".join(values_of(i + 1, size, 2, value=i) for i, size in enumerate(sizes))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    events = []
    for start, stop in pairwise([0, *cuts, len(stream)]):
        events += session.receive(stream[start:stop])
    assert all(isinstance(event, Replied) for event in events)
    assert np.concatenate([event.requests for event in events]).tolist() == list(range(1, count + 1))
    values = np.concatenate([event.before for event in events])[:, 0]
    assert values.tolist() == np.repeat(np.arange(count), sizes).tolist()


@settings(max_examples=300)
@given(st.integers(0), st.integers(0, 7), st.booleans())
def test_a_flipped_bit_or_a_cut_reply_gives_a_frame_error_or_events(position, bit, repair_crc):
    session = make_session()
    session.encode_requests(INC, rows_for(INC, 6), 3, 10)
    columns = np.zeros((6, 1), np.int64), np.zeros((6, 1), np.int64), np.zeros(6, np.uint8)
    requests = np.array([10, 11], np.uint32)
    data = bytearray(bodies.encode_modified(requests, *columns, np.full(6, 255, np.uint8)).tobytes())
    data[position % len(data)] ^= 1 << bit
    if repair_crc:
        half = len(data) // 2
        pieces = [bytes(data[:half]), bytes(data[half:])]
        data = bytearray()
        for piece in pieces:
            body = piece[frame.HEADER_BYTES :]
            data += piece[:16] + frame.encode_frame(FrameType.PING, 1, body)[16:20] + piece[20:24] + body
    try:
        events = session.receive(data)
    except FrameError:
        return
    assert all(len(event.status) == 3 * len(event.requests) for event in events)


def test_the_codec_is_found_by_its_name():
    assert load_codec("evt1").name == "evt1"
    with pytest.raises(ConfigurationError, match="evt1"):
        load_codec("evt9")
