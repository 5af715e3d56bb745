"""Greeting a node and asking it for a sign of life: the seam for the watchdog's probes, and EVT/1's own.

A dialect's probe is found by the codec's name through the entry point group `eomd.evt_probes`; the entry
point names what makes a `ProbeSession` of (cluster, origin, reader, writer). It runs in the watchdog, which
must stay small: it must import neither numpy nor the codec.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Protocol

from eomd.errors import FrameError, NodeRefusedError
from eomd.evt.frame import (
    FRAME_BYTES_MAX,
    PAYLOAD_BYTES,
    ErrorCode,
    Frame,
    FrameSplitter,
    FrameType,
    Hello,
    decode_notice,
    decode_payload,
    decode_welcome,
    encode_hello,
    encode_ping,
)

PROBE_GROUP = "eomd.evt_probes"
READ_BYTES_MAX = 65_536
HELLO_REQUEST, PING_REQUEST = 1, 2


class ProbeSession(Protocol):
    """One connection of a probe. Who calls sets the deadlines and closes the connection after any error."""

    async def greet(self) -> None:
        """Say who we are and take the node's answer; nothing where the dialect has no greeting.

        Raises NodeRefusedError, FrameError, OSError.
        """
        ...

    async def ping(self) -> None:
        """Ask for a sign of life and wait for it. Raises as `greet`."""
        ...


#: (cluster, origin, reader, writer) → session
MakeSession = Callable[[str, bytes, asyncio.StreamReader, asyncio.StreamWriter], ProbeSession]


def load_probe(codec: str) -> MakeSession | None:
    """Return what makes the probes of a codec's dialect; None where no package brings any."""
    for point in entry_points(group=PROBE_GROUP, name=codec):
        make: MakeSession = point.load()
        return make
    return None


class Evt1ProbeSession:
    """EVT/1: HELLO, WELCOME; PING, PONG."""

    def __init__(
        self, cluster: str, origin: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._hello = Hello(cluster, origin)
        self._reader, self._writer = reader, writer
        self._splitter = FrameSplitter(FRAME_BYTES_MAX)
        self._frames: list[Frame] = []

    async def greet(self) -> None:
        await self._send(encode_hello(HELLO_REQUEST, self._hello))
        decode_welcome(await self._answer(FrameType.WELCOME, HELLO_REQUEST))

    async def ping(self) -> None:
        payload = os.urandom(PAYLOAD_BYTES)
        await self._send(encode_ping(PING_REQUEST, payload))
        if decode_payload(await self._answer(FrameType.PONG, PING_REQUEST)) != payload:
            raise FrameError("the PONG is not of our PING")

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _answer(self, wanted: FrameType, request: int) -> bytes:
        """Return the body of the frame that must come next."""
        while not self._frames:
            data = await self._reader.read(READ_BYTES_MAX)
            if not data:
                raise ConnectionError("closed by the node")
            self._frames = self._splitter.split(data)
        frame_type, answered, body = self._frames.pop(0)
        if frame_type == FrameType.ERROR:
            raise _refused(body)
        if frame_type == FrameType.GOAWAY:
            raise NodeRefusedError("draining", f"the node goes away: {decode_notice(body).message}")
        if (frame_type, answered) != (wanted, request):
            raise FrameError(f"type 0x{frame_type:02x} where {wanted.name} was due")
        return body


def _refused(body: bytes) -> NodeRefusedError:
    notice = decode_notice(body)
    wrong = (ErrorCode.WRONG_CLUSTER, ErrorCode.VERSION)
    state = "misconfigured" if notice.code in wrong else "down"
    return NodeRefusedError(state, f"refused with error {notice.code}: {notice.message}")
