"""The exact pass over a source: cleans cells, names every problem, counts physical lines.

It decides what the quick pass could not, and writes the rows of a file that turns out good. Lines are taken a
block at a time where that is sure to say the same (csv_block), else record by record. Memory stays flat
however many rows are bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eomd.errors import InvalidFileError, TooLargeError
from eomd.storage.csv_block import LineBlock, read_block
from eomd.storage.csv_encoding import SourceText
from eomd.storage.csv_fast import RowsSink
from eomd.storage.csv_layout import Layout, is_blank, split_full_width
from eomd.storage.csv_problems import ProblemList
from eomd.storage.csv_records import Record, RecordReader
from eomd.storage.csv_values import USER_RULE

_BLOCK_ROWS = 16_384
_BLOCK_CHARACTERS = 4 << 20

U64 = NDArray[np.uint64]


class ExactPass:
    """One reading of one file."""

    def __init__(
        self, text: SourceText, layout: Layout, sink: RowsSink, rows_max: int, seen: BinaryIO | None = None
    ) -> None:
        #: `seen` takes (user, line) of every row with a user, as pairs of uint64
        self.problems = ProblemList()
        #: that are not blank, good or bad
        self.rows = 0
        self._text, self._layout, self._sink = text, layout, sink
        self._rows_max, self._seen = rows_max, seen
        self._headed = layout.header is not None
        self._kept = _KeptRows()

    def read(self, line_bytes_max: int) -> None:
        """Read the file; afterwards `problems` are known, and the sink holds the rows if there are none.

        Raises TooLargeError.
        """
        with closing(self._text.open_utf8()) as stream:
            reader = RecordReader(stream, self._layout.delimiter, line_bytes_max)
            for first_line, lines in reader.chunks():
                whole = not (self._headed or reader.within_record)
                block = read_block(first_line, lines, self._layout, line_bytes_max) if whole else None
                if block is not None:
                    self._take_block(block)
                else:
                    for record in reader.records(first_line, lines):
                        self._take_record(record)
            if (last := reader.finish()) is not None:
                self._take_record(last)
        self._flush()
        if not self.rows:
            self.problems.add(1, None, None, "no rows")

    def _take_record(self, record: Record) -> None:
        cells = record.cells
        if self._layout.full_width and not record.fault:
            cells = split_full_width(record, self._layout.width)
        if not record.fault and is_blank(cells):
            return
        if self._headed:
            self._headed = False
            return
        self._count_rows(1)
        if record.fault or len(cells) != self._layout.width:
            self._refuse_line(record, record.fault or self._count_reason(len(cells)))
            return
        user, amounts = self._parse(record.line, cells)
        if user:
            carried = [cells[position] for position in self._layout.carried]
            if self._kept.add(record.line, user, amounts, carried):
                self._flush()

    def _take_block(self, block: LineBlock) -> None:
        """Take lines of which most are sure; the others are parsed one by one."""
        self._flush()
        users = block.user.values
        amounts = [reading.values for reading in block.amounts]
        known, blank = block.user.valid.copy(), np.zeros(len(users), np.bool_)
        for position, cells in self._doubtful(block):
            blank[position] = is_blank(cells)
            if blank[position]:
                continue
            user, parsed = self._parse(int(block.lines[position]), cells)
            known[position] = bool(user)
            users[position] = user
            if len(parsed) == len(amounts):
                for column, amount in zip(amounts, parsed, strict=True):
                    column[position] = amount
        self._count_rows(len(users) - int(np.count_nonzero(blank)))
        self._write(
            users[known],
            block.lines[known],
            [column[known] for column in amounts],
            [block.columns[position].filter(pa.array(known)) for position in self._layout.carried],
        )

    def _doubtful(self, block: LineBlock) -> list[tuple[int, tuple[str, ...]]]:
        """Return (position, cells) of the lines that are not surely good; many bad ones are only counted."""
        doubtful = ~block.sure
        if len(self.problems.listed) == InvalidFileError.problems_listed_max:
            hopeless = block.hopeless
            self.problems.total += int(hopeless.sum())
            doubtful &= hopeless == 0
        positions = np.flatnonzero(doubtful)
        return list(zip(positions.tolist(), block.rows(positions), strict=True))

    def _flush(self) -> None:
        """Pass on the rows that were taken one by one."""
        kept, self._kept = self._kept, _KeptRows()
        users, lines = np.array(kept.users, np.uint64), np.array(kept.lines, np.uint64)
        if self.problems.total:
            self._write(users, lines, [], [])
        elif kept.users:
            amounts = [np.array(column, np.int64) for column in zip(*kept.amounts, strict=True)]
            carried = [pa.array(column, pa.string()) for column in zip(*kept.carried, strict=True)]
            self._write(users, lines, amounts, carried)

    def _write(self, users: U64, lines: U64, amounts: list[NDArray[np.int64]], carried: list[Any]) -> None:
        """Pass on rows with a user: to `seen`, and while there is no problem to the sink."""
        if self._seen is not None:
            np.stack([users, lines], axis=1).tofile(self._seen)
        if len(users) and not self.problems.total:
            self._sink.write(users, np.stack(amounts, axis=1) if amounts else None, carried)

    def _refuse_line(self, record: Record, reason: str) -> None:
        self.problems.add(record.line, None, self._layout.delimiter.join(record.cells), reason)

    def _count_reason(self, columns: int) -> str:
        than = "the header" if self._layout.header else "the first line"
        return f"{columns} columns, {than} has {self._layout.width}"

    def _count_rows(self, rows: int) -> None:
        self.rows += rows
        if self.rows > self._rows_max:
            raise TooLargeError("limits.rows", self._rows_max, "rows")

    def _parse(self, line: int, cells: Sequence[str]) -> tuple[int, list[int]]:
        """Return the user, 0 for none, and the amounts that are good; note the problems."""
        names, layout = self._layout.names, self._layout
        user = USER_RULE.parse(cells[0])
        if isinstance(user, str):
            self.problems.add(line, names[0], cells[0], user)
        amounts = []
        for position in layout.amounts:
            amount = layout.amount_rule.parse(cells[position])
            if isinstance(amount, str):
                self.problems.add(line, names[position], cells[position], amount)
            else:
                amounts.append(amount)
        return 0 if isinstance(user, str) else user, amounts


@dataclass(slots=True)
class _KeptRows:
    """Rows that were taken one by one and not passed on yet."""

    users: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    amounts: list[list[int]] = field(default_factory=list)
    carried: list[list[str]] = field(default_factory=list)
    characters: int = 0

    def add(self, line: int, user: int, amounts: list[int], carried: list[str]) -> bool:
        """Keep a row; tell whether there are many."""
        self.users.append(user)
        self.lines.append(line)
        self.amounts.append(amounts)
        self.carried.append(carried)
        self.characters += sum(map(len, carried))
        return len(self.users) >= _BLOCK_ROWS or self.characters > _BLOCK_CHARACTERS
