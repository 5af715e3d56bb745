"""The log of an operation: its readable story, one dated line per event. Never a row of the file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from eomd.model import Counts, Operation


def tell(path: Path, text: str, now: datetime | None = None) -> None:
    """Append one line. Blocks on the disk; raises OSError."""
    moment = (now or datetime.now(UTC)).isoformat(timespec="milliseconds")
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{moment} {text}\n")


def format_counts(counts: Counts) -> str:
    """Say in words how the rows stand."""
    text = f"{counts.done:,} of {counts.total:,} rows answered: {counts.ok:,} ok, {counts.failed:,} failed"
    return f"{text}, {counts.uncertain:,} uncertain" if counts.uncertain else text


def format_state(operation: Operation) -> str:
    """Say which state was entered, why, and how the rows stand. `timeline` reads it."""
    by = f" by {operation.paused_by.value}" if operation.paused_by else ""
    reason = f" ({operation.message})" if operation.message else ""
    return f"{operation.state.value}{by}{reason}; {format_counts(operation.counts)}"


def format_hand_in(operation: Operation) -> str:
    """Say who asked for what."""
    order, rows = operation.order, operation.counts.total
    what = f"{order.mode} " if order.mode else ""
    dry = " (dry run)" if order.dry_run else ""
    if operation.parent is not None:
        dry = f"{dry} as {operation.kind} of operation {operation.parent}"
    eids = ", ".join(map(str, order.eids))
    return (
        f"handed in by {order.operatorname} ({order.operatorid}): {order.model} {what}of EID {eids} "
        f"in cluster {order.cluster}{dry}, {rows:,} rows from {operation.original_name!r}"
    )
