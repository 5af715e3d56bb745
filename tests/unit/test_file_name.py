"""Names of files in headers."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.handlers.file_name import (
    CHARACTERS_MAX,
    NAMELESS,
    attachment,
    clean_name,
    original_name,
    parse_disposition,
)


def name_in(header: bytes) -> str | None:
    return original_name(parse_disposition(header)[1])


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        (b'filename="a.csv"', "a.csv"),
        (b"filename=a.csv", "a.csv"),
        (b'filename="a;b=c.csv"', "a;b=c.csv"),
        (b'filename="a\\"b.csv"', 'a"b.csv'),
        (b'filename=""', NAMELESS),
        (b'filename=".."', NAMELESS),
        ('filename="玩家.csv"'.encode(), "玩家.csv"),
        ('filename="玩家.csv"'.encode("gbk"), "玩家.csv"),
        # its last byte in GBK is a backslash
        ('filename="誠"'.encode("gbk"), "誠"),
        (b"filename=\"x.csv\"; filename*=UTF-8''%E7%8E%A9%E5%AE%B6.csv", "玩家.csv"),
        (b"filename*=utf-8'zh'%E7%8E%A9.csv; filename=\"x.csv\"", "玩.csv"),
        (b"filename*=UTF-8''%FF.csv; filename=\"x.csv\"", "x.csv"),
        (b"filename*=KLINGON''x; filename=\"y.csv\"", "y.csv"),
        (b'filename="C:\\fakepath\\a.csv"', "a.csv"),
        (b'filename="../../etc/passwd"', "passwd"),
        (b'filename="a\x01\x7f.csv"', "a.csv"),
    ],
)
def test_the_file_is_called_as_its_owner_calls_it(parameter: bytes, name: str) -> None:
    assert name_in(b'form-data; name="file"; ' + parameter) == name


def test_a_part_without_a_filename_is_not_a_file() -> None:
    assert name_in(b'form-data; name="config"') is None


def test_kind_and_name_are_found() -> None:
    assert parse_disposition(b'Form-Data; NAME="file"') == ("form-data", {"name": "file"})


@given(st.binary(max_size=300))
def test_any_header_is_read(header: bytes) -> None:
    name = name_in(header)
    assert name is None or clean_name(name) == name


@given(st.text(max_size=400))
def test_a_clean_name_is_safe_and_stays_as_it_is(name: str) -> None:
    clean = clean_name(name)
    assert 1 <= len(clean) <= CHARACTERS_MAX
    assert not set(clean) & set("/\\\0\r\n")
    assert clean_name(clean) == clean


def test_a_long_name_keeps_its_suffix() -> None:
    assert clean_name("名" * 300 + ".csv").endswith("名.csv")


@given(st.text(max_size=100))
def test_an_attachment_is_one_header_line_that_holds_the_name(name: str) -> None:
    header = attachment(name)
    assert re.fullmatch(r"[ -~]+", header)
    assert unquote(header.partition("UTF-8''")[2]) == clean_name(name)


def test_the_plain_name_is_ascii() -> None:
    assert attachment('玩"家.csv').startswith('attachment; filename="___.csv";')
