"""The quick pass over a source: pyarrow reads, numpy checks. It answers only "good" or "not good".

Good means: the exact pass would read the same rows and find nothing wrong. Whatever would need a closer look
(a space, a blank line of spaces, an odd quote) is not good, and the exact pass decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from eomd.errors import TooLargeError
from eomd.storage.csv_encoding import SourceText
from eomd.storage.csv_layout import Layout
from eomd.storage.csv_values import USER_RULE
from eomd.storage.string_columns import string_buffers

BLOCK_BYTES = 1 << 20
_QUOTE, _LF, _CR = 0x22, 0x0A, 0x0D


class RowsSink(Protocol):
    """Where the rows of a good file go."""

    @property
    def rows(self) -> int:
        """How many there are."""

    def write(
        self, users: NDArray[np.uint64], amounts: NDArray[np.int64] | None, carried: list[Any], /
    ) -> None: ...


def read_fast(
    text: SourceText,
    layout: Layout,
    sink: RowsSink,
    *,
    rows_max: int,
    line_bytes_max: int,
    block_bytes: int = BLOCK_BYTES,
) -> bool:
    """Write the rows of a good file to the sink; tell whether it is good.

    Raises TooLargeError for more than `rows_max` rows.
    """
    if text.has_nul or (text.has_quote and not _has_strict_quotes(text, layout.delimiter)):
        return False
    try:
        for batch in _batches(text, layout, block_bytes):
            if not _write_batch(batch, layout, sink, text.has_quote, line_bytes_max):
                return False
            if sink.rows > rows_max:
                raise TooLargeError("limits.rows", rows_max, "rows")
    except pa.ArrowInvalid:
        return False
    return sink.rows > 0


def _batches(text: SourceText, layout: Layout, block_bytes: int) -> Iterator[Any]:
    """Yield record batches of strings, without the header's."""
    names = [str(position) for position in range(layout.width)]
    headed = layout.header is not None
    with closing(text.open_arrow()) as source:
        reader = pa_csv.open_csv(
            source,
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=block_bytes, column_names=names),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if text.has_quote else False,
                newlines_in_values=text.has_quote,
            ),
            convert_options=convert_options(names),
        )
        with reader:
            for batch in reader:
                if headed and batch.num_rows:
                    headed, batch = False, batch.slice(1)
                yield batch


def convert_options(names: list[str]) -> Any:
    """Return pyarrow's options that keep every cell the text it is."""
    return pa_csv.ConvertOptions(
        check_utf8=False,
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[],
        strings_can_be_null=False,
    )


def _write_batch(batch: Any, layout: Layout, sink: RowsSink, has_quote: bool, line_bytes_max: int) -> bool:
    if not batch.num_rows:
        return True
    # a quoted line may be twice as long as its cells, and two quotes per cell longer
    line_bytes_sure = (line_bytes_max // 2 - layout.width) if has_quote else line_bytes_max
    if _longest_line(batch) > line_bytes_sure:
        return False
    users = USER_RULE.parse_column(batch.column(0))
    if users is None:
        return False
    columns = [layout.amount_rule.parse_column(batch.column(position)) for position in layout.amounts]
    if any(column is None for column in columns):
        return False
    amounts = np.stack([column for column in columns if column is not None], axis=1) if columns else None
    sink.write(users, amounts, [batch.column(position) for position in layout.carried])
    return True


def _longest_line(batch: Any) -> int:
    """Return the bytes of the longest line, separators included, quotes not."""
    lengths: NDArray[np.int64] = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        lengths += np.diff(string_buffers(column)[0])
    separators: int = batch.num_columns - 1
    return int(lengths.max()) + separators


def _has_strict_quotes(text: SourceText, delimiter: str) -> bool:
    with closing(text.open_utf8()) as stream:
        return quotes_are_strict(iter(lambda: stream.read(BLOCK_BYTES), b""), delimiter)


def quotes_are_strict(chunks: Iterable[bytes], delimiter: str) -> bool:
    """Tell whether every quote of a text opens a cell, closes one, or is doubled inside one.

    Taken in turns, a quote that opens follows the start of a cell, or the quote before it (the second of a
    doubled pair); one that closes is followed by the end of a cell, or by the next quote.
    """
    ends = np.zeros(256, np.bool_)
    ends[[ord(delimiter), _LF, _CR, _QUOTE]] = True
    last, opens = b"\n", True
    for chunk in chain(chunks, (b"\n",)):
        strict, opens = _check_quotes(np.frombuffer(last + chunk, np.uint8), opens, ends)
        if not strict:
            return False
        # the last byte is looked at again with what follows it
        last = (last + chunk)[-2:]
    return opens


def _check_quotes(data: NDArray[np.uint8], opens: bool, ends: NDArray[np.bool_]) -> tuple[bool, bool]:
    """Check the quotes but those at the first and last byte; tell too whether the next one would open."""
    quotes = np.flatnonzero(data[1:-1] == _QUOTE) + 1
    opening, closing_ = (quotes[0::2], quotes[1::2]) if opens else (quotes[1::2], quotes[0::2])
    strict = bool(ends[data[opening - 1]].all() and ends[data[closing_ + 1]].all())
    return strict, opens ^ bool(len(quotes) % 2)
