"""Each clause of the page on files, as a claim about one small file."""

from __future__ import annotations

import codecs
import hashlib
from pathlib import Path

import pytest
from source_files import LIMITS, QUERY, SourceFolder, modify

from eomd.errors import TooLargeError
from eomd.model import Duplicates, Mode, Order
from eomd.storage.csv_reader import ReadLimits, inspect_source

SET = modify(Mode.SET, duplicates=Duplicates.REFUSE)
ONE_AMOUNT = modify(amount=5)


@pytest.fixture
def folder(tmp_path: Path) -> SourceFolder:
    return SourceFolder(tmp_path)


# encodings


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("用户\n1\n".encode(), "utf-8"),
        ("用户\n1\n".encode("utf-8-sig"), "utf-8-sig"),
        ("用户\n1\n".encode("gb18030"), "gb18030"),
        ("用户\n1\n".encode("gbk"), "gb18030"),
        ("用户\n1\n".encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + "用户\n1\n".encode("utf-16-be"), "utf-16"),
        (b"userid\n1\n", "utf-8"),
    ],
)
def test_encoding_is_found(folder: SourceFolder, data: bytes, encoding: str) -> None:
    facts = folder.read(data)
    assert (facts.encoding, facts.rows) == (encoding, 1)
    assert facts.user_header in ("用户", "userid")
    assert facts.sha256 == hashlib.sha256(data).hexdigest()


def test_encoding_is_decided_over_the_whole_file(folder: SourceFolder) -> None:
    data = b"1,a\n" * 700_000 + "2,张\n".encode("gb18030")
    facts = folder.read(data, limits=ReadLimits(1_000_000, 1 << 20))
    assert facts.encoding == "gb18030"


@pytest.mark.parametrize("filler", [b"", b"1\n" * 600_000])
def test_byte_that_fits_no_encoding_is_named_with_its_offset(folder: SourceFolder, filler: bytes) -> None:
    data = b"userid\r\n" + filler + b"1\n2\xff\n3\n"
    [(line, column, value, reason)] = folder.problems(data)
    assert (line, column, value) == (filler.count(b"\n") + 3, None, None)
    assert f"offset {len(filler) + 11} (0xFF)" in reason
    assert "neither valid UTF-8 nor valid GB18030" in reason


def test_broken_utf8_with_a_bom_is_not_taken_for_gb18030(folder: SourceFolder) -> None:
    [(_, _, _, reason)] = folder.problems(codecs.BOM_UTF8 + "用户\n1".encode()[1:])
    assert "offset 3" in reason
    assert "is not UTF-8" in reason


def test_broken_utf8_is_reported_where_utf8_breaks(folder: SourceFolder) -> None:
    [(line, _, _, reason)] = folder.problems("用户号\n1,张三丰\n2,".encode() + b"\xe5\xbc\n3,\xff")
    assert line == 3
    assert f"offset {len('用户号 1,张三丰 2,'.encode())} " in reason


@pytest.mark.parametrize("tail", [b"\x00", b"\x00\xd8"])
def test_broken_utf16_is_named_with_the_offset(folder: SourceFolder, tail: bytes) -> None:
    data = "1\n2\n".encode("utf-16") + tail
    [(line, _, _, reason)] = folder.problems(data)
    assert line == 3
    assert f"offset {len(data) - len(tail)} " in reason
    assert "not UTF-16" in reason


def test_character_cut_by_the_end_is_named_with_its_offset(folder: SourceFolder) -> None:
    [(_, _, _, reason)] = folder.problems(b"1,\xe5")
    assert "offset 2 (0xE5)" in reason


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04abc", "zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "Excel workbook (.xls)"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"\xef\xbb\xbf\r\n <HTML xmlns:x='urn'>", "HTML page"),
        ("\n<table><tr>".encode("utf-16"), "HTML page"),
        (b"<?xml version='1.0'?><Workbook>", "XML document"),
        (b"\x1f\x8b\x08", "gzip archive"),
    ],
)
def test_other_kinds_of_files_are_named(folder: SourceFolder, data: bytes, kind: str) -> None:
    [(line, _, _, reason)] = folder.problems(data)
    assert line == 1
    assert kind in reason


# lines


@pytest.mark.parametrize("data", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, b"\n\r\n  \n", b",,\n,\n"])
def test_file_without_anything_is_empty(folder: SourceFolder, data: bytes) -> None:
    assert folder.problems(data) == [(1, None, None, "the file is empty")]


def test_header_alone_has_no_rows(folder: SourceFolder) -> None:
    assert folder.problems(b"userid\n\n \n") == [(1, None, None, "no rows")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_taken(folder: SourceFolder, end: str) -> None:
    folder.read(f"1,a{end}2,b{end}3,c".encode())
    block = folder.block()
    assert block.users.tolist() == [1, 2, 3]
    assert block.carried[0].to_pylist() == ["a", "b", "c"]


def test_mixed_line_ends_count_lines_right(folder: SourceFolder) -> None:
    found = folder.problems(b"1\r\n2\r\rx\n\ny")
    assert [line for line, *_ in found] == [4, 6]


def test_empty_lines_are_skipped_anywhere(folder: SourceFolder) -> None:
    folder.read(b"\n\nuserid,x\n\n1,a\n \t\n,\n2,b\n\n\n")
    assert folder.block().users.tolist() == [1, 2]


def test_line_of_spaces_is_empty_in_wide_files_too(folder: SourceFolder) -> None:
    folder.read("userid,a,b\n\u3000\n1,x,y\n, ,\n".encode())
    assert folder.block().users.tolist() == [1]


def test_nul_is_a_problem_of_its_line(folder: SourceFolder) -> None:
    [(line, column, _, reason)] = folder.problems(b"userid,x\n1,a\n2,\0\n3,c\n")
    assert (line, column) == (3, None)
    assert "NUL" in reason


def test_unclosed_quote_is_a_problem_of_the_line_it_starts_in(folder: SourceFolder) -> None:
    [(line, column, _, reason)] = folder.problems(b'1,a\n2,"b\n3,c\n4,d\n')
    assert (line, column) == (2, None)
    assert "quote" in reason


def test_text_after_a_closing_quote_is_a_problem(folder: SourceFolder) -> None:
    [(line, _, value, reason)] = folder.problems(b'1,a\n2,"b"c\n3,d\n')
    assert (line, value, reason) == (2, "2,bc", "text after a closing quote")


def test_problem_behind_quoted_line_breaks_has_the_physical_line(folder: SourceFolder) -> None:
    found = folder.problems(b'userid,x\n1,"a\n\r\nb"\nq,c\n')
    assert [(line, column, value) for line, column, value, _ in found] == [(5, "userid", "q")]


def test_line_breaks_in_quotes_are_kept_as_they_are(folder: SourceFolder) -> None:
    folder.read(b'1,"a\r\nb\rc\nd"\n')
    assert folder.block().carried[0].to_pylist() == ["a\r\nb\rc\nd"]


def test_words_for_nothing_are_text(folder: SourceFolder) -> None:
    folder.read(b"1,NA\n2,NULL\n3,\n4,nan\n5,true\n6,0x10\n7,1e5\n")
    assert folder.block().carried[0].to_pylist() == ["NA", "NULL", "", "nan", "true", "0x10", "1e5"]


# separators and header


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_separator_is_found(folder: SourceFolder, delimiter: str) -> None:
    facts = folder.read(f"userid{delimiter}a{delimiter}b\n1{delimiter}x{delimiter}y".encode())
    assert (facts.delimiter, facts.carried) == (delimiter, ("a", "b"))


def test_separator_is_the_one_that_leaves_a_user_in_front(folder: SourceFolder) -> None:
    facts = folder.read(b"userid;remark\n1;a, b\n2;c, d\n")
    assert facts.delimiter == ";"
    assert folder.block().carried[0].to_pylist() == ["a, b", "c, d"]


@pytest.mark.parametrize("header", ["userid", " 用户", "_id", '"uid"', "Ж"])
def test_first_line_starting_like_a_word_is_a_header(folder: SourceFolder, header: str) -> None:
    facts = folder.read(f"{header}\n1\n".encode())
    assert (facts.rows, facts.user_header) == (1, header.strip(' "'))


@pytest.mark.parametrize("first", ["#id", "-", "(a)", "0"])
def test_any_other_first_line_is_data(folder: SourceFolder, first: str) -> None:
    assert [p[:3] for p in folder.problems(f"{first}\n2\n".encode())] == [(1, "userid", first)]


def test_carried_columns_without_a_header_are_numbered(folder: SourceFolder) -> None:
    facts = folder.read(b"1,a,b\n2,c,d\n")
    assert facts.columns == ("userid", "column2", "column3")
    assert facts.carried == ("column2", "column3")


def test_line_of_other_width_is_a_problem_of_the_whole_line(folder: SourceFolder) -> None:
    found = folder.problems(b"userid,x\n1\n2,a,b\n3,c\n")
    assert [problem[:3] for problem in found] == [(2, None, "1"), (3, None, "2,a,b")]
    assert found[1][3] == "3 columns, the header has 2"


def test_a_million_separators_are_no_header(folder: SourceFolder) -> None:
    [(line, _, _, reason)] = folder.problems(b"userid" + b"," * 100_000)
    assert (line, reason) == (1, "100001 columns, more than 1024")


# modify


@pytest.mark.parametrize("name", ["amount", "Amount", "数量", "points", " points "])
def test_amount_column_is_found_by_name(folder: SourceFolder, name: str) -> None:
    facts = folder.read(f"uid,remark,{name}\n1,x,7\n".encode(), modify())
    block = folder.block()
    assert facts.carried == ("remark",)
    assert block.amounts is not None
    assert block.amounts.tolist() == [[7, 7]]


def test_second_of_two_columns_is_the_amount(folder: SourceFolder) -> None:
    folder.read("uid,奖励\n1,7\n".encode(), modify())
    assert folder.block().amounts is not None


def test_columns_per_eid_come_in_any_order_beside_carried_ones(folder: SourceFolder) -> None:
    facts = folder.read("uid,1002,昵称,'1001\n1,2,张,3\n".encode(), modify())
    block = folder.block()
    assert block.amounts is not None
    assert block.amounts.tolist() == [[3, 2]]
    assert facts.carried == ("昵称",)


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("uid,1001,1003", "1003"),
        ("uid,1001", "1002"),
        ("uid,1001,1002,1001", "1001"),
        ("uid,1001,1002,7", "7"),
        ("uid,amount,数量", "数量"),
        ("uid,amount,1001", "1001"),
        ("uid,a,b", "amount"),
    ],
)
def test_header_that_does_not_fit_is_a_problem_of_line_1(
    folder: SourceFolder, header: str, column: str
) -> None:
    data = f"{header}\n1{',1' * header.count(',')}\n"
    assert [problem[:2] for problem in folder.problems(data.encode(), modify())] == [(1, column)]


def test_headerless_users_take_the_order_s_amount(folder: SourceFolder) -> None:
    folder.read(b"1\n2\n", ONE_AMOUNT)
    block = folder.block()
    assert block.amounts is not None
    assert block.amounts.tolist() == [[5, 5], [5, 5]]


def test_carried_columns_beside_the_order_s_amount_need_text_headers(folder: SourceFolder) -> None:
    assert folder.read(b"uid,a,b\n1,x,y\n", ONE_AMOUNT).carried == ("a", "b")


@pytest.mark.parametrize("data", [b"1,5\n", b"uid,amount\n1,5\n", b"uid,1001,1002\n1,5,6\n", b"uid,x\n1,5\n"])
def test_amount_in_both_places_is_refused(folder: SourceFolder, data: bytes) -> None:
    [(line, _, _, reason)] = folder.problems(data, ONE_AMOUNT)
    assert line == 1
    assert "leave one out" in reason


@pytest.mark.parametrize("data", [b"1\n2\n", b"uid\n1\n"])
def test_amount_in_neither_place_is_refused(folder: SourceFolder, data: bytes) -> None:
    [(line, column, _, reason)] = folder.problems(data, modify())
    assert (line, column) == (1, "amount")
    assert "neither" in reason


def test_wide_modify_needs_a_header(folder: SourceFolder) -> None:
    [(line, _, _, reason)] = folder.problems(b"1,2,3\n", modify())
    assert line == 1
    assert "needs a header" in reason


@pytest.mark.parametrize(
    "data", ["1，5\n2；6\n", "uid，amount\n1，5\n2,6\n", "uid,amount\n1,5\n2；6\n", "1；５\n2;6\n"]
)
def test_full_width_separator_cuts_short_lines_of_a_modify(folder: SourceFolder, data: str) -> None:
    folder.read(data.encode(), modify(eids=(1001,)))
    block = folder.block()
    assert block.amounts is not None
    assert (block.users.tolist(), block.amounts.tolist()) == ([1, 2], [[5], [6]])


def test_line_of_full_width_separators_alone_is_empty(folder: SourceFolder) -> None:
    assert folder.read("uid,1001,1002\n1,5,6\n,，\n，；\n".encode(), modify()).rows == 1


def test_full_width_separator_in_a_full_line_is_text(folder: SourceFolder) -> None:
    folder.read("uid,amount,x\n1,5,a，b；c\n".encode(), modify())
    assert folder.block().carried[0].to_pylist() == ["a，b；c"]


def test_only_as_many_full_width_separators_cut_as_are_missing(folder: SourceFolder) -> None:
    folder.read("uid,amount,x\n1，5，a，b\n".encode(), modify())
    assert folder.block().carried[0].to_pylist() == ["a，b"]


def test_full_width_separator_does_not_cut_quoted_cells_or_queries(folder: SourceFolder) -> None:
    assert folder.problems('uid,amount\n"1，5"\n'.encode(), modify())[0][:2] == (2, None)
    assert folder.problems("uid,x\n1，a\n".encode())[0][:2] == (2, None)


def test_every_bad_cell_of_a_line_is_a_problem(folder: SourceFolder) -> None:
    found = folder.problems(b"uid,1001,1002\nx,1.5,-2\n", modify())
    assert [(line, column, value) for line, column, value, _ in found] == [
        (2, "uid", "x"),
        (2, "1001", "1.5"),
        (2, "1002", "-2"),
    ]


def test_columns_without_header_have_names_in_problems(folder: SourceFolder) -> None:
    found = folder.problems(b"1,5\n0,x\n", modify())
    assert [problem[:2] for problem in found] == [(2, "userid"), (2, "amount")]


def test_set_takes_negative_amounts(folder: SourceFolder) -> None:
    folder.read(b"1,-5\n2,-9223372036854775808\n", SET)
    block = folder.block()
    assert block.amounts is not None
    assert block.amounts[:, 0].tolist() == [-5, -(2**63)]


# the same user twice


@pytest.mark.parametrize("order", [QUERY, modify()])
def test_same_user_twice_is_allowed_where_nothing_is_lost(folder: SourceFolder, order: Order) -> None:
    assert folder.read(b"1,5\n1,6\n", order).rows == 2


def test_same_user_in_another_form_is_the_same_user(folder: SourceFolder) -> None:
    assert [p[:2] for p in folder.problems("1,5\n007,6\n 7 ,1\n００１,7\n".encode(), SET)] == [
        (3, "userid"),
        (4, "userid"),
    ]


def test_doubled_users_are_sorted_in_among_other_problems(folder: SourceFolder) -> None:
    found = folder.problems(b"1,5\n2,x\n1,6\n3,y\n2,1\n", SET)
    assert [problem[:2] for problem in found] == [(2, "amount"), (3, "userid"), (4, "amount"), (5, "userid")]


def test_set_that_allows_duplicates_is_refused_them_all_the_same(folder: SourceFolder) -> None:
    assert folder.problems(b"1,5\n1,6\n", modify(Mode.SET))[0][0] == 2


def test_superseded_rows_keep_their_place(folder: SourceFolder) -> None:
    order = modify(Mode.SET, duplicates=Duplicates.LAST)
    assert folder.read(b"uid,amount,x\n1,5,a\n2,6,b\n1,7,c\n", order).superseded == 1
    block = folder.block()
    assert block.superseded is not None
    assert block.superseded.tolist() == [True, False, False]
    assert block.carried[0].to_pylist() == ["a", "b", "c"]


# limits


def test_rows_up_to_the_limit_are_read(folder: SourceFolder) -> None:
    assert folder.read(b"1\n2\n\n", limits=ReadLimits(2, 100)).rows == 2


@pytest.mark.parametrize("data", [b"1\n2\n3\n", b"1\nx\n3\n", b"u\n \n1\n2\n3\n"])
def test_rows_over_the_limit_are_too_large(folder: SourceFolder, data: bytes) -> None:
    with pytest.raises(TooLargeError, match=r"limits\.rows = 2 rows"):
        folder.read(data, limits=ReadLimits(2, 100))
    assert not folder.rows.exists()


def test_line_over_the_limit_is_too_large(folder: SourceFolder) -> None:
    with pytest.raises(TooLargeError, match=r"limits\.line_bytes"):
        folder.read(b"1,a\n2," + b"x" * 200, limits=ReadLimits(10, 100))


def test_all_problems_are_counted_and_a_hundred_listed(folder: SourceFolder) -> None:
    inspected = b"u,a\n" + b"x,1.5\n" * 30_000 + "张,\n".encode() * 5
    limits = ReadLimits(100_000, 100)
    found = folder.problems(inspected, modify(), limits)
    assert len(found) == 100
    assert found[-1][0] == 51
    inspection = inspect_source(folder.source, limits)
    assert (inspection.rows, inspection.total_problems) == (30_005, 30_005)


# inspection


def test_inspection_tells_what_is_in_a_file(folder: SourceFolder) -> None:
    folder.source.write_text("用户;昵称\n" + "".join(f"{user};n{user}\n" for user in range(1, 31)))
    inspection = inspect_source(folder.source, LIMITS)
    assert inspection.bytes == folder.source.stat().st_size
    assert (inspection.rows, inspection.encoding, inspection.delimiter) == (30, "utf-8", ";")
    assert inspection.columns == ("用户", "昵称")
    assert len(inspection.sample) == 20
    assert inspection.sample[0] == ("1", "n1")
    assert inspection.sample_lines == tuple(range(2, 22))
    assert inspection.total_problems == 0


def test_inspection_tells_the_lines_where_its_sample_stands(folder: SourceFolder) -> None:
    folder.source.write_text('\nuser,name\r\n\n1,"a\nb"\n,\n2,c\n')
    inspection = inspect_source(folder.source, LIMITS)
    assert inspection.sample == (("1", "a\nb"), ("2", "c"))
    assert inspection.sample_lines == (4, 7)


def test_inspection_of_no_text_has_the_problem(folder: SourceFolder) -> None:
    folder.source.write_bytes(b"PK\x03\x04")
    inspection = inspect_source(folder.source, LIMITS)
    assert (inspection.rows, inspection.encoding, inspection.total_problems) == (0, "", 1)


def test_inspection_takes_a_file_that_is_good_for_a_modify_alone(folder: SourceFolder) -> None:
    folder.source.write_text("userid;amount\n1；5\n")
    inspection = inspect_source(folder.source, LIMITS)
    assert inspection.total_problems == 0
    assert inspection.sample == (("1", "5"),)
