"""Arrow string arrays seen as numpy: offsets and bytes, without copying the bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def string_buffers(cells: Any) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return where each of n cells starts (n+1 of them, the last is the end) and the bytes of all."""
    _, offsets_buffer, data_buffer = cells.buffers()
    if offsets_buffer is None or not len(cells):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    offsets = np.frombuffer(offsets_buffer, np.int32)[cells.offset :][: len(cells) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]
