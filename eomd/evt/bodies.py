"""The bodies of EVT/1's QUERY, MODIFY, VALUES and MODIFIED ↔ columns of numpy, both directions. No I/O.

Many frames of one shape are built and read in one pass. Shapes: m frames of n rows each, k counters.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from eomd.errors import EncodeError, FrameError
from eomd.evt.codec import I64, U8, U32, Head, Rows
from eomd.evt.columns import AlikeBodies, AlikeFrames
from eomd.evt.frame import Frame, FrameType
from eomd.model import EID_MAX, NO_DETAIL, USER_MAX, Mode, RowStatus

#: `detail` is one byte and its highest value means "none"
COUNTERS_MAX = NO_DETAIL
OPERATION_MAX = 2**63 - 1

NUMBER_OF_MODE = {Mode.INC: 1, Mode.DEC: 2, Mode.SET: 3, Mode.RESTORE: 4}
MODE_OF_NUMBER = {number: mode for mode, number in NUMBER_OF_MODE.items()}

_QUERY = struct.Struct("<IHH")
_MODIFY = struct.Struct("<QIHBB")
_REPLY = struct.Struct("<IHH")
#: indexed by a status: whether the wire knows it
_KNOWN_STATUS = np.isin(np.arange(256), [s for s in RowStatus if s <= RowStatus.INTERNAL])


class RequestLayout(NamedTuple):
    """Where the columns of a request's body start, in bytes; 0 for one that is not there."""

    rows: int
    users: int
    amounts: int
    expected: int
    size: int


class ReplyLayout(NamedTuple):
    """Where the columns of a reply's body start, in bytes; 0 for one that is not there."""

    before: int
    after: int
    status: int
    detail: int
    size: int


def _padded(size: int) -> int:
    return (size + 7) & ~7


@lru_cache(maxsize=1024)
def request_layout(mode: Mode | None, k: int, n: int) -> RequestLayout:
    """Return the layout of a QUERY (mode None) or MODIFY of n rows and k counters."""
    if mode is None:
        users = _QUERY.size + _padded(4 * k)
        return RequestLayout(0, users, 0, 0, users + 8 * n)
    rows = _MODIFY.size + _padded(4 * k)
    users = rows + _padded(4 * n)
    amounts = users + 8 * n
    end = amounts + 8 * n * k
    if mode is Mode.RESTORE:
        return RequestLayout(rows, users, amounts, end, end + 8 * n * k)
    return RequestLayout(rows, users, amounts, 0, end)


@lru_cache(maxsize=1024)
def reply_layout(reply_type: FrameType, k: int, n: int) -> ReplyLayout:
    """Return the layout of a VALUES or MODIFIED of n rows and k counters."""
    before, columns_end = _REPLY.size, _REPLY.size + 8 * n * k
    after = columns_end if reply_type == FrameType.MODIFIED else 0
    status = columns_end + 8 * n * k if after else columns_end
    return ReplyLayout(before, after, status, status + n, status + 2 * n)


def reply_type_of(mode: Mode | None) -> FrameType:
    """Return what answers a request of this mode."""
    return FrameType.VALUES if mode is None else FrameType.MODIFIED


def rows_fitting(head: Head, rows_max: int, request_bytes_max: int, reply_bytes_max: int) -> int:
    """Return the largest n up to `rows_max` whose request and reply bodies fit; 0 where not one row does."""
    k, reply_type = len(head.eids), reply_type_of(head.mode)

    def overflows(n: int) -> bool:
        request, reply = request_layout(head.mode, k, n), reply_layout(reply_type, k, n)
        return request.size > request_bytes_max or reply.size > reply_bytes_max

    return bisect_left(range(1, rows_max + 1), True, key=overflows)


# --- requests


def encode_requests(head: Head, rows: Rows, rows_each: int, first_request: int) -> bytes:
    """Return QUERYs or MODIFYs of `rows_each` rows (the last may have fewer), numbered upwards.

    Raises EncodeError where a number does not fit the frame, or head and rows do not fit each other.
    """
    _check_head(head)
    _check_rows(head, rows)
    count, rest = divmod(len(rows), rows_each)
    pieces: list[U8] = []
    if count:
        pieces.append(_encode_alike(head, rows.pick(slice(count * rows_each)), rows_each, first_request))
    if rest:
        pieces.append(
            _encode_alike(head, rows.pick(slice(len(rows) - rest, None)), rest, first_request + count)
        )
    return b"".join(piece.data for piece in pieces)


def _encode_alike(head: Head, rows: Rows, n: int, first_request: int) -> U8:
    k, count = len(head.eids), len(rows) // n
    layout = request_layout(head.mode, k, n)
    frame_type = FrameType.QUERY if head.mode is None else FrameType.MODIFY
    frames = AlikeFrames(frame_type, count, _encode_body_head(head, n), layout.size)
    frames.put(layout.users, (n,), "<u8", rows.users)
    if rows.amounts is not None:
        frames.put(layout.rows, (n,), "<u4", rows.index)
        frames.put(layout.amounts, (n, k), "<i8", rows.amounts)
    if rows.expected is not None:
        frames.put(layout.expected, (n, k), "<i8", rows.expected)
    return frames.seal(np.arange(first_request, first_request + count))


def _encode_body_head(head: Head, n: int) -> bytes:
    k = len(head.eids)
    eids = struct.pack(f"<{k}I", *head.eids)
    if head.mode is None:
        return _QUERY.pack(n, k, 0) + eids
    return _MODIFY.pack(head.operation, n, k, NUMBER_OF_MODE[head.mode], 0) + eids


def _check_head(head: Head) -> None:
    if not 1 <= len(head.eids) <= COUNTERS_MAX:
        raise EncodeError(f"{len(head.eids)} EIDs do not fit one request (1 to {COUNTERS_MAX})")
    if min(head.eids) < 1 or max(head.eids) > EID_MAX:
        raise EncodeError(f"an EID is outside 1 to {EID_MAX}")
    if head.mode is not None and len(set(head.eids)) < len(head.eids):
        raise EncodeError("an EID stands twice in a modify")
    if not 0 <= head.operation <= OPERATION_MAX:
        raise EncodeError(f"the operation {head.operation} is outside 0 to {OPERATION_MAX}")


def _check_rows(head: Head, rows: Rows) -> None:
    n, k = len(rows), len(head.eids)
    if not n or rows.users.min() < 1 or rows.users.max() > USER_MAX:
        raise EncodeError(f"there is no row, or a user is outside 1 to {USER_MAX}")
    wanted = (head.mode is not None, head.mode is Mode.RESTORE)
    if (rows.amounts is not None, rows.expected is not None) != wanted:
        raise EncodeError(f"amounts or expected values are missing or too many for {head.mode or 'query'}")
    if rows.amounts is not None and rows.amounts.shape != (n, k):
        raise EncodeError(f"amounts have the shape {rows.amounts.shape} instead of {(n, k)}")
    if rows.expected is not None and rows.expected.shape != (n, k):
        raise EncodeError(f"expected values have the shape {rows.expected.shape} instead of {(n, k)}")
    if head.mode in (Mode.INC, Mode.DEC) and rows.amounts is not None and rows.amounts.min() < 0:
        raise EncodeError(f"a negative amount for {head.mode}")


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """m QUERYs or MODIFYs of one shape and one head, as a node reads them."""

    head: Head
    #: uint32[m]
    requests: U32
    #: m*n of them; a query's are indexed from 0
    rows: Rows

    @property
    def rows_each(self) -> int:
        return len(self.rows) // len(self.requests)


def group_requests(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return runs of QUERYs and MODIFYs that are alike in type, size and body head: one batch each."""
    runs: list[list[Frame]] = []
    last_type, last_size, last_head = 0, 0, b""
    for frame in frames:
        frame_type, _, body = frame
        if frame_type == last_type and len(body) == last_size and body.startswith(last_head):
            runs[-1].append(frame)
        else:
            runs.append([frame])
            last_type, last_size, last_head = frame_type, len(body), _body_head(frame_type, body)
    return runs


def _body_head(frame_type: int, body: bytes) -> bytes:
    size = _QUERY.size if frame_type == FrameType.QUERY else _MODIFY.size
    k = int.from_bytes(body[size - 4 : size - 2], "little")
    return body[: size + _padded(4 * k)]


def decode_requests(run: Sequence[Frame]) -> RequestBatch:
    """Return what a run of `group_requests` asks. Raises FrameError where one of them is malformed."""
    frame_type, _, body = run[0]
    head, n = (_decode_query_head if frame_type == FrameType.QUERY else _decode_modify_head)(body)
    k = len(head.eids)
    layout = request_layout(head.mode, k, n)
    if len(body) != layout.size:
        raise FrameError(f"the body has {len(body)} bytes instead of {layout.size}")
    alike = AlikeBodies([frame[2] for frame in run])
    requests = np.array([frame[1] for frame in run], np.uint32)
    if not requests.all():
        raise FrameError("request id 0")
    users = alike.take(layout.users, (n,), "<u8")
    if users.min() < 1 or users.max() > USER_MAX:
        raise FrameError(f"a user is outside 1 to {USER_MAX}")
    if head.mode is None:
        return RequestBatch(head, requests, Rows(np.arange(len(users), dtype=np.uint32), users))
    rows_end = layout.rows + 4 * n
    if not alike.holds_only(bytes(layout.users - rows_end), rows_end):
        raise FrameError("padding is not 0")
    amounts = alike.take(layout.amounts, (n, k), "<i8")
    if head.mode in (Mode.INC, Mode.DEC) and amounts.min() < 0:
        raise FrameError(f"a negative amount for {head.mode}")
    expected = alike.take(layout.expected, (n, k), "<i8") if layout.expected else None
    return RequestBatch(head, requests, Rows(alike.take(layout.rows, (n,), "<u4"), users, amounts, expected))


def _decode_query_head(body: bytes) -> tuple[Head, int]:
    _check_head_size(body, _QUERY.size)
    n, k, reserved = _QUERY.unpack_from(body)
    _check_counts(n, reserved)
    return Head(_decode_eids(body, _QUERY.size, k), None, 0), n


def _decode_modify_head(body: bytes) -> tuple[Head, int]:
    _check_head_size(body, _MODIFY.size)
    operation, n, k, mode, reserved = _MODIFY.unpack_from(body)
    _check_counts(n, reserved)
    if mode not in MODE_OF_NUMBER:
        raise FrameError(f"mode {mode}")
    if operation > OPERATION_MAX:
        raise FrameError(f"the operation {operation} is over {OPERATION_MAX}")
    eids = _decode_eids(body, _MODIFY.size, k)
    if len(set(eids)) < k:
        raise FrameError("an EID stands twice in a MODIFY")
    return Head(eids, MODE_OF_NUMBER[mode], operation), n


def _check_head_size(body: bytes, size: int) -> None:
    if len(body) < size:
        raise FrameError(f"the body has {len(body)} bytes instead of at least {size}")


def _check_counts(n: int, reserved: int) -> None:
    if not n:
        raise FrameError("n is 0")
    if reserved:
        raise FrameError("reserved bytes are not 0")


def _decode_eids(body: bytes, at: int, k: int) -> tuple[int, ...]:
    if not 1 <= k <= COUNTERS_MAX:
        raise FrameError(f"k is {k}, not 1 to {COUNTERS_MAX}")
    end = at + 4 * k
    padding_end = at + _padded(4 * k)
    _check_head_size(body, padding_end)
    if any(body[end:padding_end]):
        raise FrameError("padding is not 0")
    eids = struct.unpack_from(f"<{k}I", body, at)
    if not all(eids):
        raise FrameError("an EID is 0")
    return eids


# --- replies


def encode_values(requests: U32, values: I64, status: U8, detail: U8) -> U8:
    """Return m VALUES as uint8[m, frame bytes].

    requests: uint32[m]; values: int64[m*n, k]; status, detail: uint8[m*n].
    """
    return _encode_replies(FrameType.VALUES, requests, values, None, status, detail)


def encode_modified(requests: U32, before: I64, after: I64, status: U8, detail: U8) -> U8:
    """Return m MODIFIEDs as uint8[m, frame bytes].

    requests: uint32[m]; before, after: int64[m*n, k]; status, detail: uint8[m*n].
    """
    return _encode_replies(FrameType.MODIFIED, requests, before, after, status, detail)


def _encode_replies(
    reply_type: FrameType, requests: U32, before: I64, after: I64 | None, status: U8, detail: U8
) -> U8:
    n, k = len(status) // len(requests), before.shape[1]
    layout = reply_layout(reply_type, k, n)
    frames = AlikeFrames(reply_type, len(requests), _REPLY.pack(n, k, 0), layout.size)
    frames.put(layout.before, (n, k), "<i8", before)
    if after is not None:
        frames.put(layout.after, (n, k), "<i8", after)
    frames.put(layout.status, (n,), "u1", status)
    frames.put(layout.detail, (n,), "u1", detail)
    return frames.seal(requests)


class ReplyShape(NamedTuple):
    """What the reply to a request must look like."""

    reply_type: FrameType
    n: int
    k: int
    #: bytes of the body
    size: int


@lru_cache(maxsize=1024)
def reply_shape(mode: Mode | None, n: int, k: int) -> ReplyShape:
    """Return the shape of the reply to a request of n rows; requests alike share one object."""
    reply_type = reply_type_of(mode)
    return ReplyShape(reply_type, n, k, reply_layout(reply_type, k, n).size)


@dataclass(frozen=True, slots=True)
class ReplyColumns:
    """The rows of m replies of one shape; the columns are copies of one's own."""

    #: int64[m*n, k]
    before: I64
    #: int64[m*n, k]; None for VALUES
    after: I64 | None
    #: uint8[m*n]
    status: U8
    #: uint8[m*n]
    detail: U8


def decode_replies(shape: ReplyShape, bodies: Sequence[bytes]) -> ReplyColumns:
    """Return the columns of these bodies, each of `shape.size` bytes.

    Raises FrameError where one is malformed.
    """
    n, k = shape.n, shape.k
    alike = AlikeBodies(bodies)
    if not alike.holds_only(_REPLY.pack(n, k, 0), 0):
        raise FrameError(f"a reply has other counts than its request ({n} rows of {k})")
    layout = reply_layout(shape.reply_type, k, n)
    status = alike.take(layout.status, (n,), "u1")
    if status.any() and not _KNOWN_STATUS[status].all():
        raise FrameError(f"unknown row status {status[~_KNOWN_STATUS[status]][0]}")
    detail = alike.take(layout.detail, (n,), "u1")
    if detail.min() != NO_DETAIL and ((detail >= k) & (detail != NO_DETAIL)).any():
        raise FrameError(f"a row's detail names none of its {k} counters")
    before = alike.take(layout.before, (n, k), "<i8")
    after = alike.take(layout.after, (n, k), "<i8") if layout.after else None
    return ReplyColumns(before, after, status, detail)


def decode_reply_shape(frame_type: int, body: bytes) -> ReplyShape:
    """Return what a reply says of itself, for who has not asked. Raises FrameError where it is malformed."""
    _check_head_size(body, _REPLY.size)
    n, k, reserved = _REPLY.unpack_from(body)
    _check_counts(n, reserved)
    shape = reply_shape(None if frame_type == FrameType.VALUES else Mode.SET, n, k)
    if not 1 <= k <= COUNTERS_MAX or len(body) != shape.size:
        raise FrameError(f"the body has {len(body)} bytes, and {n} rows of {k}")
    return shape
