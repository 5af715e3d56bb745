"""One connection to a node: connect, greet, send requests, read answers, keep alive, end.

Decides no row's fate. Tornado's IOStream carries the bytes. It costs some tens of microseconds a read, which
is little beside what a read brings under load: requests are written in portions and answers are read in
chunks, however small the single request is (one-row requests, 20 connections of 32 each: 90,000 a second on
one core, a twelfth of its time in IOStream). A chunk is bounded and the loop gets its turn after each, so
that no peer can hold it.

A connection ends with an `Ending`; who owns it then takes what was in flight from `flight`.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, cast

from tornado.iostream import IOStream, StreamClosedError

from eomd.errors import ConnectError, EncodeError, FrameError
from eomd.evt.codec import (
    Event,
    Fault,
    Head,
    Ponged,
    Refused,
    Replied,
    Rows,
    Session,
    Welcomed,
    WentAway,
)
from eomd.evt.flight import Flight, Landed, Portion
from eomd.evt.lane import Lane
from eomd.evt.parcel import Parcel
from eomd.evt.shift import Shift
from eomd.model import NodeAddress

READ_BYTES_MAX = 262_144
#: of one connection in flight, whatever the node allows
REQUESTS_INFLIGHT_MAX = 8_192
#: in one request, whatever the node allows: one portion
REQUEST_ROWS_MAX = 4_096
#: times the reply time-out: a request so old is lost, although others are answered meanwhile
OVERDUE_FACTOR = 10

#: what ends a connection at once, whichever request it answers
_FATAL = Fault.BROKEN | Fault.VERSION | Fault.WRONG_CLUSTER


class Phase(IntEnum):
    """How far a connection has come; it only ever goes forward."""

    CONNECTING = 0
    GREETING = 1
    #: takes requests
    OPEN = 2
    #: answers are awaited, no new requests
    LEAVING = 3
    ENDED = 4


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ended."""

    reason: str
    #: what the node refused us with, if it did
    fault: Fault | None = None
    #: we or the node meant it to end
    orderly: bool = False


class Owner(Protocol):
    """Who is told what happens on a connection; all called on the loop."""

    def welcomed(self, connection: Connection, event: Welcomed) -> None: ...

    def landed(self, connection: Connection, landed: list[Landed], latency_s: float) -> None: ...

    def ponged(self, connection: Connection, latency_s: float) -> None: ...

    def refused(self, connection: Connection, event: Refused, struck: tuple[Portion, Parcel] | None) -> None:
        """Called for OURS and OVERLOADED. struck: the rows that were surely not done, where it names some."""
        ...

    def went_away(self, connection: Connection, event: WentAway) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection waits."""

    #: without receiving anything while something is expected; also for the greeting as a whole
    reply_timeout_s: float
    #: of silence before the node is asked for a sign of life
    idle_s: float


class Connection:
    """One TCP connection, used once: `run` it; `send` while fewer requests than `window` are in flight."""

    def __init__(
        self, address: NodeAddress, session: Session, owner: Owner, patience: Patience, shift: Shift
    ) -> None:
        self.flight = Flight()
        self.phase = Phase.CONNECTING
        #: requests that may be in flight now; a plain field, as the pool asks every connection each time
        self.window = 0
        self._requests_max = 0
        self._address, self._session, self._owner, self._patience = address, session, owner, patience
        self._shift = shift
        self._clock = time.monotonic
        self.opened_s = self._clock()
        self._received_s = self.opened_s
        #: since when something is expected, if nothing has been received since
        self._expecting_s = math.inf
        #: request and time of a PING that is not answered
        self._ping: tuple[int, float] | None = None
        self._attempt: asyncio.Timeout | None = None
        self._stream: IOStream | None = None
        self._ending: Ending | None = None
        self._retired_for = ""

    def rows_per_request(self, head: Head) -> int:
        """Return how many rows of this operation go into one request."""
        return max(1, min(self._session.rows_per_request_max(head), REQUEST_ROWS_MAX))

    async def run(self) -> Ending:
        """Carry the connection from connecting to its end."""
        try:
            await self._connect()
            await self._read()
        except FrameError as error:
            self._end(Ending(f"not the dialect: {error}"))
        except (OSError, ConnectError) as error:
            self._end(Ending(_describe(error)))
        finally:
            self.phase = Phase.ENDED
            if self._stream:
                self._stream.close()
        assert self._ending
        return self._ending

    def send(self, lane: Lane, parcel: Parcel, repeatable: bool) -> None:
        """Send the rows as requests of `rows_per_request` rows; there must be room for them.

        Raises EncodeError where the dialect cannot say it; nothing was sent then.
        """
        rows_each = self.rows_per_request(lane.head)
        data = self._encode(lane.head, parcel.rows, rows_each)
        now_s = self._expect()
        self.flight.launch(lane, parcel, rows_each, now_s, repeatable)
        self._write(data)
        if self.flight.exhausted:
            self.retire("its request numbers are used up")

    def _encode(self, head: Head, rows: Rows, rows_each: int) -> bytes:
        try:
            return self._session.encode_requests(head, rows, rows_each, self.flight.next_request)
        except EncodeError:
            raise
        except Exception as error:
            # a site's own codec: its faults must not leave rows without an end
            raise EncodeError(f"the codec failed: {error!r}") from error

    def retire(self, reason: str) -> None:
        """Take no more requests; end once everything in flight is answered."""
        if self.phase < Phase.OPEN:
            self._end(Ending(reason, orderly=True))
        elif self.phase is Phase.OPEN:
            self.phase = Phase.LEAVING
            self._retired_for = reason
            self._set_window()
            self._leave_if_done()

    def check(self, now_s: float) -> float:
        """End the connection if it is dead, ping if it is idle; return when to check again."""
        if self.phase is Phase.ENDED or self._ending or self.phase is Phase.CONNECTING:
            return math.inf
        if self.phase is Phase.GREETING:
            return self._check_until(self.opened_s + self._patience.reply_timeout_s, now_s, "no greeting")
        if self._ping or self.flight.requests:
            silent_s = max(self._received_s, self._expecting_s) + self._patience.reply_timeout_s
            due_s = self._check_until(silent_s, now_s, "nothing received")
            return min(due_s, self._check_overdue(now_s))
        return self._check_idle(now_s)

    def _check_until(self, due_s: float, now_s: float, what: str) -> float:
        if now_s < due_s:
            return due_s
        self._end(Ending(f"{what} for {self._patience.reply_timeout_s:g} s"))
        return math.inf

    def _check_overdue(self, now_s: float) -> float:
        oldest_s = self.flight.oldest_s
        if oldest_s is None or self._ending:
            return math.inf
        due_s = oldest_s + OVERDUE_FACTOR * self._patience.reply_timeout_s
        if now_s >= due_s:
            self._end(Ending("a request was not answered although others were"))
        return due_s

    def _check_idle(self, now_s: float) -> float:
        if now_s < self._received_s + self._patience.idle_s:
            return self._received_s + self._patience.idle_s
        self._expect()
        request = self.flight.number()
        self._ping = (request, now_s)
        self._set_window()
        self._write(self._session.encode_ping(request))
        return now_s + self._patience.reply_timeout_s

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._patience.reply_timeout_s) as self._attempt:
                self._stream = await _connect_any(self._address)
        finally:
            self._attempt = None
        self._stream.set_nodelay(True)
        self.phase = Phase.GREETING
        hello = self._session.encode_hello()
        if hello:
            self._write(hello)
        else:
            self._handle(self._session.receive(b""))

    async def _read(self) -> None:
        assert self._stream
        while not self._ending:
            reading = cast("asyncio.Future[bytes]", self._stream.read_bytes(READ_BYTES_MAX, partial=True))
            if reading.done():
                # a peer that is always ahead of us must not hold the loop
                await asyncio.sleep(0)
            data = await reading
            self._received_s = self._clock()
            await self._shift.turn()
            self._handle(self._session.receive(data))

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if self._ending:
                return
            self._handle_one(event)

    def _handle_one(self, event: Event) -> None:
        if isinstance(event, Replied):
            self._handle_replied(event)
        elif isinstance(event, Welcomed):
            self._handle_welcomed(event)
        elif isinstance(event, Ponged):
            self._handle_ponged(event.request)
        elif isinstance(event, Refused):
            self._handle_refused(event)
        else:
            self.retire(f"the node goes away: {event.message or 'no reason given'}")
            self._owner.went_away(self, event)

    def _handle_welcomed(self, event: Welcomed) -> None:
        if self.phase is not Phase.GREETING:
            raise FrameError("a second greeting")
        self.phase = Phase.OPEN
        self._requests_max = min(event.inflight_max, REQUESTS_INFLIGHT_MAX)
        self._set_window()
        self._owner.welcomed(self, event)

    def _handle_replied(self, event: Replied) -> None:
        landed = self.flight.land(event)
        sent_s = max(part.portion.sent_s for part in landed)
        self._owner.landed(self, landed, self._received_s - sent_s)
        self._leave_if_done()

    def _handle_ponged(self, request: int) -> None:
        if not self._ping or self._ping[0] != request:
            raise FrameError("a PONG that nobody asked for")
        sent_s = self._ping[1]
        self._ping = None
        self._set_window()
        self._owner.ponged(self, self._received_s - sent_s)
        self._leave_if_done()

    def _handle_refused(self, event: Refused) -> None:
        if event.fault & _FATAL or self.phase is Phase.GREETING:
            self._end(Ending(f"refused with error {event.code}: {event.message}", event.fault))
            return
        struck = None
        if self._ping and self._ping[0] == event.request:
            self._ping = None
            self._set_window()
        elif event.request:
            struck = self.flight.strike(event.request)
            if not struck:
                raise FrameError(f"an error about request {event.request}, which is not in flight")
        self._owner.refused(self, event, struck)
        self._leave_if_done()

    def _set_window(self) -> None:
        taking = self.phase is Phase.OPEN and not self._ending
        # a PING is a request in flight as well
        self.window = self._requests_max - (self._ping is not None) if taking else 0

    def _leave_if_done(self) -> None:
        if self.phase is Phase.LEAVING and not self.flight.requests and not self._ping:
            self._end(Ending(self._retired_for, orderly=True))

    def _expect(self) -> float:
        """Note that something is expected from now on; return the time."""
        now_s = self._clock()
        if not self._ping and not self.flight.requests:
            self._expecting_s = now_s
        return now_s

    def _write(self, data: bytes) -> None:
        assert self._stream
        try:
            self._stream.write(data)
        except StreamClosedError as error:
            # the reader will say so too; nothing more may be given to this connection meanwhile
            self._end(Ending(_describe(error)))

    def _end(self, ending: Ending) -> None:
        self._ending = self._ending or ending
        self._set_window()
        if self._stream:
            self._stream.close()
        elif self._attempt and not self._attempt.expired():
            self._attempt.reschedule(-math.inf)


async def _connect_any(address: NodeAddress) -> IOStream:
    """Connect to the first of the host's addresses that takes us."""
    last_error: OSError | None = None
    for family, where in await _resolve(address):
        stream = IOStream(socket.socket(family, socket.SOCK_STREAM))
        try:
            return await stream.connect(where)
        except OSError as error:
            stream.close()
            last_error = error
        except BaseException:
            stream.close()
            raise
    raise ConnectError(_describe(last_error) if last_error else f"{address.host} has no address")


async def _resolve(address: NodeAddress) -> list[tuple[int, Any]]:
    """Return the host's addresses, family and socket address each; a name is looked up off the loop."""
    host, port, kind = address.host, address.port, socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=kind)
    return [(family, where) for family, _, _, _, where in found]


def _describe(error: BaseException) -> str:
    if isinstance(error, StreamClosedError):
        return _describe(error.real_error) if error.real_error else "closed by the node"
    if isinstance(error, TimeoutError) and not str(error):
        return "no connection in time"
    return str(error) or type(error).__name__
