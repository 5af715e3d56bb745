"""EVT/1's codec: the client's side of one connection, bytes in, events out. No I/O.

What a frame's body looks like stands in `bodies.py`, frames and greeting in `frame.py`.
"""

from __future__ import annotations

import struct
from itertools import islice, repeat

import numpy as np

from eomd.errors import EncodeError, FrameError
from eomd.evt import bodies, frame
from eomd.evt.bodies import ReplyShape
from eomd.evt.codec import Capability, Event, Fault, Head, Ponged, Refused, Replied, Rows, Welcomed, WentAway
from eomd.evt.frame import (
    FRAME_BYTES_MAX,
    REQUEST_MAX,
    ErrorCode,
    Frame,
    FrameSplitter,
    FrameType,
    GoawayCode,
    Welcome,
)
from eomd.model import Mode

#: rows in one request of ours, whatever the node allows: larger ones gain nothing and are lost as a whole
REQUEST_ROWS_MAX = 4096
#: HELLO is answered before anything else is sent, so its id meets no other
HELLO_REQUEST = 1

_FAULT_OF_CODE: dict[int, Fault] = {
    ErrorCode.MALFORMED: Fault.BROKEN,
    ErrorCode.VERSION: Fault.VERSION,
    ErrorCode.TOO_MANY_ROWS: Fault.OURS,
    ErrorCode.OVERLOADED: Fault.OVERLOADED,
    ErrorCode.WRONG_CLUSTER: Fault.WRONG_CLUSTER,
    ErrorCode.NOT_GREETED: Fault.BROKEN,
}
_REPLIES = (FrameType.VALUES, FrameType.MODIFIED)


class Evt1Codec:
    """The dialect `evt1`."""

    name = "evt1"

    def open_session(self, cluster: str, origin: bytes) -> Evt1Session:
        """Return the state of one new connection to a node of this cluster."""
        return Evt1Session(cluster, origin)


class Evt1Session:
    """One connection's client side; remembers what is in flight, so that no reply is taken for another's."""

    def __init__(self, cluster: str, origin: bytes) -> None:
        self._hello = frame.Hello(cluster, origin)
        self._splitter = FrameSplitter(FRAME_BYTES_MAX)
        self._welcome: Welcome | None = None
        #: by request id, what its reply must look like
        self._outstanding: dict[int, ReplyShape] = {}
        #: by request id, the payload its PONG must carry
        self._pings: dict[int, bytes] = {}

    def encode_hello(self) -> bytes:
        return frame.encode_hello(HELLO_REQUEST, self._hello)

    def encode_ping(self, request: int) -> bytes:
        """Raises EncodeError before the node's WELCOME has come."""
        self._greeted()
        payload = struct.pack("<Q", request)
        self._pings[request] = payload
        return frame.encode_ping(request, payload)

    def rows_per_request_max(self, head: Head) -> int:
        """Return 0 where not even one row fits; at most REQUEST_ROWS_MAX."""
        welcome = self._greeted()
        rows_max = min(welcome.max_rows, REQUEST_ROWS_MAX)
        return bodies.rows_fitting(head, rows_max, welcome.max_frame, FRAME_BYTES_MAX)

    def encode_requests(self, head: Head, rows: Rows, rows_per_request: int, first_request: int) -> bytes:
        """Return the requests; they count as in flight from now on.

        Raises EncodeError for what does not fit the node, the frame, or the 32 bits of a request id.
        """
        if not 1 <= rows_per_request <= self.rows_per_request_max(head):
            raise EncodeError(f"{rows_per_request} rows do not fit one request to this node")
        if head.mode is Mode.RESTORE and not self._greeted().capabilities & frame.RESTORE_BIT:
            raise EncodeError("this node does not serve restore")
        whole, rest = divmod(len(rows), rows_per_request)
        end = first_request + whole + bool(rest)
        if first_request < 1 or end - 1 > REQUEST_MAX:
            raise EncodeError(f"request ids from {first_request} on do not fit 32 bits")
        encoded = bodies.encode_requests(head, rows, rows_per_request, first_request)
        shape = bodies.reply_shape(head.mode, rows_per_request, len(head.eids))
        self._outstanding.update(
            zip(range(first_request, first_request + whole), repeat(shape), strict=False)
        )
        if rest:
            self._outstanding[end - 1] = bodies.reply_shape(head.mode, rest, len(head.eids))
        return encoded

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Return one `Replied` for each run of replies of one shape; see `codec.Session`."""
        frames = self._splitter.split(data)
        events: list[Event] = []
        at = 0
        while at < len(frames):
            if frames[at][0] in _REPLIES:
                replied = self._receive_replies(frames, at)
                events.append(replied)
                at += len(replied.requests)
            else:
                events.append(self._receive_other(frames[at]))
                at += 1
        return events

    def _receive_replies(self, frames: list[Frame], start: int) -> Replied:
        outstanding = self._outstanding
        shape = self._check_asked(frames[start])
        reply_type, size = shape.reply_type, shape.size
        requests: list[int] = []
        contents: list[bytes] = []
        for frame_type, request, body in islice(frames, start, None):
            if frame_type != reply_type or outstanding.get(request) is not shape:
                break
            if len(body) != size:
                raise FrameError(f"the reply to request {request} has {len(body)} bytes instead of {size}")
            del outstanding[request]
            requests.append(request)
            contents.append(body)
        columns = bodies.decode_replies(shape, contents)
        answered = np.array(requests, np.uint32)
        return Replied(answered, columns.status, columns.detail, columns.before, columns.after)

    def _check_asked(self, reply: Frame) -> ReplyShape:
        frame_type, request, _ = reply
        shape = self._outstanding.get(request)
        if shape is None:
            raise FrameError(f"a reply to request {request}, which is not in flight")
        if shape.reply_type != frame_type:
            raise FrameError(f"request {request} is answered with type 0x{frame_type:02x}")
        return shape

    def _receive_other(self, received: Frame) -> Event:
        frame_type, request, body = received
        if frame_type == FrameType.ERROR:
            return self._receive_error(request, body)
        if frame_type == FrameType.GOAWAY:
            return self._receive_goaway(request, body)
        if frame_type == FrameType.PONG:
            return self._receive_pong(request, body)
        if frame_type == FrameType.WELCOME:
            return self._receive_welcome(request, body)
        raise FrameError(f"a node sends no frame of type 0x{frame_type:02x}")

    def _receive_welcome(self, request: int, body: bytes) -> Welcomed:
        if self._welcome or request != HELLO_REQUEST:
            raise FrameError("a WELCOME that answers nothing")
        welcome = self._welcome = frame.decode_welcome(body)
        capabilities = Capability.NONE
        if welcome.capabilities & frame.IDEMPOTENT_BIT:
            capabilities |= Capability.IDEMPOTENT
        if welcome.capabilities & frame.RESTORE_BIT:
            capabilities |= Capability.RESTORE
        return Welcomed(welcome.node, capabilities, welcome.max_rows, welcome.max_inflight)

    def _receive_pong(self, request: int, body: bytes) -> Ponged:
        if self._pings.pop(request, None) != frame.decode_payload(body):
            raise FrameError(f"a PONG {request} that answers no PING of ours")
        return Ponged(request)

    def _receive_goaway(self, request: int, body: bytes) -> WentAway:
        if request:
            raise FrameError(f"a GOAWAY answers nothing, but names request {request}")
        notice = frame.decode_notice(body)
        return WentAway(notice.code == GoawayCode.OVERLOADED, notice.message)

    def _receive_error(self, request: int, body: bytes) -> Refused:
        notice = frame.decode_notice(body)
        fault = _FAULT_OF_CODE.get(notice.code, Fault.BROKEN)
        shape = self._outstanding.pop(request, None)
        if fault is Fault.OURS and shape is None:
            raise FrameError(f"an ERROR {notice.code} for request {request}, which is not in flight")
        return Refused(request, fault, notice.code, notice.message)

    def _greeted(self) -> Welcome:
        if self._welcome is None:
            raise EncodeError("nothing but HELLO is sent before the node has greeted")
        return self._welcome
