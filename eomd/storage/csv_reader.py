"""A source file's way into an operation: validated as a whole, written as rows, or refused with its problems.

Blocking. A good file passes quickly (csv_fast); any other is read again exactly (csv_exact), which names what
is wrong, or finds that it only needed cleaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eomd.errors import FileProblem, InvalidFileError
from eomd.model import Duplicates, Mode, Model, Order
from eomd.storage.change_hash import ChangeHash
from eomd.storage.csv_encoding import SourceText, scan_source
from eomd.storage.csv_exact import ExactPass
from eomd.storage.csv_fast import read_fast
from eomd.storage.csv_layout import SAMPLE_RECORDS, Layout, find_layout, read_sample, split_full_width
from eomd.storage.csv_problems import VALUE_CHARACTERS_MAX
from eomd.storage.doubled_users import doubled_problems, find_doubled, mark_superseded, users_of
from eomd.storage.rows_file import I64, U64, RowsHead, RowsWriter, disk_errors


@dataclass(frozen=True, slots=True)
class ReadLimits:
    #: in one file
    rows: int
    #: bytes in one line, as UTF-8, without its end; also in one quoted record
    line_bytes: int


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a good source file turned out to be."""

    rows: int
    #: a codec's name: utf-8, utf-8-sig, utf-16, gb18030
    encoding: str
    #: the separator itself
    delimiter: str
    #: as shown to people
    columns: tuple[str, ...]
    #: None without a header
    user_header: str | None
    carried: tuple[str, ...]
    #: rows that are not sent because a later one of the same user is
    superseded: int
    #: hex, of the source's bytes
    sha256: str
    #: see ChangeHash; None for what changes nothing: queries, dry runs
    change_hash: str | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What can be told of a file before anybody says what it is for."""

    bytes: int
    rows: int = 0
    #: empty where the file is no text
    encoding: str = ""
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    #: the first rows, cell by cell, as they stand in the file, at most 100 characters of each
    sample: tuple[tuple[str, ...], ...] = ()
    #: the physical line, from 1, where each of them starts
    sample_lines: tuple[int, ...] = ()
    problems: tuple[FileProblem, ...] = ()
    total_problems: int = 0


def read_source(source: Path, order: Order, limits: ReadLimits, rows_path: Path) -> SourceFacts:
    """Validate a file for an order and write its rows to `rows_path`, on the disk.

    Raises InvalidFileError with the problems, TooLargeError naming `limits.rows` or `limits.line_bytes`,
    DiskFullError; then there is nothing at `rows_path`.
    """
    text = scan_source(source)
    layout = find_layout(text, order, limits.line_bytes)
    duplicates = _duplicates(order)
    written = _write_rows(_Reading(text, layout, limits, rows_path, order), duplicates)
    change = written.change
    superseded = mark_superseded(rows_path, change) if duplicates is Duplicates.LAST else 0
    return SourceFacts(
        rows=written.rows,
        encoding=text.encoding,
        delimiter=layout.delimiter,
        columns=layout.names,
        user_header=layout.user_header,
        carried=layout.carried_headers,
        superseded=superseded,
        sha256=text.sha256,
        change_hash=change.hexdigest() if change else None,
    )


def inspect_source(source: Path, limits: ReadLimits) -> Inspection:
    """Tell what a file is, and what is wrong with it whatever it is for: amounts are not looked at.

    Raises TooLargeError.
    """
    inspection = Inspection(bytes=source.stat().st_size)
    try:
        text = scan_source(source)
        inspection = replace(inspection, encoding=text.encoding)
        layout = find_layout(text, None, limits.line_bytes)
    except InvalidFileError as error:
        return replace(inspection, problems=error.problems, total_problems=error.total_problems)
    lines, sample = _sample(text, layout, limits)
    inspection = replace(
        inspection,
        delimiter=layout.delimiter,
        columns=layout.names,
        sample=sample,
        sample_lines=lines,
    )
    counted = _Counter()
    if read_fast(text, layout, counted, rows_max=limits.rows, line_bytes_max=limits.line_bytes):
        return replace(inspection, rows=counted.rows)
    exact = ExactPass(text, layout, counted, limits.rows)
    exact.read(limits.line_bytes)
    problems = exact.problems
    return replace(
        inspection, rows=exact.rows, problems=tuple(problems.listed), total_problems=problems.total
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    text: SourceText
    layout: Layout
    limits: ReadLimits
    rows_path: Path
    order: Order


class _HashedRows:
    """Writes rows to the rows file and counts them in."""

    def __init__(self, writer: RowsWriter, order: Order) -> None:
        self._writer = writer
        changes = order.model is Model.MODIFY and not order.dry_run
        self.change = ChangeHash(order) if changes else None

    @property
    def rows(self) -> int:
        return self._writer.rows

    def write(self, users: U64, amounts: I64 | None, carried: list[Any], /) -> None:
        self._writer.write(users, amounts, carried)
        if self.change is not None:
            self.change.add(users, amounts)


class _Counter:
    """Takes rows and keeps none."""

    def __init__(self) -> None:
        self.rows = 0

    def write(self, users: Any, _amounts: Any, _carried: Any, /) -> None:
        self.rows += len(users)


def _duplicates(order: Order) -> Duplicates:
    # which of two lines would win is never left to chance, whatever the order says
    undecided = order.mode is Mode.SET and order.duplicates is Duplicates.ALLOW
    return Duplicates.REFUSE if undecided else order.duplicates


def _head(layout: Layout, order: Order) -> RowsHead:
    return RowsHead(
        user_header=layout.user_header,
        carried_headers=layout.carried_headers,
        eids=order.eids if order.model is Model.MODIFY else (),
        amount=order.amount if order.model is Model.MODIFY else None,
        amounts_per_row=len(layout.amounts),
    )


def _write_rows(reading: _Reading, duplicates: Duplicates) -> _HashedRows:
    """Return what was written. Raises InvalidFileError."""
    refuse = duplicates is Duplicates.REFUSE
    written = _write_fast(reading)
    if written and refuse and len(find_doubled(lambda: users_of(reading.rows_path), written.rows)):
        reading.rows_path.unlink()
        written = None
    return written or _write_exact(reading, refuse)


def _write_fast(reading: _Reading) -> _HashedRows | None:
    limits = reading.limits
    with RowsWriter(reading.rows_path, _head(reading.layout, reading.order)) as writer:
        sink = _HashedRows(writer, reading.order)
        good = read_fast(
            reading.text, reading.layout, sink, rows_max=limits.rows, line_bytes_max=limits.line_bytes
        )
        if not good:
            writer.abort()
        return sink if good else None


def _write_exact(reading: _Reading, refuse_doubled: bool) -> _HashedRows:
    head = _head(reading.layout, reading.order)
    with RowsWriter(reading.rows_path, head) as writer, _seen_file(reading.rows_path) as seen:
        sink = _HashedRows(writer, reading.order)
        with disk_errors(), seen.open("wb") as stream:
            seen_by = stream if refuse_doubled else None
            exact = ExactPass(reading.text, reading.layout, sink, reading.limits.rows, seen_by)
            exact.read(reading.limits.line_bytes)
        if refuse_doubled:
            exact.problems.merge(*doubled_problems(seen, reading.layout.names[0]))
        exact.problems.raise_any()
        return sink


@contextmanager
def _seen_file(rows_path: Path) -> Iterator[Path]:
    path = rows_path.with_name(f".{rows_path.name}.seen")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _sample(
    text: SourceText, layout: Layout, limits: ReadLimits
) -> tuple[tuple[int, ...], tuple[tuple[str, ...], ...]]:
    """Return (line, cells) of the first rows, each as a column."""
    headed = layout.header is not None
    records = read_sample(text, layout.delimiter, limits.line_bytes, SAMPLE_RECORDS + headed)[headed:]
    rows = (split_full_width(record, layout.width) for record in records)
    cells = tuple(tuple(cell[:VALUE_CHARACTERS_MAX] for cell in row) for row in rows)
    return tuple(record.line for record in records), cells
