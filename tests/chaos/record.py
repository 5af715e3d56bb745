"""What was measured, and the table of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Record:
    """One fault that was put on and got over."""

    fault: str
    #: no other one stood beside it
    alone: bool
    #: seconds from when it was put on until the system said so; None: it never did, or had not to
    noticed_s: float | None
    #: seconds from when it was taken off, or put on where it passes by itself, until all was as before
    healed_s: float


def format_table(names: Sequence[str], records: Sequence[Record]) -> str:
    """Return the table, the faults in this order."""
    lines = [f"{'fault':<26} {'times':>5} {'alone':>5}   {'time to notice, s':^19}   {'time to heal, s':^19}"]
    lines += [f"{'':<26} {'':>5} {'':>5}   {'median':>9} {'worst':>9}   {'median':>9} {'worst':>9}"]
    return "\n".join(
        [*lines, *(_format_line(name, [r for r in records if r.fault == name]) for name in names)]
    )


def _format_line(name: str, records: Sequence[Record]) -> str:
    alone = sum(record.alone for record in records)
    noticed = [record.noticed_s for record in records if record.noticed_s is not None]
    healed = [record.healed_s for record in records]
    return f"{name:<26} {len(records):>5} {alone:>5}   {_format_pair(noticed)}   {_format_pair(healed)}"


def _format_pair(seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{'–':>9} {'–':>9}"
    return f"{median(seconds):>9.2f} {max(seconds):>9.2f}"
