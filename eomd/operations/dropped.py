"""Words about claimed files: what the watchdog offers, and what is answered. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from eomd.errors import InvalidFileError
from eomd.model import Order


@dataclass(frozen=True, slots=True)
class Dropped:
    """A claimed file as the watchdog offers it."""

    #: its name in `.taken`
    taken: str
    #: as it was dropped
    name: str
    #: the same, safe to keep and to show
    original_name: str
    #: the recipe whose folder it was dropped into; "" for the inbox itself
    recipe: str
    size: int
    mtime_ns: int
    #: None where `problems` say why there is none
    order: Order | None
    problems: tuple[str, ...] = ()


class Verdict(StrEnum):
    """What becomes of a claimed file."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    #: offer it again
    LATER = "later"
    #: it has become no operation, and is not there
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Answer:
    verdict: Verdict
    reason: str | None = None
    operation: int | None = None
    #: LATER: somebody still writes to the file
    changed: bool = False


def explain(error: Exception) -> list[str]:
    """Return what is wrong with a file, a problem a line, for who dropped it."""
    if not isinstance(error, InvalidFileError):
        return [str(error)]
    lines = [
        f"line {each.line}"
        + (f", column {each.column}" if each.column else "")
        + (f", {each.value!r}" if each.value else "")
        + f": {each.reason}"
        for each in error.problems
    ]
    more = error.total_problems - len(error.problems)
    return [*lines, f"and {more} more"] if more else lines
