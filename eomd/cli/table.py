"""Plain tables for people: columns as wide as their widest cell, CJK counted as two."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def format_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the lines of a table, without one at the end."""
    cells = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(_format_row(row, widths) for row in cells)


def _format_row(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
    return "  ".join(padded).rstrip()


def printable(cell: object) -> str:
    """Keep control characters, which a description may hold, away from the terminal."""
    text = "" if cell is None else str(cell)
    return "".join(c if c.isprintable() else "�" for c in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
