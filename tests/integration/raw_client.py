"""A bare EVT/1 client over a blocking socket, which can also say what no client should."""

import socket

import numpy as np

from eomd.evt import bodies, frame
from eomd.evt.bodies import decode_replies, decode_reply_shape
from eomd.evt.codec import Head, Rows
from eomd.evt.frame import FRAME_BYTES_MAX, FrameSplitter, FrameType, Hello
from eomd.model import Mode

ORIGIN = bytes(range(16))
DEADLINE_S = 30.0
_PINGED = b"12345678"


def query(request, users, eids=(1001,)):
    """Return a QUERY's bytes."""
    rows = Rows(np.arange(len(users), dtype=np.uint32), np.array(users, np.uint64))
    return bodies.encode_requests(Head(tuple(eids), None, 0), rows, len(users), request)


def modify(request, users, amount=1, *, operation=1, first_row=0, mode=Mode.INC, eids=(1001,), expected=None):
    """Return a MODIFY's bytes: the same amount for every user."""
    n, k = len(users), len(eids)
    index = np.arange(first_row, first_row + n, dtype=np.uint32)
    wanted = None if expected is None else np.full((n, k), expected, np.int64)
    rows = Rows(index, np.array(users, np.uint64), np.full((n, k), amount, np.int64), wanted)
    return bodies.encode_requests(Head(tuple(eids), mode, operation), rows, n, request)


def columns_of(reply):
    """Return what a VALUES or MODIFIED says: before, after, status, detail."""
    frame_type, _, body = reply
    return decode_replies(decode_reply_shape(frame_type, body), [body])


def address(cluster, node=0):
    return cluster.nodes[node].address


def applied(cluster):
    """Return the row numbers of everything applied, in order."""
    return [row for block in cluster.journal() for row in block.rows.tolist()]


class RawClient:
    """One connection; enter it."""

    def __init__(self, address, cluster="fish", *, origin=ORIGIN, max_frame=FRAME_BYTES_MAX, greet=True):
        self.socket = socket.create_connection((address.host, address.port), DEADLINE_S)
        self._splitter = FrameSplitter(FRAME_BYTES_MAX)
        self._frames = []
        #: every byte that ever came
        self.received = b""
        self.welcome = None
        if greet:
            self.send(frame.encode_hello(1, Hello(cluster, origin, max_frame)))
            frame_type, _, body = self.read()
            assert frame_type == FrameType.WELCOME, frame.decode_notice(body)
            self.welcome = frame.decode_welcome(body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """Return the next frame; None at the end of the stream."""
        while not self._frames:
            data = self._receive()
            if not data:
                return None
            self._frames += self._splitter.split(data)
        return self._frames.pop(0)

    def read_all(self):
        """Return every frame up to the end of the stream."""
        return list(iter(self.read, None))

    def ask(self, request):
        """Send one request and return its reply's columns."""
        self.send(request)
        return columns_of(self.read())

    def expect_error(self, request, code):
        """Read an ERROR and return its message."""
        frame_type, found, body = self.read()
        notice = frame.decode_notice(body)
        assert (FrameType(frame_type), found, notice.code) == (FrameType.ERROR, request, code), notice
        return notice.message

    def ping(self, request=99):
        """Tell whether the connection still answers."""
        self.send(frame.encode_ping(request, _PINGED))
        return self.read() == (FrameType.PONG, request, _PINGED)

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.received += data
        return data
