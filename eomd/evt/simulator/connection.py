"""One connection to a simulated node: greeting, requests in, replies out, and the faults ordered for it."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from eomd.errors import FrameError
from eomd.evt import frame
from eomd.evt.codec import U8
from eomd.evt.columns import CRC_AT
from eomd.evt.frame import ErrorCode, Frame, FrameSplitter, FrameType, GoawayCode
from eomd.evt.simulator.turn import Greeting

if TYPE_CHECKING:
    from eomd.evt.simulator.node import Node

#: after GOAWAY, requests that crossed it on the way are still answered so long
GOAWAY_GRACE_S = 0.5
#: after the last frame, what still comes is read and dropped so long: closing at once would reset the
#: connection, and the peer might never read that frame
LINGER_S = 2.0

_ASKING = (FrameType.QUERY, FrameType.MODIFY)


class Connection(asyncio.Protocol):
    """The node's end of a connection."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._splitter = FrameSplitter(node.settings.max_frame)
        self._transport: asyncio.Transport | None = None
        self._greeting: Greeting | None = None
        #: requests read so far
        self._served = 0
        #: requests whose replies are held back
        self._pending = 0
        #: what will be written when the portion has been dealt with
        self._output: list[bytes] = []
        self._muted = False
        self._draining = False
        #: it has ended: nothing that comes is looked at any more
        self.deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        node = self._node
        if not node.listening:
            # it was taken just before the node stopped
            self.abort()
            return
        node.connections.add(self)
        node.counts.connections += 1
        node.counts.connections_peak = max(node.counts.connections_peak, len(node.connections))

    def connection_lost(self, error: Exception | None) -> None:
        self._node.connections.discard(self)
        self._transport = None
        self.deaf = True

    def pause_writing(self) -> None:
        # who does not read his replies is not read either
        if self._transport:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._hush()
        if self.deaf:
            return
        try:
            self._receive(self._splitter.split(data))
        except FrameError as error:
            self._receive(self._splitter.intact)
            self.end(self._splitter.request, ErrorCode.MALFORMED, str(error))
        self.flush()

    def _hush(self) -> None:
        # a connection that was silent once remains so: what it dropped may have been half a frame
        self.deaf = self.deaf or self._node.faults.silent

    def abort(self) -> None:
        """Break the connection at once."""
        if self._transport:
            self._transport.abort()

    def drain(self) -> None:
        """Say GOAWAY, answer what is in flight, then end."""
        if not self._draining and not self.deaf:
            self._draining = True
            self._node.turn.work()
            self._write(self._spoil(frame.encode_goaway(GoawayCode.DRAINING, "draining")))
            self.flush()
            self._loop.call_later(GOAWAY_GRACE_S, self._end_drained)

    # --- what comes in

    def _receive(self, frames: list[Frame]) -> None:
        for asking, group in groupby(frames, lambda item: item[0] in _ASKING):
            if asking and self._greeting and not self.deaf:
                self._receive_requests(list(group))
                continue
            for frame_type, request, body in group:
                if not self.deaf:
                    self._receive_single(frame_type, request, body)

    def _receive_single(self, frame_type: int, request: int, body: bytes) -> None:
        if not request:
            self.end(0, ErrorCode.MALFORMED, "request id 0")
        elif frame_type == FrameType.HELLO and self._greeting is None:
            self._receive_hello(request, body)
        elif frame_type in (*_ASKING, FrameType.PING) and self._greeting is None:
            self.end(request, ErrorCode.NOT_GREETED, "HELLO comes first")
        elif frame_type == FrameType.PING:
            self._receive_ping(request, body)
        else:
            self.end(request, ErrorCode.MALFORMED, f"type 0x{frame_type:02x} is not expected here")

    def _receive_hello(self, request: int, body: bytes) -> None:
        node = self._node
        try:
            version = frame.decode_hello_version(body)
            if version != frame.VERSION or node.faults.refuse_version:
                self.end(request, ErrorCode.VERSION, f"version {version} is not served")
                return
            hello = frame.decode_hello(body)
        except FrameError as error:
            self.end(request, ErrorCode.MALFORMED, str(error))
            return
        cluster = node.faults.claim_cluster or node.settings.cluster
        if hello.cluster != cluster:
            self.end(request, ErrorCode.WRONG_CLUSTER, f"this is cluster {cluster}")
            return
        welcome = node.welcome
        self._greeting = Greeting(hello, bool(welcome.capabilities & frame.IDEMPOTENT_BIT))
        self._send(self._spoil(frame.encode_welcome(request, welcome)), 0)

    def _receive_ping(self, request: int, body: bytes) -> None:
        try:
            payload = frame.decode_payload(body)
        except FrameError as error:
            self.end(request, ErrorCode.MALFORMED, str(error))
            return
        self._node.counts.pings += 1
        self._send(self._spoil(frame.encode_pong(request, payload)), 0)

    def _receive_requests(self, requests: list[Frame]) -> None:
        """Serve requests up to the one that a fault was ordered for."""
        faults = self._node.faults
        limits = [limit for limit in (faults.close_after, faults.mute_after) if limit]
        fine = max(0, min(limits) - 1 - self._served) if limits else len(requests)
        self._served += len(requests)
        self._serve_within_inflight(requests[:fine])
        if fine < len(requests) and not self.deaf:
            self._lose(requests[fine:])
        if faults.goaway_after and self._served >= faults.goaway_after:
            self.drain()

    def _lose(self, requests: list[Frame]) -> None:
        """Do what close_after or mute_after says from its request on."""
        faults = self._node.faults
        closes = bool(faults.close_after) and not 0 < faults.mute_after < faults.close_after
        self._node.turn.work()
        self._muted = True
        if (faults.close_when if closes else faults.mute_when) == "after":
            self._submit(requests[:1] if closes else requests)
            self._node.turn.work()
        if closes and self._transport:
            self.deaf = True
            self._transport.close()

    def _serve_within_inflight(self, requests: list[Frame]) -> None:
        """Serve; refuse what is beyond max_inflight (all came before any of them was answered)."""
        free = max(0, self._node.settings.max_inflight - self._pending)
        if excess := requests[free:]:
            self._node.counts.over_inflight += len(excess)
            self._refuse_overload(excess, "over max_inflight")
        requests = requests[:free]
        if share := self._node.faults.overloaded_share:
            refused = self._node.draw(len(requests), share)
            overloaded = [item for item, hit in zip(requests, refused, strict=True) if hit]
            self._refuse_overload(overloaded, "overloaded")
            requests = [item for item, hit in zip(requests, refused, strict=True) if not hit]
        self._submit(requests)

    def _refuse_overload(self, requests: list[Frame], reason: str) -> None:
        for _, request, _ in requests:
            self.refuse(request, ErrorCode.OVERLOADED, reason)

    def _submit(self, requests: list[Frame]) -> None:
        if requests and self._greeting:
            self._node.turn.submit(self, self._greeting, requests)

    # --- what goes out

    def refuse(self, request: int, code: ErrorCode, message: str) -> None:
        """Answer a request with ERROR; the connection stays."""
        if code is ErrorCode.TOO_MANY_ROWS:
            self._node.counts.over_rows += 1
        self._send(self._spoil(frame.encode_error(request, code, message)), 1)

    def send_replies(self, replies: U8) -> None:
        """Answer as many requests as there are replies, uint8[m, frame bytes]."""
        if self._node.faults.jitter_ms:
            for reply in replies:
                self._send(reply.tobytes(), 1)
        else:
            self._send(replies.tobytes(), len(replies))

    def _spoil(self, answer: bytes) -> bytes:
        """Give a frame a wrong checksum where that is its lot; the node has done so with its replies."""
        share = self._node.faults.wrong_crc_share
        if not share or not self._node.draw(1, share)[0]:
            return answer
        return answer[:CRC_AT] + bytes((answer[CRC_AT] ^ 1,)) + answer[CRC_AT + 1 :]

    def _send(self, data: bytes, requests: int) -> None:
        """Write the answer to so many requests when its time has come."""
        faults = self._node.faults
        delay_ms = faults.latency_ms
        if faults.jitter_ms:
            delay_ms += faults.jitter_ms * self._node.random.random()
        if not delay_ms:
            self._write(data)
            return
        self._pending += requests
        self._loop.call_later(delay_ms / 1000, self._send_held, data, requests)

    def _send_held(self, data: bytes, requests: int) -> None:
        self._pending -= requests
        self._write(data)
        self.flush()

    def _write(self, data: bytes) -> None:
        self._hush()
        if not self._muted and not self.deaf:
            self._output.append(data)

    def flush(self) -> None:
        """Write what is ready to be written."""
        output, self._output = self._output, []
        if not output or self._transport is None or self._transport.is_closing():
            return
        if self._node.faults.one_byte:
            for byte in b"".join(output):
                self._transport.write(bytes((byte,)))
        else:
            self._transport.write(b"".join(output))

    # --- the end

    def end(self, request: int, code: ErrorCode, message: str) -> None:
        """Answer what came before, say ERROR and end the connection."""
        self._node.turn.work()
        if self.deaf:
            return
        if code is ErrorCode.MALFORMED:
            self._node.counts.malformed += 1
        self._write(self._spoil(frame.encode_error(request, code, message)))
        self._half_close()

    def _end_drained(self) -> None:
        if self._pending:
            self._loop.call_later(GOAWAY_GRACE_S, self._end_drained)
        else:
            self._half_close()

    def _half_close(self) -> None:
        """Write what is to be written and the end of the stream; drop what still comes for a while."""
        self.flush()
        self.deaf = True
        if self._transport and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
            self._loop.call_later(LINGER_S, self.abort)
