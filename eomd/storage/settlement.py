"""What a person has decided about the uncertain rows of an ended operation; kept beside its rows. Blocks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eomd.durable import write_atomically
from eomd.errors import FolderDamagedError
from eomd.storage.rows_file import U8, Bools

U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]


class Verdict(IntEnum):
    """What is held to have become of an uncertain row."""

    APPLIED = 1
    NOT_APPLIED = 2
    #: nobody knows, and another operation sends it again
    SEND_AGAIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Settlement:
    """Verdicts by row."""

    #: uint32[n], sorted, each once
    rows: U32
    #: uint8[n]: Verdict
    verdicts: U8
    #: uint16[n]: which order to send again, from 1; 0 for the other verdicts
    batches: U16

    @classmethod
    def none(cls) -> Settlement:
        return cls(np.zeros(0, np.uint32), np.zeros(0, np.uint8), np.zeros(0, np.uint16))

    @classmethod
    def load(cls, path: Path) -> Settlement:
        """Return what was decided; nothing where there is no file. Raises FolderDamagedError, OSError."""
        if not path.exists():
            return cls.none()
        try:
            with np.load(io.BytesIO(path.read_bytes())) as columns:
                return cls(columns["rows"], columns["verdicts"], columns["batches"])
        except (ValueError, KeyError, EOFError) as error:
            raise FolderDamagedError(f"{path.name} is damaged: {error}") from error

    def save(self, path: Path) -> None:
        """Raises OSError."""
        content = io.BytesIO()
        np.savez(content, rows=self.rows, verdicts=self.verdicts, batches=self.batches)
        write_atomically(path, content.getvalue())

    def format_csv(self) -> bytes:
        """Return it for people: row, verdict, and which order to send again, empty where none."""
        columns = zip(self.rows.tolist(), self.verdicts.tolist(), self.batches.tolist(), strict=True)
        lines = (f"{row},{Verdict(verdict).word},{batch or ''}" for row, verdict, batch in columns)
        return "\n".join(["row,settled,batch", *lines, ""]).encode()

    @property
    def last_batch(self) -> int:
        return int(self.batches.max(initial=0))

    def count(self, verdict: Verdict) -> int:
        return int(np.count_nonzero(self.verdicts == verdict))

    def knows(self, rows: U32) -> Bools:
        """Tell which of these rows are decided."""
        return np.isin(rows, self.rows)

    def of(self, rows: U32) -> Settlement:
        """Return what was decided about these rows."""
        return self._pick(np.isin(self.rows, rows))

    def batch(self, number: int) -> Settlement:
        """Return the rows of one order to send again."""
        return self._pick(self.batches == number)

    def add(self, rows: U32, verdict: Verdict) -> Settlement:
        """Decide about rows that are not decided; those to send again become a batch of their own."""
        batch = self.last_batch + 1 if verdict is Verdict.SEND_AGAIN else 0
        together = np.concatenate([self.rows, rows])
        order = np.argsort(together, kind="stable")
        verdicts = np.concatenate([self.verdicts, np.full(len(rows), verdict, np.uint8)])
        batches = np.concatenate([self.batches, np.full(len(rows), batch, np.uint16)])
        return Settlement(together[order], verdicts[order], batches[order])

    def between(self, start: int, stop: int) -> Settlement:
        """Return what was decided about rows start … stop."""
        first, end = np.searchsorted(self.rows, [start, stop])
        return self._pick(slice(int(first), int(end)))

    def _pick(self, where: slice | Bools) -> Settlement:
        return Settlement(self.rows[where], self.verdicts[where], self.batches[where])
