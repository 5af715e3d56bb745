"""The watchdog's look at the disk: a small one, filled with bytes and with files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from eomd.free_space import INODES_RESERVED, FreeSpace
from eomd.watchdog.disk_probe import LOW, SHORT, UNREACHABLE, DiskProbe, judge
from eomd.watchdog.sight import UP, Finding
from tests.small_disk import SmallDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "disk", "size=32m,nr_inodes=1200")
    yield made
    made.close()


def look(folder: Path, min_free_mb: int = 8) -> Finding:
    return asyncio.run(DiskProbe(folder, min_free_mb).look())


def test_a_disk_that_fills_is_low_then_short_then_well_again(disk: SmallDisk) -> None:
    assert look(disk.path).state == UP
    filler = disk.fill(leave_mb=15)
    finding = look(disk.path)
    assert finding.state == LOW
    assert "15 MB and" in finding.reason
    filler.write_bytes(bytes(30 << 20))
    assert look(disk.path).state == SHORT
    filler.unlink()
    assert look(disk.path).state == UP


def test_a_disk_without_inodes_is_short_although_it_has_space(disk: SmallDisk) -> None:
    files = [disk.path / str(number) for number in range(1200 - INODES_RESERVED)]
    for file in files:
        file.touch()
    finding = look(disk.path)
    assert finding.state == SHORT
    assert "inodes free" in finding.reason
    files[0].unlink()
    files[1].unlink()
    assert look(disk.path).state == UP


def test_a_folder_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    finding = look(tmp_path / "gone")
    assert (finding.state, finding.reason) == (UNREACHABLE, f"{tmp_path}/gone: No such file or directory")


@pytest.mark.parametrize(
    ("mb", "inodes", "min_free_mb", "state"),
    [
        (1024, 10**6, 512, UP),
        (1023, 10**6, 512, LOW),
        (512, 10**6, 512, LOW),
        (511, 10**6, 512, SHORT),
        (0, 10**6, 0, SHORT),
        (1, 10**6, 0, UP),
        (1024, None, 512, UP),
        (1024, 0, 512, SHORT),
        (1024, INODES_RESERVED - 1, 0, SHORT),
        (1024, INODES_RESERVED, 0, UP),
    ],
)
def test_space_is_judged_by_the_servers_own_limits(
    mb: float, inodes: int | None, min_free_mb: int, state: str
) -> None:
    assert judge(FreeSpace(mb, inodes), min_free_mb) == state
