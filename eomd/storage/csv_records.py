"""A CSV text cut into records, strictly, each with the physical line where it starts. No values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from eomd.errors import TooLargeError

_CHUNK_BYTES = 1 << 17
LINE_ENDS = (b"\n", b"\r\n", b"\r")

NUL_FAULT = "a NUL byte: the file is damaged, or UTF-16 without a byte order mark"
TEXT_AFTER_QUOTE_FAULT = "text after a closing quote"
UNCLOSED_QUOTE_FAULT = "a quote is opened here and not closed"


class Record(NamedTuple):
    """One line of the file, or several where line breaks are quoted."""

    #: physical line where it starts, from 1
    line: int
    cells: list[str]
    #: positions of the quoted cells
    quoted: tuple[int, ...]
    #: what makes it unreadable
    fault: str | None


class RecordReader:
    """Cuts a UTF-8 stream into records: chunks of whole lines first, then, where wanted, their records."""

    def __init__(self, stream: BinaryIO, delimiter: str, line_bytes_max: int) -> None:
        self._stream, self._delimiter, self._line_bytes_max = stream, delimiter, line_bytes_max
        self._pending: _QuotedRecord | None = None
        self._ended = False

    @property
    def within_record(self) -> bool:
        """Tell whether the next line goes on with a quoted record."""
        return self._pending is not None

    def chunks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield (number of the first line, lines with their ends: LF, CRLF or CR).

        Raises TooLargeError for a line so long that it is not even read.
        """
        rest, number = b"", 1
        while not self._ended and (chunk := self._stream.read(_CHUNK_BYTES)):
            lines = (rest + chunk).splitlines(keepends=True)
            # a line's end may be a CR whose LF is still to come
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            if lines:
                yield number, lines
                number += len(lines)
            self._ended = self._ended or self._require_length(rest)
        if rest and not self._ended:
            yield number, [rest]

    def records(self, first_line: int, lines: list[bytes]) -> Iterator[Record]:
        """Yield the records that end in these lines, but for lines without a single character.

        Raises TooLargeError for a line over the limit. A quoted record over it counts as an unclosed quote,
        which is what it nearly always is; nothing follows it.
        """
        for number, line in enumerate(lines, first_line):
            if self._require_length(line):
                self._ended = True
                return
            if self._pending is None and line in LINE_ENDS:
                continue
            if self._pending is None and b'"' not in line:
                text = line.rstrip(b"\r\n").decode()
                yield Record(number, text.split(self._delimiter), (), NUL_FAULT if "\0" in text else None)
                continue
            pending = self._pending or _QuotedRecord(number, self._delimiter)
            self._pending = None if pending.feed(line) else pending
            if self._pending is None:
                yield pending.finish()
            elif pending.bytes > self._line_bytes_max:
                self._ended = True
                return

    def finish(self) -> Record | None:
        """Return the record that was still open at the end; None in a sound file."""
        if self._pending is None:
            return None
        limit = f"{UNCLOSED_QUOTE_FAULT} within limits.line_bytes = {self._line_bytes_max} bytes"
        return self._pending.finish()._replace(fault=limit if self._ended else UNCLOSED_QUOTE_FAULT)

    def _require_length(self, line: bytes) -> bool:
        """Tell whether a line is over the limit inside a quoted record. Raises TooLargeError outside one."""
        if len(line) <= self._line_bytes_max or len(line.rstrip(b"\r\n")) <= self._line_bytes_max:
            return False
        if self._pending is None:
            raise TooLargeError("limits.line_bytes", self._line_bytes_max, "bytes")
        return True


def read_records(stream: BinaryIO, delimiter: str, line_bytes_max: int) -> Iterator[Record]:
    """Yield the records of a UTF-8 stream; nothing follows an unclosed quote.

    Raises TooLargeError for a line over `line_bytes_max`.
    """
    reader = RecordReader(stream, delimiter, line_bytes_max)
    for first_line, lines in reader.chunks():
        yield from reader.records(first_line, lines)
    if (last := reader.finish()) is not None:
        yield last


class _QuotedRecord:
    """A record with quotes in it, fed one physical line at a time."""

    def __init__(self, line: int, delimiter: str) -> None:
        self.bytes = 0
        self._line, self._delimiter = line, delimiter
        self._cells: list[str] = []
        self._quoted: list[int] = []
        self._parts: list[str] | None = None
        self._fault: str | None = None

    def feed(self, line: bytes) -> bool:
        """Take one line with its end; tell whether the record is complete."""
        self.bytes += len(line)
        ended = line.decode()
        if "\0" in ended:
            self._fault = NUL_FAULT
        text = ended.rstrip("\r\n")
        position = 0
        while position <= len(text):
            closed = self._quoted_cell(text, position)
            if closed is None:
                self._open_parts().append(ended[len(text) :])
                return False
            position = closed
        return True

    def finish(self) -> Record:
        if self._parts is not None:
            self._end_cell("".join(self._parts), quoted=True)
        return Record(self._line, self._cells, tuple(self._quoted), self._fault)

    def _open_parts(self) -> list[str]:
        if self._parts is None:
            self._parts = []
        return self._parts

    def _quoted_cell(self, text: str, position: int) -> int | None:
        """Read one cell; return where the next starts, None where its quote stays open."""
        if self._parts is None:
            if text[position : position + 1] != '"':
                return self._plain_end(text, position, "", quoted=False)
            position += 1
        parts = self._open_parts()
        while (quote := text.find('"', position)) >= 0:
            if text[quote + 1 : quote + 2] != '"':
                parts.append(text[position:quote])
                self._parts = None
                return self._plain_end(text, quote + 1, "".join(parts), quoted=True)
            parts.append(text[position : quote + 1])
            position = quote + 2
        parts.append(text[position:])
        return None

    def _plain_end(self, text: str, position: int, before: str, quoted: bool) -> int:
        end = text.find(self._delimiter, position)
        end = len(text) if end < 0 else end
        if quoted and end > position:
            self._fault = self._fault or TEXT_AFTER_QUOTE_FAULT
        self._end_cell(before + text[position:end], quoted)
        return end + 1

    def _end_cell(self, cell: str, quoted: bool) -> None:
        if quoted:
            self._quoted.append(len(self._cells))
        self._cells.append(cell)
        self._parts = None
