"""Which tokens were decided, and where in the journal. No I/O.

Row numbers of an operation are near each other, so a token is found in a page of neighbours: an array
indexed by the row number, one lookup for a whole block of rows. An entry is 0 (not decided) or
(block + 1) << 32 | place.
"""

from __future__ import annotations

import numpy as np

from eomd.evt.codec import I64, U8, U32, U64
from eomd.evt.frame import ORIGIN_BYTES

_PAGE_BITS = 10
PAGE_ROWS = 1 << _PAGE_BITS
_PLACE_BITS = 32


def make_entries(block: int, n: int) -> I64:
    """Return the entries, int64[n], of a block's rows."""
    return np.arange(n, dtype=np.int64) + ((block + 1) << _PLACE_BITS)


def block_of(entries: I64) -> I64:
    """Return the block number of each entry."""
    return (entries >> _PLACE_BITS) - 1


def place_of(entries: I64) -> I64:
    """Return the place in its block of each entry."""
    return entries & ((1 << _PLACE_BITS) - 1)


class TokenIndex:
    """Every decided token of a cluster."""

    def __init__(self) -> None:
        self._pages: dict[tuple[bytes, int, int], I64] = {}

    def find(self, origin: bytes, operation: int, rows: U32) -> I64:
        """Return the tokens' entries, int64[n]."""
        entries = np.zeros(len(rows), np.int64)
        for number, where in _by_page(rows):
            page = self._pages.get((origin, operation, number))
            if page is not None:
                entries[where] = page[rows[where] % PAGE_ROWS]
        return entries

    def put(self, origin: bytes, operation: int, rows: U32, entries: I64) -> None:
        """Remember the tokens' entries, int64[n]."""
        for number, where in _by_page(rows):
            page = self._pages.get((origin, operation, number))
            if page is None:
                page = self._pages[origin, operation, number] = np.zeros(PAGE_ROWS, np.int64)
            page[rows[where] % PAGE_ROWS] = entries[where]

    def export(self) -> tuple[U8, U64, U32, I64]:
        """Return all of it as m pages.

        The origins, uint8[m, 16], operations, uint64[m], and numbers, uint32[m], say whose rows they are;
        the entries are int64[m, PAGE_ROWS].
        """
        origins = np.frombuffer(b"".join(origin for origin, _, _ in self._pages), np.uint8)
        operations = np.array([operation for _, operation, _ in self._pages], np.uint64)
        numbers = np.array([number for _, _, number in self._pages], np.uint32)
        entries = np.zeros((len(self._pages), PAGE_ROWS), np.int64)
        for place, page in enumerate(self._pages.values()):
            entries[place] = page
        return origins.reshape(-1, ORIGIN_BYTES), operations, numbers, entries

    def load(self, origins: U8, operations: U64, numbers: U32, entries: I64) -> None:
        """Take over what `export` returned."""
        keys = zip(map(bytes, origins), operations.tolist(), numbers.tolist(), strict=True)
        self._pages = dict(zip(keys, entries, strict=True))


def _by_page(rows: U32) -> list[tuple[int, slice | np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    numbers = rows >> _PAGE_BITS
    lowest, highest = int(numbers.min()), int(numbers.max())
    if lowest == highest:
        return [(lowest, slice(None))]
    return [(int(number), numbers == number) for number in np.unique(numbers)]
