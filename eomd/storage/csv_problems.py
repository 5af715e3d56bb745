"""The problems of one file: the first of them are kept, all are counted."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from eomd.errors import FileProblem, InvalidFileError

VALUE_CHARACTERS_MAX = 100


class ProblemList:
    """Keeps the first problems by line, in constant memory. Problems come in with ascending lines."""

    def __init__(self) -> None:
        self.listed: list[FileProblem] = []
        self.total = 0

    def add(self, line: int, column: str | None, value: str | None, reason: str) -> None:
        self.total += 1
        if len(self.listed) < InvalidFileError.problems_listed_max:
            shown = None if value is None else value[:VALUE_CHARACTERS_MAX]
            self.listed.append(FileProblem(line, column, shown, reason))

    def merge(self, others: Iterable[FileProblem], total: int) -> None:
        """Add the first problems of another kind, by ascending lines, of which there are `total`."""
        merged = heapq.merge(self.listed, others, key=lambda problem: problem.line)
        self.listed = list(merged)[: InvalidFileError.problems_listed_max]
        self.total += total

    def raise_any(self) -> None:
        """Raise InvalidFileError where there is a problem."""
        if self.total:
            raise InvalidFileError(self.listed, self.total)
