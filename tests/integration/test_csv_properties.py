"""Both passes say the same, rendered rows read back equal, and no bytes surprise the reader."""

from __future__ import annotations

import codecs
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from source_files import (
    LIMITS,
    QUERY,
    SourceFolder,
    exact_rows,
    fast_rows,
    modify,
)

from eomd.errors import InvalidFileError, TooLargeError
from eomd.model import Duplicates, Mode, Order
from eomd.storage import csv_exact, csv_records
from eomd.storage.csv_reader import ReadLimits, inspect_source

ORDERS = st.sampled_from(
    [
        QUERY,
        modify(),
        modify(Mode.SET, duplicates=Duplicates.REFUSE),
        modify(Mode.SET, duplicates=Duplicates.LAST),
        modify(Mode.DEC, (1001,), 5),
    ]
)
HEADERS = ["userid", "userid,amount", "userid,1001,1002", "userid;1002;x;1001", '"a","b"', "用户\t数量"]
TOKENS = [
    *[
        "1",
        "22",
        "333",
        "-4",
        "0",
        "1.0",
        "'5",
        " 6 ",
        "７",
        "1e5",
        "x",
        "张三",
        "1.5",
        "9223372036854775807",
    ],
    *[",", ",", ",", ";", "\t", "，", "；", '"', '"', '""', "\0", "\ufeff", " ", "\u3000", "\u2028"],
    *["\n", "\n", "\n", "\n", "\r\n", "\r\n", "\r"],
]
TEXTS = st.builds(
    lambda header, tokens: header + "".join(tokens),
    st.sampled_from(["", *(header + "\n" for header in HEADERS)]),
    st.lists(st.sampled_from(TOKENS), max_size=30),
)
PLAIN_LINES = st.lists(
    st.sampled_from(
        ["1,2", "33,-4", '"5","6"', "7,8,9", "10", " 11 ,12", "", ",", " ", "x,1", '13,"a\nb"', "14，15"]
    )
)
CASES = st.one_of(TEXTS, PLAIN_LINES.map("\n".join), PLAIN_LINES.map("\r\n".join))


@pytest.fixture
def folder() -> Iterator[SourceFolder]:
    with TemporaryDirectory() as path:
        yield SourceFolder(Path(path))


one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@one_folder
@given(text=CASES, order=ORDERS, block_bytes=st.integers(4, 100), line_bytes=st.sampled_from([6, 12, 100]))
def test_what_the_quick_pass_calls_good_the_exact_pass_reads_the_same(
    folder: SourceFolder, text: str, order: Order, block_bytes: int, line_bytes: int
) -> None:
    try:
        source, layout = folder.layout(text.encode(), order)
    except InvalidFileError:
        return
    rows = fast_rows(source, layout, block_bytes, line_bytes)
    if rows is not None:
        assert exact_rows(source, layout, max(line_bytes, 12)) == (rows, [], 0)


@one_folder
@given(text=CASES, order=ORDERS, chunk_bytes=st.integers(1, 60), listed=st.integers(1, 4))
@example(text="userid,amount\n\ufeff-4,", order=QUERY, chunk_bytes=1, listed=1)
def test_lines_taken_in_blocks_are_read_as_one_by_one(
    folder: SourceFolder, text: str, order: Order, chunk_bytes: int, listed: int
) -> None:
    try:
        source, layout = folder.layout(text.encode(), order)
    except InvalidFileError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "_CHUNK_BYTES", chunk_bytes)
        patch.setattr(InvalidFileError, "problems_listed_max", listed)
        in_blocks = exact_rows(source, layout)
        patch.setattr(csv_exact, "read_block", lambda *_: None)
        one_by_one = exact_rows(source, layout)
    assert in_blocks[1:] == one_by_one[1:]
    if not in_blocks[2]:
        assert in_blocks[0] == one_by_one[0]


CARRIED = st.text(alphabet='a1 ,;\t"张é\r\n\U0001f600', max_size=6)
ROWS = st.lists(st.tuples(st.integers(1, 2**63 - 1), CARRIED), min_size=1, max_size=8)
BOMS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@one_folder
@given(
    rows=ROWS,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16-le", "utf-16-be"]),
    delimiter=st.sampled_from([",", "\t", ";"]),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n   \r\n"]),
    quote_all=st.booleans(),
    last_end=st.booleans(),
    header=st.booleans(),
)
def test_rendered_rows_read_back_equal(
    folder: SourceFolder,
    rows: list[tuple[int, str]],
    encoding: str,
    delimiter: str,
    end: str,
    quote_all: bool,
    last_end: bool,
    header: bool,
) -> None:
    def cell(text: str) -> str:
        if quote_all or any(special in text for special in ',;\t"\r\n'):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = [delimiter.join((cell(str(user)), cell(text))) for user, text in rows]
    lines[:0] = [delimiter.join((cell("用户"), cell("备注")))] if header else []
    data = BOMS.get(encoding, b"") + (end.join(lines) + end * last_end).encode(encoding)
    facts = folder.read(data)
    block = folder.block()
    assert list(zip(block.users.tolist(), block.carried[0].to_pylist(), strict=True)) == rows
    assert (facts.rows, facts.delimiter) == (len(rows), delimiter)
    assert facts.columns == (("用户", "备注") if header else ("userid", "column2"))


MUTATED = st.builds(
    lambda text, encoding, at, junk: (
        (d := text.encode(encoding))[: at % (len(d) + 1)] + junk + d[at % (len(d) + 1) :]
    ),
    CASES,
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    st.integers(0, 200),
    st.binary(max_size=3),
)


@one_folder
@given(data=st.one_of(st.binary(max_size=60), MUTATED), order=ORDERS, limit=st.sampled_from([3, 20, 1 << 20]))
def test_no_bytes_raise_anything_but_the_files_errors(
    folder: SourceFolder, data: bytes, order: Order, limit: int
) -> None:
    folder.source.write_bytes(data)
    limits = ReadLimits(rows=limit, line_bytes=limit)
    try:
        facts = folder.read(data, order, limits)
        assert len(folder.block()) == facts.rows > 0
    except InvalidFileError as error:
        lines = [problem.line for problem in error.problems]
        assert lines == sorted(lines)
        assert min(lines) >= 1
        assert len(lines) == min(error.total_problems, 100)
    except TooLargeError as error:
        assert error.limit in ("limits.rows", "limits.line_bytes")
    try:
        inspection = inspect_source(folder.source, limits)
        assert bool(inspection.total_problems) == bool(inspection.problems)
    except TooLargeError:
        pass


@one_folder
@given(users=st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_doubled_users_of_set_are_named_at_their_later_lines(folder: SourceFolder, users: list[int]) -> None:
    data = "".join(f"{user},1\n" for user in users).encode()
    later = [line for line, user in enumerate(users, 1) if user in users[: line - 1]]
    found = folder.problems(data, modify(Mode.SET, duplicates=Duplicates.REFUSE))
    assert [(line, column) for line, column, _, _ in found] == [(line, "userid") for line in later]


@one_folder
@given(users=st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_only_the_last_line_of_a_user_is_sent_where_the_order_says_so(
    folder: SourceFolder, users: list[int]
) -> None:
    data = "".join(f"{user},{line}\n" for line, user in enumerate(users)).encode()
    facts = folder.read(data, modify(Mode.SET, duplicates=Duplicates.LAST))
    block = folder.block()
    expected = [user in users[position + 1 :] for position, user in enumerate(users)]
    assert facts.superseded == sum(expected)
    assert (block.superseded.tolist() if block.superseded is not None else [False] * len(users)) == expected
    assert block.amounts is not None
    assert block.amounts[:, 1].tolist() == list(range(len(users)))


def test_zip_of_a_workbook_is_named(folder: SourceFolder) -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("[Content_Types].xml", "")
    assert "Excel workbook (.xlsx)" in folder.problems(archive.getvalue(), limits=LIMITS)[0][3]
