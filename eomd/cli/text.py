"""Text in the columns of a terminal: a CJK character takes two, a mark upon another character none. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate

#: a space at which no line is broken
GLUE = "\N{NO-BREAK SPACE}"
#: these do not begin a line, those do not end one
_CLOSING, _OPENING = "、。，．：；！？）」』】》〉”’％…,.:;!?)]", "（「『【《〈“‘(["


def printable(cell: object) -> str:
    """Keep control characters, which a description may hold, away from the terminal."""
    text = "" if cell is None else str(cell)
    return "".join(c if c.isprintable() or c == GLUE else "\N{REPLACEMENT CHARACTER}" for c in text)


def width(text: str) -> int:
    """Return how many columns it takes."""
    return sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """Return the text in at most so many columns, with an ellipsis where something is left out."""
    return text if width(text) <= columns else _take(text, columns - 1) + "…"


def wrap(text: str, columns: int, indent: str = "") -> Iterator[str]:
    """Yield the text in lines of at most so many columns, those after the first indented."""
    line, gap, begun = "", "", False
    for piece in _pieces(printable(text)):
        if piece.isspace() and GLUE not in piece:
            gap += piece
            continue
        if begun and width(line + gap + piece) > columns:
            yield line.replace(GLUE, " ")
            line, gap = indent, ""
        line, gap, begun = line + gap + piece, "", True
        while width(line) > columns:
            full = _take(line, columns)
            yield full.replace(GLUE, " ")
            line = indent + line[len(full) :]
    if begun:
        yield line.replace(GLUE, " ")


def _pieces(text: str) -> Iterator[str]:
    """Yield spaces, words, and the characters of scripts without spaces: a line may begin with each."""
    for run in re.findall(r" +|[^ ]+", text):
        piece = ""
        for char in run:
            if piece and _may_break(piece[-1], char):
                yield piece
                piece = ""
            piece += char
        yield piece


def _may_break(before: str, after: str) -> bool:
    if after in _CLOSING or before in _OPENING or _columns(after) == 0:
        return False
    return _columns(after) == 2 or _columns(before) == 2


def _take(text: str, columns: int) -> str:
    """Return as much of its beginning as so many columns hold."""
    return text[: sum(taken <= columns for taken in accumulate(map(_columns, text)))]


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
