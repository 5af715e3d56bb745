"""Plain tables for people: columns as wide as their widest cell, CJK counted as two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eomd.cli.text import printable, width


def format_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the lines of a table, without one at the end."""
    cells = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(_format_row(row, widths) for row in cells)


def _format_row(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (columns - width(cell)) for cell, columns in zip(row, widths, strict=True))
    return "  ".join(padded).rstrip()
