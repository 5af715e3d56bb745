"""The journal of claims: what is noted stays known until it has ended, whatever is cut off where."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from eomd.watchdog import claims as claims_module
from eomd.watchdog.claims import CLAIMS_MAX, Claim, Claims

HERE, THERE = "aa", "bb"


def claim(number: int, **changes: object) -> Claim:
    fields = {"name": f"{number}.csv", "recipe": "", "size": number, "mtime_ns": number, "model": "query"}
    return Claim(taken=f"T{number}", **{**fields, "config": {"cluster": "fish"}, **changes})


def claims(*numbers: int) -> list[Claim]:
    return [claim(number) for number in numbers]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "claims"


def load(folder: Path) -> Claims:
    journal = Claims(folder)
    journal.load()
    return journal


def given(journal: Claims) -> list[str]:
    """Return the taken names of all that is given out."""
    names: list[str] = []
    while part := journal.give_out():
        names += [each.taken for each in part]
    return names


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_noted_is_given_out_once_as_it_was(folder: Path) -> None:
    journal = load(folder)
    strange = claim(2, name="\udcff\n.csv", recipe="x", model=None, config={}, problem="no", size=2**40)
    noted = journal.note([claim(1), strange], HERE)
    assert [replace(each, segment=0, folder="") for each in noted] == [claim(1), strange]
    assert journal.give_out() == noted
    assert journal.give_out() == []
    assert journal.open == 2


def test_a_later_process_is_given_what_has_not_ended(folder: Path) -> None:
    first = load(folder)
    noted = first.note(claims(1, 2, 3), HERE)
    first.end(noted[:1])
    second = load(folder)
    assert second.open == 2
    assert given(second) == ["T2", "T3"]


def test_ended_claims_leave_nothing_behind(folder: Path) -> None:
    journal = load(folder)
    journal.note(claims(1, 2), HERE)
    journal.end(journal.give_out())
    assert (journal.open, files(folder)) == (0, [])


def test_claims_that_ended_before_they_were_given_out_leave_nothing_behind(folder: Path) -> None:
    journal = load(folder)
    journal.end(journal.note(claims(1), HERE))
    assert journal.open == 0
    assert given(journal) == []
    assert files(folder) == []


def test_noting_goes_on_while_others_are_given_out(folder: Path) -> None:
    journal = load(folder)
    journal.note(claims(1), HERE)
    first = journal.give_out()
    journal.note(claims(2), HERE)
    journal.note(claims(3), HERE)
    journal.end(first)
    assert given(journal) == ["T2", "T3"]
    assert len(files(folder)) == 1


def test_segments_are_bounded_and_in_order(folder: Path) -> None:
    journal = load(folder)
    for start in range(0, 3 * CLAIMS_MAX, CLAIMS_MAX // 2):
        journal.note(claims(*range(start, start + CLAIMS_MAX // 2)), HERE)
    assert len(files(folder)) == 3
    parts = [journal.give_out() for _ in range(3)]
    assert [len(part) for part in parts] == [CLAIMS_MAX] * 3
    assert [each.taken for part in parts for each in part] == [f"T{n}" for n in range(3 * CLAIMS_MAX)]
    journal.end(parts[1])
    assert len(files(folder)) == 2
    assert given(load(folder)) == [each.taken for part in (parts[0], parts[2]) for each in part]


def test_claims_know_the_folder_they_are_about(folder: Path) -> None:
    journal = load(folder)
    journal.note(claims(1), HERE)
    journal.note(claims(2), THERE)
    journal = load(folder)
    assert [(each.taken, each.folder) for each in journal.give_out()] == [("T1", HERE)]
    assert [(each.taken, each.folder) for each in journal.give_out()] == [("T2", THERE)]


def test_folders_once_known_stay_known(folder: Path) -> None:
    journal = load(folder)
    assert not journal.knows(HERE)
    journal.learn(HERE)
    journal.learn(THERE)
    assert load(folder).knows(HERE)
    assert load(folder).knows(THERE)


def test_the_names_of_open_claims_are_known_whether_given_out_or_not(folder: Path) -> None:
    journal = load(folder)
    journal.note(claims(1, 2), HERE)
    journal.end(journal.give_out()[:1])
    journal.note(claims(3), HERE)
    assert journal.open_names() == {"T2", "T3"}


def test_a_torn_last_line_is_dropped_and_noting_goes_on(folder: Path) -> None:
    load(folder).note(claims(1, 2), HERE)
    [path] = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    journal = load(folder)
    assert given(journal) == ["T1"]
    assert not journal.damaged
    journal.end([claim(1, segment=1)])
    assert load(folder).open == 0


def test_a_damaged_line_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(folder).note(claims(1, 2), HERE)
    [path] = folder.iterdir()
    path.write_bytes(path.read_bytes().replace(b"T1", b"Tx"))
    journal = load(folder)
    assert journal.damaged
    assert given(journal) == ["T2"]
    assert "damaged" in caplog.text


def test_a_disk_that_takes_nothing_leaves_nothing_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = load(folder)
    journal.note(claims(1), HERE)

    def full(handle: int, data: bytes) -> None:
        os.write(handle, data[:10])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(claims_module, "_write_all", full)
        with pytest.raises(OSError, match="full"):
            journal.note(claims(2), HERE)
    journal.note(claims(3), HERE)
    assert given(load(folder)) == ["T1", "T3"]
    assert given(journal) == ["T1", "T3"]


def test_ending_again_after_a_cut_does_no_harm(folder: Path) -> None:
    journal = load(folder)
    journal.note(claims(1, 2), HERE)
    [path] = folder.iterdir()
    before = path.read_bytes()
    journal.end(journal.give_out()[:1])
    path.write_bytes(before)
    again = load(folder)
    again.end(again.give_out()[:1])
    assert given(load(folder)) == ["T2"]
