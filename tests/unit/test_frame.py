"""Frames, greeting and the cutting of a stream, against the page's vectors and against rubbish."""

import contextlib
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import EncodeError, FrameError
from eomd.evt import frame
from eomd.evt.frame import FrameSplitter, FrameType, Hello, Welcome

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "evt-vectors.json").read_text(encoding="utf-8"))
ACCEPT = {vector["name"]: (vector["fields"], bytes.fromhex(vector["hex"])) for vector in VECTORS["accept"]}
#: refused by the header, the CRC or the length alone
FRAME_REJECTS = (
    "wrong magic",
    "wrong CRC",
    "reserved header field not 0",
    "unknown type",
    "length over max_frame",
)
FRAMES_MAX = 4 * 1024 * 1024
PING = frame.encode_ping(3, b"12345678")


def split_one(data: bytes) -> frame.Frame:
    [only] = FrameSplitter(FRAMES_MAX).split(data)
    return only


@pytest.mark.parametrize("name", ["hello", "hello-utf8"])
def test_hello_vector_both_ways(name):
    fields, data = ACCEPT[name]
    hello = Hello(fields["cluster"], bytes.fromhex(fields["origin"]), fields["max_frame"], fields["version"])
    assert frame.encode_hello(fields["request"], hello) == data
    frame_type, request, body = split_one(data)
    assert (frame_type, request) == (FrameType.HELLO, fields["request"])
    assert frame.decode_hello(body) == hello
    assert frame.decode_hello_version(body) == 1


@pytest.mark.parametrize("name", ["welcome", "welcome-plain"])
def test_welcome_vector_both_ways(name):
    fields, data = ACCEPT[name]
    bits = {"IDEMPOTENT": frame.IDEMPOTENT_BIT, "RESTORE": frame.RESTORE_BIT}
    capabilities = sum(bits[word] for word in fields["capabilities"])
    limits = (fields["max_rows"], fields["max_inflight"], fields["max_frame"])
    welcome = Welcome(fields["node"], capabilities, *limits, fields["version"])
    assert frame.encode_welcome(fields["request"], welcome) == data
    assert frame.decode_welcome(split_one(data)[2]) == welcome


@pytest.mark.parametrize(("name", "encode"), [("ping", frame.encode_ping), ("pong", frame.encode_pong)])
def test_ping_vectors_both_ways(name, encode):
    fields, data = ACCEPT[name]
    assert encode(fields["request"], bytes.fromhex(fields["payload"])) == data
    assert frame.decode_payload(split_one(data)[2]).hex() == fields["payload"]


def test_error_and_goaway_vectors_both_ways():
    fields, data = ACCEPT["error"]
    assert frame.encode_error(fields["request"], fields["code"], fields["message"]) == data
    assert frame.decode_notice(split_one(data)[2]) == frame.Notice(fields["code"], fields["message"])
    fields, data = ACCEPT["goaway"]
    assert frame.encode_goaway(fields["code"], fields["message"]) == data
    assert frame.decode_notice(split_one(data)[2]) == frame.Notice(fields["code"], fields["message"])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes.fromhex(v["hex"]), id=v["reason"])
        for v in VECTORS["reject"]
        if v["reason"] in FRAME_REJECTS
    ],
)
def test_rejected_vectors_are_refused_by_the_splitter(data):
    with pytest.raises(FrameError):
        FrameSplitter(FRAMES_MAX).split(data)


@pytest.mark.parametrize("at", [5, 6, 7, 20, 21, 22, 23])
def test_every_reserved_header_byte_is_checked(at):
    data = bytearray(PING)
    data[at] = 1
    splitter = FrameSplitter(FRAMES_MAX)
    with pytest.raises(FrameError, match="reserved"):
        splitter.split(data)
    assert splitter.request == 3


def test_a_length_over_the_limit_is_refused_before_the_body_comes():
    splitter = FrameSplitter(8)
    header = frame.encode_ping(7, b"123456789")[: frame.HEADER_BYTES]
    with pytest.raises(FrameError, match="max_frame"):
        splitter.split(header)
    assert splitter.request == 7


def test_a_body_of_exactly_the_limit_is_accepted():
    assert FrameSplitter(8).split(PING) == [(FrameType.PING, 3, b"12345678")]


def test_another_protocol_is_refused_without_waiting_for_a_whole_header():
    with pytest.raises(FrameError, match="magic"):
        FrameSplitter(FRAMES_MAX).split(b"GET / HTTP/1.1\r\n")


def test_frames_before_a_malformed_one_are_not_lost():
    splitter = FrameSplitter(FRAMES_MAX)
    with pytest.raises(FrameError):
        splitter.split(PING + b"EVT2" + PING)
    assert splitter.intact == [(FrameType.PING, 3, b"12345678")]
    assert splitter.request == 0


def test_a_splitter_that_refused_keeps_refusing():
    splitter = FrameSplitter(FRAMES_MAX)
    for data in (b"EVT2" + PING, PING, b"x"):
        with pytest.raises(FrameError):
            splitter.split(data)


@given(
    st.lists(st.tuples(st.sampled_from(list(FrameType)), st.integers(0, 2**32 - 1), st.binary(max_size=90))),
    st.data(),
)
def test_any_chunking_gives_the_same_frames(frames, data):
    stream = b"".join(frame.encode_frame(*one) for one in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    splitter = FrameSplitter(FRAMES_MAX)
    found = []
    for start, stop in pairwise([0, *cuts, len(stream)]):
        found += splitter.split(stream[start:stop])
    assert found == frames


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_rubbish_gives_frame_errors_or_nothing(chunks):
    splitter = FrameSplitter(1000)
    try:
        for chunk in chunks:
            assert splitter.split(chunk) == []
    except FrameError:
        pass


@given(st.sampled_from(sorted(ACCEPT)), st.integers(0), st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed_except_in_type_and_request(name, position, bit):
    original = ACCEPT[name][1]
    data = bytearray(original)
    data[position % len(data)] ^= 1 << bit
    try:
        frames = FrameSplitter(FRAMES_MAX).split(data)
    except FrameError:
        return
    if frames:
        assert 4 <= position % len(data) < 12
        assert frames[0][2] == original[frame.HEADER_BYTES :]


@given(
    st.sampled_from([frame.decode_hello, frame.decode_welcome, frame.decode_notice, frame.decode_payload]),
    st.binary(max_size=64),
)
def test_rubbish_bodies_give_frame_errors_or_a_value(decode, body):
    with contextlib.suppress(FrameError):
        decode(body)


@given(st.text(max_size=30), st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1))
def test_hello_round_trips(cluster, origin, max_frame):
    try:
        data = frame.encode_hello(1, Hello(cluster, origin, max_frame))
    except EncodeError:
        assert any(0xD800 <= ord(character) <= 0xDFFF for character in cluster)
        return
    assert frame.decode_hello(split_one(data)[2]) == Hello(cluster, origin, max_frame)


@pytest.mark.parametrize("hello", [Hello("fish", bytes(15)), Hello("鱼" * 30000, bytes(16))])
def test_a_hello_that_does_not_fit_is_refused_before_it_is_sent(hello):
    with pytest.raises(EncodeError):
        frame.encode_hello(1, hello)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (bytes.fromhex("0200") + bytes(18), "version 2"),
        (bytes.fromhex("0100 0000 0000 0000 0100 0000 0000 0000 0000 0000"), "at least 1"),
        (bytes.fromhex("0100 0000 0100 0000 0000 0000 0000 0000 0000 0000"), "at least 1"),
        (bytes.fromhex("0100 0000 0100 0000 0100 0000 0000 0000 0000 0100"), "reserved"),
        (bytes.fromhex("0100 0000 0100 0000 0100 0000 0000 0000 0100 0000"), "text"),
        (bytes.fromhex("0100 0000 0100 0000 0100 0000 0000 0000 0000 0000 41"), "text"),
        (bytes.fromhex("0100 0000 0100 0000 0100 0000 0000 0000 0100 0000 ff"), "UTF-8"),
    ],
)
def test_malformed_welcomes_are_refused(body, reason):
    with pytest.raises(FrameError, match=reason):
        frame.decode_welcome(body)
