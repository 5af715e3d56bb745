"""When a server has outgrown what it is given."""

from __future__ import annotations

from eomd.watchdog.excess import Excess, Resource, Usage

MODEST = Usage(rss_mb=100, descriptors=50, descriptors_max=1024)
LARGE = Usage(rss_mb=101, descriptors=50, descriptors_max=1024)


def test_a_second_look_over_the_limit_counts() -> None:
    excess = Excess(100)
    assert excess.judge(LARGE) == {}
    assert excess.judge(LARGE) == {Resource.MEMORY: "uses 101 MB, over watchdog.rss_limit_mb = 100"}
    assert Resource.MEMORY in excess.judge(LARGE)


def test_what_was_freed_in_between_begins_anew() -> None:
    excess = Excess(100)
    assert excess.judge(LARGE) == excess.judge(MODEST) == excess.judge(LARGE) == {}


def test_open_files_count_near_their_limit() -> None:
    excess = Excess(100)
    near = Usage(rss_mb=1, descriptors=922, descriptors_max=1024)
    excess.judge(near)
    assert excess.judge(near) == {Resource.DESCRIPTORS: "holds 922 of at most 1024 open files"}
    assert Excess(100).judge(Usage(1, 921, 1024)) == {}


def test_no_limit_of_open_files_is_never_near() -> None:
    excess = Excess(100)
    unlimited = Usage(rss_mb=1, descriptors=10**6, descriptors_max=-1)
    assert excess.judge(unlimited) == excess.judge(unlimited) == {}
