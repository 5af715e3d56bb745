"""What a simulated cluster really did, read from its own journal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from eomd.evt.simulator import read_journal
from eomd.model import RowStatus


def count_applied(state: Path) -> Counter[int]:
    """Return how often each user's counters were changed."""
    applied: Counter[int] = Counter()
    for block in read_journal(state):
        applied.update(block.users[block.status == RowStatus.OK].tolist())
    return applied


def read_result(content: bytes) -> list[list[str]]:
    """Return the cells of a result's rows, the header's first."""
    return [line.split(",") for line in content.decode().splitlines()]
