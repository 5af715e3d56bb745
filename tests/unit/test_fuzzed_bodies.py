"""Damaged bodies: each is refused, or says exactly what its bytes say, so that encoding gives them back."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eomd.errors import EncodeError, FrameError
from eomd.evt import bodies, frame
from eomd.evt.codec import Head, Rows
from eomd.evt.frame import FrameSplitter, FrameType, Hello, Welcome
from eomd.model import Mode

ORIGIN = bytes(range(16))
NEW = st.one_of(st.binary(max_size=8), st.just(bytes(4)), st.just(b"\1"))
#: where (relative), how many bytes are cut out (None: as many as come in), what comes in
SPLICES = st.lists(st.tuples(st.floats(0, 1), st.none() | st.integers(0, 8), NEW), max_size=3)


def splice(body, splices):
    for where, length, new in splices:
        at = int(where * len(body))
        body = body[:at] + new + body[at + (len(new) if length is None else length) :]
    return body


def body_of(data):
    [(frame_type, _, body)] = FrameSplitter(2**22).split(data)
    return frame_type, body


@st.composite
def request_bodies(draw):
    mode = draw(st.sampled_from([None, *Mode]))
    n, k = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    shape = (n, k)
    rows = Rows(
        np.arange(n, dtype=np.uint32),
        np.arange(1, n + 1, dtype=np.uint64),
        np.ones(shape, np.int64) if mode else None,
        np.ones(shape, np.int64) if mode is Mode.RESTORE else None,
    )
    head = Head(tuple(range(1001, 1001 + k)), mode, 1 if mode else 0)
    frame_type, body = body_of(bodies.encode_requests(head, rows, n, 1))
    return frame_type, splice(body, draw(SPLICES))


@settings(max_examples=500)
@given(request_bodies())
def test_a_damaged_request_is_refused_or_taken_at_its_word(request_body):
    frame_type, body = request_body
    [run] = bodies.group_requests([(frame_type, 7, body)])
    try:
        batch = bodies.decode_requests(run)
    except FrameError:
        return
    assert body_of(bodies.encode_requests(batch.head, batch.rows, batch.rows_each, 7)) == (frame_type, body)


@st.composite
def reply_bodies(draw):
    n, k = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    columns = np.arange(n * k).reshape(n, k), np.zeros(n, np.uint8), np.full(n, 255, np.uint8)
    request = np.array([1], np.uint32)
    if draw(st.booleans()):
        data = bodies.encode_values(request, *columns)
    else:
        data = bodies.encode_modified(request, columns[0], *columns)
    frame_type, body = body_of(data.tobytes())
    return frame_type, splice(body, draw(SPLICES))


@settings(max_examples=500)
@given(reply_bodies())
def test_a_damaged_reply_is_refused_or_taken_at_its_word(reply_body):
    frame_type, body = reply_body
    try:
        found = bodies.decode_replies(bodies.decode_reply_shape(frame_type, body), [body])
    except FrameError:
        return
    request = np.array([1], np.uint32)
    if found.after is None:
        data = bodies.encode_values(request, found.before, found.status, found.detail)
    else:
        data = bodies.encode_modified(request, found.before, found.after, found.status, found.detail)
    assert body_of(data.tobytes()) == (frame_type, body)


GREETINGS = {
    FrameType.HELLO: (frame.decode_hello, lambda hello: frame.encode_hello(1, hello)),
    FrameType.WELCOME: (frame.decode_welcome, lambda welcome: frame.encode_welcome(1, welcome)),
    FrameType.ERROR: (frame.decode_notice, lambda notice: frame.encode_error(1, notice.code, notice.message)),
}
FRAMES = (
    frame.encode_hello(1, Hello("捕鱼", ORIGIN)),
    frame.encode_welcome(1, Welcome("fish-a", 3, 4096, 32, 2**22)),
    frame.encode_error(1, 4, "later"),
)


@settings(max_examples=500)
@given(st.sampled_from(FRAMES), SPLICES)
@example(FRAMES[1], [(0.9, 0, b"\0")])
def test_a_damaged_greeting_is_refused_or_taken_at_its_word(data, splices):
    frame_type, body = body_of(data)
    body = splice(body, splices)
    decode, encode = GREETINGS[FrameType(frame_type)]
    try:
        found = decode(body)
    except FrameError:
        return
    try:
        assert body_of(encode(found)) == (frame_type, body)
    except EncodeError as error:
        raise AssertionError("what was understood can be said") from error
