"""EVT/1's frames: header, greeting, PING, ERROR and GOAWAY, and cutting a stream into frames. No I/O.

Standard library only (struct, zlib): the watchdog greets and pings nodes with this file alone. The bodies
of QUERY, MODIFY and their replies stand in `bodies.py`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from zlib import crc32

from eomd.errors import EncodeError, FrameError

MAGIC = b"EVT1"
VERSION = 1
HEADER_BYTES = 24
#: what eomd accepts as a frame's body, and tells the node in HELLO
FRAME_BYTES_MAX = 4 * 1024 * 1024
REQUEST_MAX = 2**32 - 1
ORIGIN_BYTES = 16
PAYLOAD_BYTES = 8
TEXT_BYTES_MAX = 2**16 - 1

IDEMPOTENT_BIT = 1
RESTORE_BIT = 2


class FrameType(IntEnum):
    """The header's type; a reply has its request's number and the highest bit."""

    HELLO = 0x01
    PING = 0x02
    QUERY = 0x03
    MODIFY = 0x04
    WELCOME = 0x81
    PONG = 0x82
    VALUES = 0x83
    MODIFIED = 0x84
    GOAWAY = 0x8E
    ERROR = 0x8F


class ErrorCode(IntEnum):
    """ERROR's codes."""

    MALFORMED = 1
    VERSION = 2
    TOO_MANY_ROWS = 3
    OVERLOADED = 4
    WRONG_CLUSTER = 5
    NOT_GREETED = 6


class GoawayCode(IntEnum):
    """GOAWAY's codes."""

    DRAINING = 0
    OVERLOADED = 1


#: type (a number of FrameType), request id, body. A plain tuple: there may be 100,000s of them a second.
Frame = tuple[int, int, bytes]

#: magic with type, flags and reserved as one number, request, length, CRC, reserved
_HEADER = struct.Struct("<QIIII")
_TYPE_OF_PREFIX = {struct.unpack("<Q", MAGIC + bytes((t, 0, 0, 0)))[0]: int(t) for t in FrameType}
_PREFIX_OF_TYPE = {frame_type: prefix for prefix, frame_type in _TYPE_OF_PREFIX.items()}
_HELLO = struct.Struct("<HHI16s")
_WELCOME = struct.Struct("<HHIIIHH")
_NOTICE = struct.Struct("<HH")


def encode_frame(frame_type: FrameType, request: int, body: bytes) -> bytes:
    """Return the frame's bytes."""
    prefix = _PREFIX_OF_TYPE[frame_type]
    return _HEADER.pack(prefix, request, len(body), crc32(body), 0) + body


def encode_header(frame_type: FrameType, body_bytes: int) -> bytes:
    """Return a header whose request id and CRC are still 0, to be filled in by who has many alike."""
    return _HEADER.pack(_PREFIX_OF_TYPE[frame_type], 0, body_bytes, 0, 0)


class FrameSplitter:
    """Cuts what comes from a peer, in portions of any size, into frames."""

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        #: after a FrameError: the request id of the frame refused, 0 where it cannot be read
        self.request = 0
        #: after a FrameError: the frames that came whole before the refused one in the same portion
        self.intact: list[Frame] = []
        self._parts: list[bytes] = []
        self._held = 0
        self._wanted = 1

    def split(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """Return the frames that are complete with this portion, in order.

        Raises FrameError as soon as a frame is seen to be wrong, for a header before its body has come;
        every later call raises again.
        """
        self._parts.append(bytes(data))
        self._held += len(data)
        if self._held < self._wanted:
            return []
        return self._cut(b"".join(self._parts))

    def _cut(self, buffer: bytes) -> list[Frame]:
        frames: list[Frame] = []
        at, end, bytes_max = 0, len(buffer), self.frame_bytes_max
        unpack, types = _HEADER.unpack_from, _TYPE_OF_PREFIX
        wanted = HEADER_BYTES
        while end - at >= HEADER_BYTES:
            prefix, request, length, crc, reserved = unpack(buffer, at)
            frame_type = types.get(prefix)
            if frame_type is None or reserved or length > bytes_max:
                self._keep(buffer[at:], 0)
                raise self._refuse(frames, *_read_fault(buffer, at, bytes_max))
            wanted = HEADER_BYTES + length
            if end - at < wanted:
                break
            body = buffer[at + HEADER_BYTES : at + wanted]
            if crc32(body) != crc:
                self._keep(buffer[at:], 0)
                raise self._refuse(frames, request, "wrong CRC")
            frames.append((frame_type, request, body))
            at += wanted
            wanted = HEADER_BYTES
        self._keep(buffer[at:], wanted)
        if self._held and not MAGIC.startswith(buffer[at : at + len(MAGIC)]):
            self._wanted = 0
            raise self._refuse(frames, 0, "wrong magic")
        return frames

    def _keep(self, rest: bytes, wanted: int) -> None:
        self._parts = [rest] if rest else []
        self._held = len(rest)
        self._wanted = len(MAGIC) if wanted and len(rest) < len(MAGIC) else wanted

    def _refuse(self, intact: list[Frame], request: int, reason: str) -> FrameError:
        self.intact, self.request = intact, request
        return FrameError(f"malformed frame: {reason}")


def _read_fault(buffer: bytes, at: int, bytes_max: int) -> tuple[int, str]:
    """Return the request id and what is wrong with the header that starts here."""
    prefix, request, length, _, reserved = _HEADER.unpack_from(buffer, at)
    magic, frame_type, flags, reserved_16 = struct.unpack("<4sBBH", struct.pack("<Q", prefix))
    if magic != MAGIC:
        return 0, "wrong magic"
    if flags or reserved_16 or reserved:
        return request, "a reserved header field is not 0"
    if prefix not in _TYPE_OF_PREFIX:
        return request, f"unknown type 0x{frame_type:02x}"
    return request, f"length {length} over max_frame {bytes_max}"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client says first."""

    cluster: str
    #: ORIGIN_BYTES bytes
    origin: bytes
    #: bytes of a body that the client accepts
    max_frame: int = FRAME_BYTES_MAX
    version: int = VERSION


def encode_hello(request: int, hello: Hello) -> bytes:
    """Return the HELLO frame. Raises EncodeError for an origin or a name that does not fit."""
    name = _encode_text(hello.cluster)
    if len(hello.origin) != ORIGIN_BYTES:
        raise EncodeError(f"an origin has {ORIGIN_BYTES} bytes, not {len(hello.origin)}")
    body = _HELLO.pack(hello.version, len(name), hello.max_frame, hello.origin) + name
    return encode_frame(FrameType.HELLO, request, body)


def decode_hello_version(body: bytes) -> int:
    """Return HELLO's version, whatever follows it. Raises FrameError for a body shorter than that."""
    if len(body) < 2:
        raise FrameError("HELLO: the body ends before its version")
    return int.from_bytes(body[:2], "little")


def decode_hello(body: bytes) -> Hello:
    """Return what HELLO says. Raises FrameError where it is malformed or of another version."""
    _check_size("HELLO", body, _HELLO.size)
    version, length, max_frame, origin = _HELLO.unpack_from(body)
    if version != VERSION:
        raise FrameError(f"HELLO: version {version} instead of {VERSION}")
    return Hello(_decode_text("HELLO", body, _HELLO.size, length), origin, max_frame, version)


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a node answers to HELLO."""

    node: str
    #: IDEMPOTENT_BIT, RESTORE_BIT
    capabilities: int
    #: rows in one request, at least 1
    max_rows: int
    #: requests on one connection, at least 1
    max_inflight: int
    #: bytes of a body that the node accepts
    max_frame: int
    version: int = VERSION


def encode_welcome(request: int, welcome: Welcome) -> bytes:
    """Return the WELCOME frame. Raises EncodeError for a name that does not fit."""
    name = _encode_text(welcome.node)
    limits = (welcome.max_rows, welcome.max_inflight, welcome.max_frame)
    body = _WELCOME.pack(welcome.version, welcome.capabilities, *limits, len(name), 0) + name
    return encode_frame(FrameType.WELCOME, request, body)


def decode_welcome(body: bytes) -> Welcome:
    """Return what WELCOME says. Raises FrameError where it is malformed or of another version.

    Capability bits that version 1 does not name are kept and mean nothing.
    """
    _check_size("WELCOME", body, _WELCOME.size)
    version, capabilities, rows, inflight, max_frame, length, reserved = _WELCOME.unpack_from(body)
    if version != VERSION:
        raise FrameError(f"WELCOME: version {version} instead of {VERSION}")
    if reserved:
        raise FrameError("WELCOME: reserved bytes are not 0")
    if not rows or not inflight:
        raise FrameError("WELCOME: max_rows and max_inflight are at least 1")
    node = _decode_text("WELCOME", body, _WELCOME.size, length)
    return Welcome(node, capabilities, rows, inflight, max_frame, version)


def encode_ping(request: int, payload: bytes) -> bytes:
    """Return a PING frame; `payload` has PAYLOAD_BYTES bytes and comes back in the PONG."""
    return encode_frame(FrameType.PING, request, payload)


def encode_pong(request: int, payload: bytes) -> bytes:
    """Return the PONG frame for a PING's request id and payload."""
    return encode_frame(FrameType.PONG, request, payload)


def decode_payload(body: bytes) -> bytes:
    """Return the payload of a PING or PONG. Raises FrameError for another length."""
    if len(body) != PAYLOAD_BYTES:
        raise FrameError(f"PING and PONG carry {PAYLOAD_BYTES} bytes, not {len(body)}")
    return body


@dataclass(frozen=True, slots=True)
class Notice:
    """What ERROR or GOAWAY says."""

    #: a number of ErrorCode or GoawayCode, or one that version 1 does not name
    code: int
    message: str


def encode_error(request: int, code: int, message: str) -> bytes:
    """Return an ERROR frame; `request` is 0 where it could not be read."""
    return encode_frame(FrameType.ERROR, request, _encode_notice(code, message))


def encode_goaway(code: int, message: str) -> bytes:
    """Return a GOAWAY frame."""
    return encode_frame(FrameType.GOAWAY, 0, _encode_notice(code, message))


def decode_notice(body: bytes) -> Notice:
    """Return what ERROR or GOAWAY says. Raises FrameError where it is malformed."""
    _check_size("ERROR or GOAWAY", body, _NOTICE.size)
    code, length = _NOTICE.unpack_from(body)
    return Notice(code, _decode_text("ERROR or GOAWAY", body, _NOTICE.size, length))


def _encode_notice(code: int, message: str) -> bytes:
    text = _encode_text(message)
    return _NOTICE.pack(code, len(text)) + text


def _encode_text(text: str) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise EncodeError("a name or message is not Unicode text") from error
    if len(encoded) > TEXT_BYTES_MAX:
        raise EncodeError(f"a name or message of {len(encoded)} bytes does not fit ({TEXT_BYTES_MAX})")
    return encoded


def _decode_text(what: str, body: bytes, start: int, length: int) -> str:
    if len(body) != start + length:
        raise FrameError(f"{what}: {len(body) - start} bytes of text instead of {length}")
    try:
        return body[start:].decode()
    except UnicodeDecodeError as error:
        raise FrameError(f"{what}: the text is not UTF-8") from error


def _check_size(what: str, body: bytes, bytes_min: int) -> None:
    if len(body) < bytes_min:
        raise FrameError(f"{what}: {len(body)} bytes instead of at least {bytes_min}")
