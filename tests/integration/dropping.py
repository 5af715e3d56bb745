"""Files as a watchdog has claimed them, offered to a server's rooms without a watchdog."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from eomd.inbox_layout import OUTBOX, REFUSED, TAKEN, format_taken
from eomd.model import Order
from eomd.operations.dropped import Answer, Dropped, Verdict
from tests.integration.life import Life

_moments = count(time.time_ns(), 1_000)


class DropFolder:
    """One installation's inbox and outbox."""

    def __init__(self, data: Path) -> None:
        self.inbox, self.outbox = data / "inbox", data / OUTBOX
        self.taken, self.refused = self.inbox / TAKEN, self.inbox / REFUSED
        self.taken.mkdir(parents=True)
        self.refused.mkdir()

    def claim(self, name: str, content: bytes, order: Order | None, **changes: Any) -> Dropped:
        """Put a file where a claimed one lies, and describe it as the watchdog would."""
        taken = format_taken(next(_moments), name)
        (self.taken / taken).write_bytes(content)
        fields = {"original_name": name, "recipe": "", "size": 0, "mtime_ns": 0, **changes}
        return self.look(Dropped(taken=taken, name=name, order=order, **fields))

    def look(self, dropped: Dropped) -> Dropped:
        """Describe a claimed file as it is now."""
        facts = os.lstat(self.taken / dropped.taken)
        return replace(dropped, size=facts.st_size, mtime_ns=facts.st_mtime_ns)

    def problems(self, dropped: Dropped) -> str:
        """Return the text beside a refused file."""
        assert (self.refused / dropped.taken).exists()
        assert not (self.taken / dropped.taken).exists()
        return (self.refused / f"{dropped.taken}.problems.txt").read_text()

    def status(self, stem: str) -> Any:
        """Return what stands in a status file; None for no file."""
        path = self.outbox / f"{stem}.status.json"
        return json.loads(path.read_bytes()) if path.exists() else None

    def answers(self) -> list[str]:
        return sorted(path.name for path in self.outbox.iterdir()) if self.outbox.exists() else []


async def offer(life: Life, dropped: Sequence[Dropped]) -> list[Answer]:
    return await life.desk.inbox.offer(dropped)


async def verdicts(life: Life, *dropped: Dropped) -> list[str]:
    return [answer.verdict.value for answer in await offer(life, dropped)]


async def admit(life: Life, *dropped: Dropped) -> list[int]:
    """Offer files that must become operations; return their ids."""
    answers = await offer(life, dropped)
    assert [answer.verdict for answer in answers] == [Verdict.ADMITTED] * len(dropped), answers
    ids = [answer.operation for answer in answers]
    assert None not in ids
    return [identity for identity in ids if identity is not None]
