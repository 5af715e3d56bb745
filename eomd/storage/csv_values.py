"""Users and amounts as text: what is cleaned, what is refused and why, for one cell and for a whole column.

The column form answers only for cells that need no cleaning; what it accepts, the cell form accepts as the
same number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eomd.model import USER_MAX, VALUE_MAX, VALUE_MIN, Mode
from eomd.storage.string_columns import string_buffers

DIGITS_MAX = 19
#: spaces without width, and the byte order mark inside a text: str.strip() leaves them
_NO_WIDTH = "\u180e\u200b\u2060\ufeff"
_FULL_WIDTH_DIGITS = {0xFF10 + digit: str(digit) for digit in range(10)}

_PLAIN = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]+")
_EXPONENT = re.compile(r"[+-]?[0-9]+([.,][0-9]*)?[eE][+-]?[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}([,.'\s，][0-9]{3})+([.,][0-9]+)?")
_DECIMAL = re.compile(r"[+-]?[0-9]*[.,][0-9]*")
_HEADED_BY_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*([eE][+-]?[0-9]+)?")

_ZERO, _MINUS = 0x30, 0x2D


def trim(text: str) -> str:
    """Cut surrounding spaces of any kind."""
    trimmed = text.strip()
    while trimmed and (trimmed[0] in _NO_WIDTH or trimmed[-1] in _NO_WIDTH):
        trimmed = trimmed.strip(_NO_WIDTH).strip()
    return trimmed


def clean_number(text: str) -> str:
    """Take off what is not the number: spaces, one leading apostrophe, full-width forms, a trailing `.0`."""
    cleaned = trim(text)
    if cleaned.startswith("'"):
        cleaned = trim(cleaned[1:])
    return cleaned.translate(_FULL_WIDTH_DIGITS).removesuffix(".0")


def is_number_header(text: str) -> bool:
    """Tell whether a header is a number, in whatever notation."""
    return _HEADED_BY_NUMBER.fullmatch(clean_number(text)) is not None


@dataclass(frozen=True, slots=True)
class NumberRule:
    """The numbers one column accepts."""

    minimum: int
    maximum: int
    #: what a number below the minimum is told
    below: str

    def parse(self, cell: str) -> int | str:
        """Return the number, or the reason why there is none."""
        plain = _PLAIN.fullmatch(cell) or _NUMBER.fullmatch(cell := clean_number(cell))
        if plain is None or len(cell.lstrip("-")) > DIGITS_MAX:
            return _reason(cell)
        number = int(cell)
        if number < self.minimum or (self.minimum >= 0 and cell.startswith("-")):
            return self.below
        return number if number <= self.maximum else f"over {self.maximum}"

    def parse_column(self, cells: Any) -> NDArray[Any] | None:
        """Return a string array's numbers, uint64[n] or int64[n] by the rule's range; None: ask `parse`."""
        starts, characters = string_buffers(cells)
        lengths = np.diff(starts)
        if not len(lengths):
            return np.empty(0, self.dtype)
        signs = self._count_signs(starts, lengths, characters)
        if signs is None or lengths.min() < 1 or lengths.max() > DIGITS_MAX + (signs > 0):
            return None
        try:
            numbers: NDArray[Any] = pc.cast(cells, pa.from_numpy_dtype(self.dtype)).to_numpy()
        except pa.ArrowInvalid:
            return None
        inside = int(numbers.min()) >= self.minimum and int(numbers.max()) <= self.maximum
        return numbers if inside else None

    @property
    def dtype(self) -> Any:
        """uint64 for users, int64 for amounts."""
        return np.uint64 if self.minimum > 0 else np.int64

    def _count_signs(self, starts: Any, lengths: Any, characters: Any) -> int | None:
        """Return how many cells start with a minus; None where anything else is not a digit."""
        others = np.count_nonzero(characters - np.uint8(_ZERO) > 9)
        if not others:
            return 0
        if self.minimum >= 0 or lengths.min() < 1:
            return None
        signs = np.count_nonzero((characters[starts[:-1]] == _MINUS) & (lengths > 1))
        return int(signs) if signs == others else None


USER_RULE = NumberRule(1, USER_MAX, "a user is a number from 1 on")


def amount_rule(mode: Mode | None) -> NumberRule:
    """Return what a modify of this mode accepts as amount."""
    if mode in (Mode.INC, Mode.DEC):
        return NumberRule(0, VALUE_MAX, f"a negative amount is not possible with {mode}")
    return NumberRule(VALUE_MIN, VALUE_MAX, f"below {VALUE_MIN}")


def _reason(cleaned: str) -> str:
    """Tell why a cleaned cell is not a number within 19 digits."""
    if not cleaned:
        return "empty"
    if _EXPONENT.fullmatch(cleaned):
        return "an exponent: Excel has lost the digits; format the column as text and export it again"
    if _NUMBER.fullmatch(cleaned):
        return f"more than {DIGITS_MAX} digits"
    if _NUMBER.fullmatch(cleaned.removeprefix("+")):
        return "a plus sign is not accepted"
    if _THOUSANDS.fullmatch(cleaned):
        return "thousands separators are not accepted"
    if _DECIMAL.fullmatch(cleaned) and any(character.isdigit() for character in cleaned):
        return "a decimal, not a whole number"
    return "not a number"
