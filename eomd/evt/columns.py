"""Columns of many equal-sized bodies at once: m frames are a matrix of bytes, a column a strided view of it.

Knows no frame type; what stands where in a body is said in `bodies.py`. m bodies of n rows each.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from eomd.evt.codec import U8
from eomd.evt.frame import HEADER_BYTES, FrameType, encode_header

#: of a frame's request id, in bytes
REQUEST_AT = 8
#: of a frame's CRC, in bytes
CRC_AT = 16


def _column(buffer: Any, at: int, stride: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return the view of shape [m, …] on a column that starts at byte `at` of every `stride` bytes."""
    strides = (stride, *_inner_strides(shape[1:], int(dtype[-1])))
    return np.ndarray(shape, dtype, buffer, at, strides)


@lru_cache(maxsize=1024)
def _inner_strides(shape: tuple[int, ...], item_bytes: int) -> tuple[int, ...]:
    sizes = accumulate(reversed(shape[1:]), operator.mul, initial=item_bytes)
    return tuple(reversed(list(sizes)))[-len(shape) :] if shape else ()


class AlikeBodies:
    """m bodies of one size in one piece, to take columns from."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self.size = len(bodies[0])
        self.count = len(bodies)
        self._joined = bodies[0] if len(bodies) == 1 else b"".join(bodies)

    def take(self, at: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Return a copy, [m*n, …], of the column whose part in one body has this shape, [n, …]."""
        view = _column(self._joined, at, self.size, (self.count, *shape), dtype)
        return np.array(view).reshape(self.count * shape[0], *shape[1:])

    def holds_only(self, expected: bytes, at: int) -> bool:
        """Tell whether every body has these bytes at this place."""
        found = _column(self._joined, at, self.size, (self.count, len(expected)), "u1")
        return bool((found == np.frombuffer(expected, np.uint8)).all())


class AlikeFrames:
    """m frames of one shape under construction."""

    def __init__(self, frame_type: FrameType, count: int, prefix: bytes, body_bytes: int) -> None:
        start = encode_header(frame_type, body_bytes) + prefix
        self._body_bytes = body_bytes
        self.matrix: U8 = np.zeros((count, HEADER_BYTES + body_bytes), np.uint8)
        self.matrix[:, : len(start)] = np.frombuffer(start, np.uint8)

    def put(self, at: int, shape: tuple[int, ...], dtype: str, values: NDArray[Any]) -> None:
        """Write `values`, [m*n, …], into the column whose part in one body has this shape, [n, …]."""
        whole = (len(self.matrix), *shape)
        column = _column(self.matrix, HEADER_BYTES + at, self.matrix.shape[1], whole, dtype)
        column[...] = values.reshape(whole)

    def seal(self, requests: NDArray[Any]) -> U8:
        """Write the request ids, [m], and every CRC; return the matrix, uint8[m, frame bytes]."""
        count, stride = self.matrix.shape
        flat = self.matrix.reshape(-1).data
        starts = range(HEADER_BYTES, count * stride, stride)
        sums = [crc32(flat[at : at + self._body_bytes]) for at in starts]
        _column(self.matrix, REQUEST_AT, stride, (count,), "<u4")[...] = requests
        _column(self.matrix, CRC_AT, stride, (count,), "<u4")[...] = sums
        return self.matrix
