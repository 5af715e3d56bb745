"""Files that ask for the same change have the same hash, however they were made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from source_files import LIMITS, QUERY, SourceFolder, modify

from eomd.model import Duplicates, Mode

PLAIN = b"userid,1001,1002\n1,5,6\n2,7,8\n"
SET_LAST = modify(Mode.SET, duplicates=Duplicates.LAST)


@pytest.fixture
def folder(tmp_path: Path) -> SourceFolder:
    return SourceFolder(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"userid,1001,1002\n2,7,8\n1,5,6\n",
        b"userid,1002,1001\n1,6,5\n2,8,7\n",
        "用户;1001;备注;1002\r\n１;5;张;6.0\r\n\r\n'2;7;李;8".encode("gb18030"),
        "用户\t1001\t1002\n1\t5\t6\n2\t7\t8\n".encode("utf-16"),
    ],
    ids=["order", "columns", "cleaned", "excel"],
)
def test_the_same_rows_are_recognised(folder: SourceFolder, data: bytes) -> None:
    plain = folder.read(PLAIN, modify()).change_hash
    assert folder.read(data, modify()).change_hash == plain


@pytest.mark.parametrize(
    "data",
    [
        b"userid,1001,1002\n1,5,6\n2,7,9\n",
        b"userid,1001,1002\n1,5,6\n",
        b"userid,1001,1002\n1,5,6\n2,7,8\n2,7,8\n",
        b"userid,1001,1002\n1,6,5\n2,8,7\n",
    ],
    ids=["amount", "row", "twice", "columns"],
)
def test_other_rows_are_another_change(folder: SourceFolder, data: bytes) -> None:
    plain = folder.read(PLAIN, modify()).change_hash
    assert folder.read(data, modify()).change_hash != plain


def test_the_order_of_the_eids_asked_for_does_not_matter(folder: SourceFolder) -> None:
    plain = folder.read(PLAIN, modify()).change_hash
    assert folder.read(PLAIN, modify(eids=(1002, 1001))).change_hash == plain


def test_an_amount_may_stand_in_the_file_or_in_the_order(folder: SourceFolder) -> None:
    hashes = {
        folder.read(b"userid,1001,1002\n1,5,5\n2,5,5\n", modify()).change_hash,
        folder.read(b"userid,amount\n1,5\n2,5\n", modify()).change_hash,
        folder.read(b"1\n2\n", modify(amount=5)).change_hash,
    }
    assert len(hashes) == 1


def test_rows_that_are_not_sent_do_not_count(folder: SourceFolder) -> None:
    last = folder.read(b"1,5\n2,7\n1,6\n", SET_LAST)
    assert last.superseded == 1
    assert folder.read(b"1,6\n2,7\n", SET_LAST).change_hash == last.change_hash
    assert folder.read(b"1,6\n2,7\n", replace(SET_LAST, duplicates=Duplicates.REFUSE)).change_hash == (
        last.change_hash
    )


def test_a_late_look_by_the_exact_pass_counts_each_row_once(folder: SourceFolder) -> None:
    limits = replace(LIMITS, rows=1_000_000)
    many = b"".join(b"%d,5\n" % user for user in range(1, 300_000))
    quick = folder.read(many, modify(), limits).change_hash
    # the last line is not for the quick pass, which has written most of the others by then
    assert folder.read(many[:-2] + b" 5 \n", modify(), limits).change_hash == quick


def test_what_changes_nothing_has_none(folder: SourceFolder) -> None:
    assert folder.read(b"1\n2\n", QUERY).change_hash is None
    assert folder.read(PLAIN, replace(modify(), dry_run=True)).change_hash is None
