"""What a source file's columns are: separator, header, which column is user, amount, or carried.

Decided from the first records and the order; what is wrong here is a problem of line 1 (to be
exact: of the first line that is not empty). Reads no further than a few records.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from eomd.errors import FileProblem, InvalidFileError
from eomd.model import Model, Order
from eomd.storage.csv_encoding import SourceText
from eomd.storage.csv_problems import ProblemList
from eomd.storage.csv_records import Record, read_records
from eomd.storage.csv_values import USER_RULE, NumberRule, amount_rule, clean_number, is_number_header, trim

DELIMITERS = (",", "\t", ";")
SAMPLE_RECORDS = 20
#: nobody carries so many; a line of a million separators is no header
COLUMNS_MAX = 1024
_AMOUNT_HEADERS = frozenset({"amount", "数量", "points"})
_TO_COMMA = str.maketrans("；", "，")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in each line of one file."""

    delimiter: str
    #: columns
    width: int
    #: the headers as written, trimmed; None where the file has no header
    header: tuple[str, ...] | None
    #: what each column is called to people
    names: tuple[str, ...]
    #: positions of the amounts: none, one for all EIDs, or one per EID in the operation's order
    amounts: tuple[int, ...] = ()
    #: positions of the columns that go into the result as they are
    carried: tuple[int, ...] = ()
    #: what the amounts must be; meaningless without any
    amount_rule: NumberRule = USER_RULE
    #: full-width separators cut a line that has too few columns
    full_width: bool = False

    @property
    def user_header(self) -> str | None:
        return self.header[0] if self.header else None

    @property
    def carried_headers(self) -> tuple[str, ...]:
        return tuple(self.names[position] for position in self.carried)


def is_blank(cells: Sequence[str]) -> bool:
    """Tell whether a line is empty: nothing but spaces, or nothing but separators (Excel's cleared rows)."""
    return not any(map(trim, cells))


def split_full_width(record: Record, width: int) -> list[str]:
    """Cut at full-width separators, from the left, as many as a line of `width` columns is short of."""
    missing = width - len(record.cells)
    if missing <= 0:
        return record.cells
    cells: list[str] = []
    for position, cell in enumerate(record.cells):
        if missing > 0 and position not in record.quoted:
            parts = _split_left(cell, missing)
            missing -= len(parts) - 1
            cells += parts
        else:
            cells.append(cell)
    return cells


def _split_left(cell: str, times: int) -> list[str]:
    parts, start = [], 0
    for found in cell.translate(_TO_COMMA).split("，", times)[:-1]:
        parts.append(cell[start : start + len(found)])
        start += len(found) + 1
    return [*parts, cell[start:]]


def find_layout(text: SourceText, order: Order | None, line_bytes_max: int) -> Layout:
    """Decide separator, header and columns; without an order the file may be for anything.

    Raises InvalidFileError, TooLargeError.
    """
    delimiter = _choose_delimiter(text, line_bytes_max)
    first = next(iter(read_sample(text, delimiter, line_bytes_max, 1)), None)
    if first is None:
        raise InvalidFileError([FileProblem(1, None, None, "the file is empty")], 1)
    columns = len(first.cells)
    too_many = f"{columns} columns, more than {COLUMNS_MAX}" if columns > COLUMNS_MAX else None
    if fault := first.fault or too_many:
        raise InvalidFileError([FileProblem(first.line, None, None, fault)], 1)
    return _Columns(delimiter, first, order).layout()


def read_sample(text: SourceText, delimiter: str, line_bytes_max: int, records: int) -> list[Record]:
    """Return the first records that are not empty."""
    with closing(text.open_utf8()) as stream:
        found = read_records(stream, delimiter, line_bytes_max)
        return list(
            islice((record for record in found if record.fault or not is_blank(record.cells)), records)
        )


def starts_header(first_cell: str) -> bool:
    """Tell whether a first line with this first cell is a header: letter, CJK character, underscore."""
    start = trim(first_cell)[:1]
    return start.isalpha() or start == "_"


def _choose_delimiter(text: SourceText, line_bytes_max: int) -> str:
    samples = {
        delimiter: read_sample(text, delimiter, line_bytes_max, SAMPLE_RECORDS) for delimiter in DELIMITERS
    }
    return max(DELIMITERS, key=lambda delimiter: _fit(samples[delimiter]))


def _fit(sample: list[Record]) -> tuple[int, int, int]:
    """Tell how well a separator fits: lines with a user as wide as the first, with a user, cut at all."""
    cut = [record for record in sample if len(record.cells) > 1]
    with_user = [record for record in cut if isinstance(USER_RULE.parse(record.cells[0]), int)]
    even = [record for record in with_user if len(record.cells) == len(sample[0].cells)]
    return len(even), len(with_user), len(cut)


class _Columns:
    """Finds out what the columns are, and what is wrong with them."""

    def __init__(self, delimiter: str, first: Record, order: Order | None) -> None:
        self._delimiter, self._first, self._order = delimiter, first, order
        self._modify = order is not None and order.model is Model.MODIFY
        self._problems = ProblemList()
        self._cells = [trim(cell) for cell in self._first_cells()]
        self._headed = starts_header(self._cells[0])

    def layout(self) -> Layout:
        """Raises InvalidFileError."""
        carried = tuple(range(1, len(self._cells)))
        if not self._modify:
            return self._build((), carried)
        amounts = self._headed_amounts() if self._headed else self._unheaded_amounts()
        self._check_amount_source(amounts)
        self._problems.raise_any()
        return self._build(amounts, tuple(p for p in carried if p not in amounts))

    def _build(self, amounts: tuple[int, ...], carried: tuple[int, ...]) -> Layout:
        header = tuple(self._cells) if self._headed else None
        return Layout(
            delimiter=self._delimiter,
            width=len(self._cells),
            header=header,
            names=self._names(amounts),
            amounts=amounts,
            carried=carried,
            amount_rule=amount_rule(self._order.mode if self._order else None),
            full_width=self._modify or self._order is None,
        )

    def _names(self, amounts: tuple[int, ...]) -> tuple[str, ...]:
        if self._headed:
            return tuple(cell or f"column{position}" for position, cell in enumerate(self._cells, 1))
        others = range(1, len(self._cells))
        return "userid", *("amount" if p in amounts else f"column{p + 1}" for p in others)

    def _first_cells(self) -> list[str]:
        """Return the first line's cells; a modify's may be cut by full-width separators alone."""
        cells = self._first.cells
        if self._modify and len(cells) == 1 and self._order is not None and self._order.amount is None:
            return split_full_width(self._first, len(cells[0]))
        return cells

    def _unheaded_amounts(self) -> tuple[int, ...]:
        if len(self._cells) > 2:
            self._add(None, "a modify file with more than two columns needs a header")
        return (1,) if len(self._cells) == 2 else ()

    def _headed_amounts(self) -> tuple[int, ...]:
        named = [p for p, cell in enumerate(self._cells) if p and cell.casefold() in _AMOUNT_HEADERS]
        numbers = [p for p, cell in enumerate(self._cells) if p and is_number_header(cell)]
        if len(named) > 1:
            self._add(named[1], "a second column of amounts")
        if named and numbers:
            self._add(numbers[0], f"amounts per EID beside the column {self._cells[named[0]]}")
        if named:
            return (named[0],)
        if numbers:
            return self._amounts_per_eid(numbers)
        return (1,) if len(self._cells) == 2 else ()

    def _amounts_per_eid(self, positions: list[int]) -> tuple[int, ...]:
        assert self._order is not None
        eids = self._order.eids
        found: dict[int, int] = {}
        for position in positions:
            cleaned = clean_number(self._cells[position])
            eid = int(cleaned) if cleaned.isdigit() and len(cleaned) < 20 else None
            if eid not in eids or eid is None:
                self._add(position, self._unknown_eid(positions))
            elif eid in found:
                self._add(position, "a second column of this EID")
            else:
                found[eid] = position
        if not self._problems.total:
            for eid in eids:
                if eid not in found:
                    self._problems.add(self._first.line, str(eid), None, f"no column of the EID {eid}")
        return tuple(found.values()) if self._problems.total else tuple(found[eid] for eid in eids)

    def _unknown_eid(self, positions: list[int]) -> str:
        assert self._order is not None
        headed = {clean_number(self._cells[position]) for position in positions}
        missing = [str(eid) for eid in self._order.eids if str(eid) not in headed]
        reason = f"not one of the operation's EIDs {', '.join(map(str, self._order.eids))}"
        return f"{reason}; no column of {', '.join(missing)}" if missing else reason

    def _check_amount_source(self, amounts: tuple[int, ...]) -> None:
        if self._problems.total or self._order is None:
            return
        if amounts and self._order.amount is not None:
            self._add(amounts[0], "amounts in the file and an amount in the configuration: leave one out")
        if not amounts and self._order.amount is None:
            self._problems.add(
                self._first.line, "amount", None, "no amount, neither in the file nor in the configuration"
            )

    def _add(self, position: int | None, reason: str) -> None:
        if position is None:
            self._problems.add(self._first.line, None, self._delimiter.join(self._first.cells), reason)
        else:
            name = self._cells[position] if self._headed else "amount"
            self._problems.add(self._first.line, name, self._cells[position], reason)
