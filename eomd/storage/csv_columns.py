"""Columns of numbers that need cleaning: what is sure is decided at once, the rest is left to be asked.

Never says otherwise than `NumberRule.parse`: a cell is sure to be a number, sure not to be one, or neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eomd.storage.csv_values import DIGITS_MAX, NumberRule
from eomd.storage.string_columns import string_buffers

_CLEANED = r"^[\s\pZ]*'?(-?[0-9]+)(?:\.0)?[\s\pZ]*$"
_ZERO, _MINUS = 0x30, 0x2D
_FULL_WIDTH_ZERO = 0xFF10

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """What is sure about n cells."""

    #: uint64[n] or int64[n], meaningless where not valid; the reader's own
    values: NDArray[Any]
    #: bool[n]: surely a number the rule accepts
    valid: Bools
    #: bool[n]: surely not one, and not blank
    hopeless: Bools


def read_column(cells: Any, rule: NumberRule) -> ColumnReading:
    """Read a string array of n cells as far as can be told at once."""
    values = rule.parse_column(cells)
    if values is not None:
        # a copy, because the exact pass writes into it what it was told one by one
        return ColumnReading(values.copy(), np.ones(len(cells), np.bool_), np.zeros(len(cells), np.bool_))
    starts, characters = string_buffers(cells)
    cleaned = _clean(cells, ascii_only=not (characters & 0x80).any())
    numeric = _are_numbers(cleaned)
    values, valid = _read_numbers(cleaned, numeric, rule)
    # for printable ASCII the cleaning here is all the cleaning there is
    plain = _rows_with(starts, _VISIBLE[characters]) & ~_rows_with(starts, ~_PRINTABLE[characters])
    return ColumnReading(values, valid, _rows_with(starts, _HOPELESS[characters]) | (plain & ~numeric))


def _clean(cells: Any, ascii_only: bool) -> Any:
    if not ascii_only:
        for digit in range(10):
            cells = pc.replace_substring(cells, chr(_FULL_WIDTH_ZERO + digit), str(digit))
    return pc.replace_substring_regex(cells, _CLEANED, r"\1")


def _are_numbers(cells: Any) -> Bools:
    """Tell which cells are digits, perhaps behind a minus."""
    starts, characters = string_buffers(cells)
    lengths = np.diff(starts)
    others = characters - np.uint8(_ZERO) > 9
    first = starts[:-1][lengths > 1]
    others[first[characters[first] == _MINUS]] = False
    return ~_rows_with(starts, others) & (lengths > 0)


def _read_numbers(cells: Any, numeric: Bools, rule: NumberRule) -> tuple[NDArray[Any], Bools]:
    starts, characters = string_buffers(cells)
    signs = np.zeros(len(cells), np.int32)
    signs[numeric] = characters[starts[:-1][numeric]] == _MINUS
    # 18 digits fit int64, and one of 19 may not: it is asked for
    digits_max = DIGITS_MAX if rule.minimum > 0 else DIGITS_MAX - 1
    valid = numeric & (np.diff(starts) - signs <= digits_max) & ((signs == 0) | (rule.minimum < 0))
    values = np.zeros(len(cells), rule.dtype)
    values[valid] = pc.cast(cells.filter(pa.array(valid)), pa.from_numpy_dtype(rule.dtype)).to_numpy()
    valid &= (values >= rule.minimum) & (values <= rule.maximum)
    return values, valid


def _rows_with(starts: NDArray[np.int32], marked: Bools) -> Bools:
    """Tell which of n cells hold a marked byte."""
    rows = np.zeros(len(starts) - 1, np.bool_)
    rows[np.searchsorted(starts, np.flatnonzero(marked), side="right") - 1] = True
    return rows


def _bytes_between(first: int, last: int) -> Bools:
    table = np.zeros(256, np.bool_)
    table[first : last + 1] = True
    return table


def _hopeless() -> Bools:
    """Return which UTF-8 bytes no cleaning takes away: visible ASCII but `0-9 ' . -`, and Chinese."""
    table = _bytes_between(0x21, 0x7E)
    table[list(b"0123456789'.-")] = False
    # lead bytes of U+4000 … U+9FFF
    return table | _bytes_between(0xE4, 0xE9)


_VISIBLE, _PRINTABLE = _bytes_between(0x21, 0x7E), _bytes_between(0x20, 0x7E)
_HOPELESS = _hopeless()
