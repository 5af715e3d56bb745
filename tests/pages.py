"""The repository's pages as tests read them: tables, links, sections, code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

#: a table: its header's cells, then the cells of each row
Table = tuple[list[str], list[list[str]]]


def all_pages() -> list[Path]:
    """Return every page that is written for people."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Return a page without its fenced code."""
    return _FENCED.sub("", text)


def fences(text: str, language: str | None = None) -> list[str]:
    """Return the blocks of fenced code, in this language where one is named."""
    return [block for found, block in _FENCED.findall(text) if language in (None, found)]


def code(text: str) -> list[str]:
    """Return the page's pieces of code: each line of fenced code, each span."""
    lines = [line for fence in fences(text) for line in fence.splitlines()]
    return lines + _SPAN.findall(prose(text))


def spans(text: str) -> list[str]:
    return _SPAN.findall(text)


def words(text: str) -> set[str]:
    """Return the names in a page's code: identifiers and the like."""
    return {word for piece in code(text) for word in re.findall(r"[\w-]+", piece)}


def tables(text: str) -> Iterator[Table]:
    """Yield the page's tables. A `\\|` inside a cell stays."""
    found = re.findall(r"^\|.*\|\n\|[- |]+\|\n(?:\|.*\|\n?)*", prose(text), re.MULTILINE)
    for block in found:
        head, _, *rows = ([cell.strip() for cell in _cells(line)] for line in block.splitlines())
        yield head, rows


def table(text: str, *head: str) -> list[list[str]]:
    """Return the rows of the table whose header begins with these cells."""
    (rows,) = [rows for found, rows in tables(text) if found[: len(head)] == list(head)]
    return rows


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


def sections(text: str) -> dict[str, str]:
    """Return what stands under each heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchors(text: str) -> set[str]:
    """Return the page's headings as GitHub names them in links."""
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in _HEADING.findall(prose(text))}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, anchor) of each link that stays within the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            yield (page.parent / name).resolve() if name else page, anchor
