"""What the watchdog keeps on the disk: diary, wish, stacks, and the last good configuration."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eomd.cli.charge import make_charge
from eomd.config import load_settings
from eomd.watchdog.charge import Charge
from eomd.watchdog.diary import BYTES_MAX, Diary, read_diary
from eomd.watchdog.files import make_folder, read_json
from eomd.watchdog.good_copy import find_copy, guess_data_dir, keep_copy, read_files
from eomd.watchdog.stacks import FILES_MAX, keep_stacks, stacks_file
from eomd.watchdog.wish import Wish
from eomd.watchdog.writer import Writer


@pytest.fixture
def writer() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.close()


# --- the diary


def for_good() -> int:
    return 0


def test_the_diary_tells_what_was_done_and_why_in_order(tmp_path: Path, writer: Writer) -> None:
    diary = Diary(tmp_path, writer, for_good)
    diary.note("started", "no server runs", pid=7, code=None)
    diary.note("killed", "stuck", pid=7)
    writer.close()
    first, second = read_diary(tmp_path, 10)
    assert (first["what"], first["why"], first["pid"]) == ("started", "no server runs", 7)
    assert "code" not in first
    assert first["at"] <= second["at"]
    assert [entry["what"] for entry in read_diary(tmp_path, 1)] == ["killed"]


def test_a_torn_line_costs_that_line_alone(tmp_path: Path, writer: Writer) -> None:
    diary = Diary(tmp_path, writer, for_good)
    diary.note("started", "x")
    writer.close()
    with open(tmp_path / "diary.jsonl", "ab") as file:
        file.write(b'{"what": "kil')
    assert [entry["what"] for entry in read_diary(tmp_path, 10)] == ["started"]
    assert read_diary(tmp_path / "absent", 10) == []
    with closing(Writer()) as next_life:
        Diary(tmp_path, next_life, for_good).note("killed", "y")
    assert [entry["what"] for entry in read_diary(tmp_path, 10)] == ["started", "killed"]


def test_a_diary_does_not_grow_for_ever(tmp_path: Path, writer: Writer) -> None:
    diary = Diary(tmp_path, writer, for_good)
    for number in range(1200):
        diary.note("started", "x" * 1000, pid=number)
    writer.close()
    assert (tmp_path / "diary.jsonl").stat().st_size <= BYTES_MAX
    kept = [entry["pid"] for entry in read_diary(tmp_path, 10_000)]
    assert kept == list(range(kept[0], 1200))
    assert len(kept) > 300


def test_entries_older_than_retention_are_forgotten_with_the_next_one(tmp_path: Path, writer: Writer) -> None:
    now, days = datetime(2026, 3, 1, tzinfo=UTC), 0
    diary = Diary(tmp_path, writer, lambda: days, lambda: now)

    async def left() -> list[int]:
        await writer.now(lambda: None)
        return [entry["pid"] for entry in read_diary(tmp_path, 100)]

    async def scenario() -> None:
        nonlocal now, days
        for number in range(10):
            diary.note("started", "x", pid=number)
            now += timedelta(days=1)
        assert await left() == list(range(10))
        days = 5
        diary.note("started", "x", pid=10)
        assert await left() == list(range(5, 11))
        diary.note("started", "x", pid=11)
        assert await left() == list(range(5, 12))
        now += timedelta(days=100)
        diary.note("started", "x", pid=12)
        assert await left() == [12]

    asyncio.run(scenario())


def test_damaged_entries_at_the_beginning_are_forgotten_too(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "diary.jsonl"
    path.write_bytes(b'{"what": "kil\n[]\n{"at": "soon"}\n{"pid": 1}\n')
    Diary(tmp_path, writer, lambda: 5).note("started", "x", pid=2)
    writer.close()
    [line] = path.read_bytes().splitlines()
    assert b'"pid": 2' in line


def test_a_disk_that_takes_nothing_is_told_of_once(
    tmp_path: Path, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary(tmp_path / "absent", writer, for_good)
    for _ in range(3):
        diary.note("started", "x")
    writer.close()
    assert len(caplog.records) == 1


# --- the wish


def test_a_wish_is_remembered(tmp_path: Path) -> None:
    assert not Wish(tmp_path).stopped
    Wish(tmp_path).set(stopped=True)
    assert Wish(tmp_path).stopped
    assert Wish(tmp_path).since is not None
    Wish(tmp_path).set(stopped=False)
    assert not Wish(tmp_path).stopped


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"stopped": "yes"}', b"\xff"])
def test_a_damaged_wish_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wish.json").write_bytes(content)
    assert not Wish(tmp_path).stopped


def test_a_wish_that_the_disk_does_not_take_holds_all_the_same(tmp_path: Path) -> None:
    wish = Wish(tmp_path / "absent")
    with pytest.raises(OSError):
        wish.set(stopped=True)
    assert wish.stopped


# --- stacks


def test_the_oldest_stacks_make_room(tmp_path: Path) -> None:
    for pid in range(1, FILES_MAX + 3):
        keep_stacks(stacks_file(tmp_path, pid), "…")
        os.utime(stacks_file(tmp_path, pid), (pid, pid))
    keep_stacks(stacks_file(tmp_path, 1000), "…")
    kept = {int(path.stem.removeprefix("stacks-")) for path in tmp_path.iterdir()}
    assert kept == {*range(4, FILES_MAX + 3), 1000}


# --- the last good configuration


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Charge]:
    """Write a configuration and return its charge."""
    folder = tmp_path / "etc"
    (folder / "clusters.d").mkdir(parents=True)

    def write(text: str, environ: dict[str, str] | None = None, **clusters: str) -> Charge:
        (folder / "own.toml").write_text(text)
        for name, table in clusters.items():
            (folder / "clusters.d" / f"{name}.toml").write_text(table)
        charge = make_charge(load_settings(folder / "own.toml", environ or {}))
        make_folder(charge.data_dir, charge.folder)
        return charge

    return write


def keep(charge: Charge) -> None:
    assert charge.source is not None
    keep_copy(charge.folder, read_files(charge.source), charge)


def load_copy(charge: Charge) -> Charge:
    """Return the charge of the copy, as a server would read it."""
    copy = find_copy(charge.folder)
    assert copy is not None
    return make_charge(load_settings(copy.config, copy.environ))


def test_a_copy_means_what_the_original_meant(site: Callable[..., Charge]) -> None:
    text = 'data_dir = "data"\n[ledger]\nurl = "mysql+pymysql://e@h:1/x"\npassword_file = "secret"\n'
    charge = site(text, fish='nodes = ["127.0.0.1:1"]\n')
    keep(charge)
    again = load_copy(charge)
    assert (again.data_dir, again.ledger, again.clusters) == (charge.data_dir, charge.ledger, charge.clusters)
    copy = find_copy(charge.folder)
    assert copy is not None and charge.source is not None
    assert (copy.source, copy.files) == (charge.source, read_files(charge.source))


def test_a_cluster_that_was_deleted_is_not_in_a_later_copy(site: Callable[..., Charge]) -> None:
    charge = site('data_dir = "data"\n', fish='nodes = ["127.0.0.1:1"]\n')
    keep(charge)
    assert charge.source is not None
    (charge.source.parent / "clusters.d" / "fish.toml").unlink()
    keep(charge)
    assert load_copy(charge).clusters == ()


def test_nobody_else_can_read_a_copy(site: Callable[..., Charge]) -> None:
    charge = site('data_dir = "data"\n')
    keep(charge)
    assert (charge.folder / "good").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_power_cut_while_copying_leaves_a_whole_copy(site: Callable[..., Charge], moment: str) -> None:
    charge = site('data_dir = "data"\n', fish='nodes = ["127.0.0.1:1"]\n')
    keep(charge)
    good = charge.folder / "good"
    if moment == "before":
        (charge.folder / ".good.new").mkdir()
    elif moment == "between":
        good.rename(charge.folder / ".good.old")
    else:
        shutil.copytree(good, charge.folder / ".good.old")
    assert [cluster.name for cluster in load_copy(charge).clusters] == ["fish"]
    keep(charge)
    assert [path.name for path in charge.folder.iterdir()] == ["good"]


def test_without_a_copy_there_is_none(tmp_path: Path) -> None:
    assert find_copy(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('data_dir = "/srv/eomd"\n[sever', "/srv/eomd"),
        ("# data_dir = 'no'\n  data_dir='rel'   # yes\n[[[", "etc/rel"),
        ("[sever", "/var/lib/eomd"),
        ("\xff\x00", "/var/lib/eomd"),
    ],
)
def test_the_data_folder_of_a_broken_file_is_found(tmp_path: Path, text: str, found: str) -> None:
    source = tmp_path / "etc" / "eomd.toml"
    source.parent.mkdir()
    source.write_text(text, encoding="latin-1")
    assert guess_data_dir(source, {}) == tmp_path / found
    assert guess_data_dir(source, {"EOMD_DATA_DIR": "/elsewhere"}) == Path("/elsewhere")


# --- others


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"1"])
def test_what_is_no_object_is_an_empty_one(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    assert read_json(tmp_path / "x.json") == {}


def test_the_data_folder_gets_the_servers_mode(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "data", tmp_path / "a" / "data" / "watchdog")
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "a/data", tmp_path / "a/data/watchdog")]
    assert modes == [0o750, 0o700]
