"""The spool keeps what it has acknowledged, in order, whatever a power cut or a bad disk leaves of it."""

import errno
import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import DiskFullError
from eomd.storage import spool as spool_module
from eomd.storage.spool import ASIDE, Spool


def drained(folder):
    """Return all entries as another process would find them."""
    spool = Spool(folder)
    return [entry for segment in spool.segments() for entry in spool.read(segment)]


def entries(*numbers):
    return [{"n": number} for number in numbers]


def test_entries_come_back_in_order_over_restarts(tmp_path):
    for start in (0, 3, 6):
        spool = Spool(tmp_path)
        spool.append(entries(start))
        spool.append(entries(start + 1, start + 2))
    assert drained(tmp_path) == entries(*range(9))


def test_a_folder_that_is_missing_is_empty_and_then_made(tmp_path):
    spool = Spool(tmp_path / "spool")
    assert spool.segments() == []
    assert spool.oldest() is None
    spool.append(entries(1))
    assert drained(tmp_path / "spool") == entries(1)


def test_an_entry_is_on_the_disk_when_append_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    spool = Spool(tmp_path)
    spool.append(entries(1))
    (segment,) = spool.segments()
    assert synced == [str(tmp_path), str(segment)]


@pytest.mark.parametrize("torn", [b"0", b"00c0ffee ", b'00c0ffee {"n": 9', b"\0" * 40])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    spool = Spool(tmp_path)
    spool.append(entries(1, 2))
    (segment,) = spool.segments()
    with open(segment, "ab") as handle:
        handle.write(torn)
    assert drained(tmp_path) == entries(1, 2)
    assert not (tmp_path / ASIDE).exists()


@given(st.integers(0, 200))
def test_a_segment_cut_anywhere_yields_its_whole_lines(tmp_path_factory, length):
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder)
    spool.append(entries(*range(10)))
    (segment,) = spool.segments()
    whole = segment.read_bytes()
    segment.write_bytes(whole[:length])
    assert drained(folder) == entries(*range(whole[:length].count(b"\n")))


@pytest.mark.parametrize("damage", [b'00000000 {"n": 9}\n', b"\n", b"\xff\xfe\n", b"no line of ours\n"])
def test_a_damaged_line_is_set_aside_and_blocks_nothing(tmp_path, caplog, damage):
    spool = Spool(tmp_path)
    spool.append(entries(1))
    (segment,) = spool.segments()
    with open(segment, "ab") as handle:
        handle.write(damage)
    spool.append(entries(2))
    with caplog.at_level(logging.ERROR):
        assert drained(tmp_path) == entries(1, 2)
    assert "damaged" in caplog.text
    assert (tmp_path / ASIDE).read_bytes() == damage


def test_the_oldest_segment_is_not_appended_to(tmp_path):
    spool = Spool(tmp_path)
    spool.append(entries(1))
    oldest = spool.oldest()
    spool.append(entries(2))
    assert spool.read(oldest) == entries(1)
    assert spool.oldest() == oldest
    spool.remove(oldest)
    assert drained(tmp_path) == entries(2)


def test_a_segment_that_has_grown_is_followed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES_MAX", 100)
    spool = Spool(tmp_path)
    for number in range(20):
        spool.append(entries(number))
    assert len(spool.segments()) > 2
    assert drained(tmp_path) == entries(*range(20))


def test_a_number_is_not_given_to_two_segments(tmp_path):
    spool = Spool(tmp_path)
    spool.append(entries(1))
    first = spool.oldest()
    spool.append(entries(2))
    spool.remove(first)
    again = Spool(tmp_path)
    again.append(entries(3))
    assert drained(tmp_path) == entries(2, 3)


def test_later_entries_may_stand_for_all_that_is_there(tmp_path):
    spool = Spool(tmp_path)
    spool.append(entries(1, 2, 3))
    spool.replace(entries(9))
    spool.append(entries(10))
    assert drained(tmp_path) == entries(9, 10)


def test_on_a_full_disk_an_entry_is_refused_whole(tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    spool.append(entries(1))
    real, room = os.write, [10]

    def write(handle, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        written, room[0] = real(handle, data[: room[0]]), 0
        return written

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DiskFullError):
        spool.append(entries(2))
    monkeypatch.setattr(os, "write", real)
    spool.append(entries(3))
    assert drained(tmp_path) == entries(1, 3)


def test_other_files_of_the_folder_are_left_alone(tmp_path):
    other = tmp_path / "incidents-000000000001.jsonl"
    other.write_text("of the watchdog")
    spool = Spool(tmp_path)
    spool.append(entries(1))
    assert drained(tmp_path) == entries(1)
    assert other.exists()
