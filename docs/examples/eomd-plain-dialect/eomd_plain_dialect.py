"""An example of a site's own dialect: text lines, no greeting, no tokens.

    7 get 1001,1002 11 12      request 7: these two counters of users 11 and 12
    7 ok:5,6 no_such_user      its answer, a word for each row
    8 inc 1001 11:5 12:5       also dec and set; the amounts stand after the users
    8 ok:5/10 user_locked      before/after
    9 ping, 9 pong

An answer is told from its request's number alone, so the session keeps what it asked. Good for some thousand
rows a second; a dialect for more turns columns into bytes with numpy, as `eomd.evt.bodies` does.
"""

import numpy as np

from eomd.errors import EncodeError, FrameError
from eomd.evt.codec import Capability, Head, Ponged, Replied, Rows, Welcomed
from eomd.model import NO_DETAIL, Mode, RowStatus

ROWS_MAX = 100
INFLIGHT_MAX = 4


class PlainCodec:
    """What the entry point names. One for all connections."""

    name = "plain"

    def open_session(self, cluster: str, origin: bytes) -> "PlainSession":
        # this dialect names no cluster and has no tokens: it needs neither argument
        return PlainSession()


class PlainSession:
    """One connection."""

    def __init__(self) -> None:
        self._is_open = False
        self._rest = b""
        #: by request: how many counters a row has, and whether it is a query
        self._asked: dict[int, tuple[int, int, bool]] = {}

    def encode_hello(self) -> bytes:
        # nothing to say first: eomd will call receive(b"") once
        return b""

    def encode_ping(self, request: int) -> bytes:
        return b"%d ping\n" % request

    def rows_per_request_max(self, head: Head) -> int:
        return ROWS_MAX

    def encode_requests(self, head: Head, rows: Rows, rows_per_request: int, first_request: int) -> bytes:
        if head.mode is Mode.RESTORE:
            raise EncodeError("the plain dialect has no restore")
        lines = []
        for start in range(0, len(rows), rows_per_request):
            request = first_request + len(lines)
            lines.append(self._encode(request, head, rows.pick(slice(start, start + rows_per_request))))
        return "".join(lines).encode()

    def _encode(self, request: int, head: Head, rows: Rows) -> str:
        self._asked[request] = len(rows), len(head.eids), head.mode is None
        words = [str(user) for user in rows.users.tolist()]
        if rows.amounts is not None:
            amounts = [",".join(map(str, row)) for row in rows.amounts.tolist()]
            words = [f"{user}:{amount}" for user, amount in zip(words, amounts, strict=True)]
        return f"{request} {head.mode or 'get'} {','.join(map(str, head.eids))} {' '.join(words)}\n"

    def receive(self, data: bytes | bytearray | memoryview) -> list[Welcomed | Replied | Ponged]:
        events: list[Welcomed | Replied | Ponged] = []
        if not self._is_open:
            self._is_open = True
            # no IDEMPOTENT: eomd will never send a row twice, and says which ones are uncertain
            events.append(Welcomed("plain", Capability.NONE, ROWS_MAX, INFLIGHT_MAX))
        *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
        try:
            return events + [self._decode(line.decode()) for line in lines]
        except (ValueError, KeyError, IndexError) as error:
            # nothing else may leave a session: eomd closes the connection and knows what was in flight
            raise FrameError(f"not a line of the plain dialect: {error!r}") from error

    def _decode(self, line: str) -> Replied | Ponged:
        number, *words = line.split(" ")
        if words == ["pong"]:
            return Ponged(int(number))
        n, k, is_query = self._asked.pop(int(number))
        if len(words) != n:
            raise ValueError(f"{len(words)} rows instead of {n}")
        status, before, after = np.zeros(n, np.uint8), np.zeros((n, k), np.int64), np.zeros((n, k), np.int64)
        for row, word in enumerate(words):
            name, _, values = word.partition(":")
            status[row] = RowStatus[name.upper()]
            if status[row] == RowStatus.OK:
                old, _, new = values.partition("/")
                before[row] = [int(value) for value in old.split(",")]
                after[row] = before[row] if is_query else [int(value) for value in new.split(",")]
        detail = np.full(n, NO_DETAIL, np.uint8)
        return Replied(
            np.array([int(number)], np.uint32), status, detail, before, None if is_query else after
        )
