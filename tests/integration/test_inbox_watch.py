"""Dropped files are claimed, each once, whatever happens to them, their folders and the watchdog."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inbox_watch import DAILY, NAME, QUIET_S, Clerk, as_nobody, make_charge, watching

from eomd.inbox_layout import REFUSED, TAKEN, parse_taken
from eomd.watchdog import inotify, offers, porter
from eomd.watchdog.claims import Claims
from eomd.watchdog.supervisor import ServerState
from tests.integration.life import until


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """Yield a function's folder to mount on; whatever is mounted there goes in the end."""
    mounted: list[Path] = []

    def put(path: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=777", "tmpfs", path], check=True)
        mounted.append(path)

    yield put
    for path in reversed(mounted):
        subprocess.run(["umount", "--lazy", path], check=False, stderr=subprocess.DEVNULL)


# --- what is taken, and when


def test_a_closed_file_is_claimed_and_offered_with_what_its_name_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.drop("modify_fish_inc_1001,1002_op7_x.csv", b"1,5\n")
            await inbox.admitted("modify_fish_inc_1001,1002_op7_x.csv")
            [taken] = inbox.taken()
            assert parse_taken(taken) == "modify_fish_inc_1001,1002_op7_x.csv"
            claim = inbox.clerk.offered[taken]
            facts = (inbox.path / TAKEN / taken).stat()
            assert (claim["size"], claim["mtime_ns"]) == (4, facts.st_mtime_ns)
            assert (claim["model"], claim["recipe"], claim["problem"]) == ("modify", "", None)
            who = {"operatorid": 7, "operatorname": "night"}
            assert claim["config"] == {**who, "cluster": "fish", "mode": "inc", "eids": "1001,1002"}
            assert inbox.left() == []
            await until(lambda: inbox.part.view()["claimed"] == 0, "nothing is open")

    asyncio.run(scenario())


def test_folders_are_made_for_a_group(tmp_path: Path) -> None:
    async def scenario() -> None:
        before = os.umask(0o077)
        try:
            async with watching(make_charge(tmp_path, recipes={"daily": DAILY})) as inbox:
                for folder in (inbox.path, inbox.path / "daily", inbox.path / REFUSED):
                    assert stat.filemode(folder.stat().st_mode) == "drwxrws---"
                assert stat.filemode((inbox.path / TAKEN).stat().st_mode) == "drwxr-s---"
        finally:
            os.umask(before)

    asyncio.run(scenario())


def test_a_file_renamed_into_place_is_claimed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.drop(f"{NAME}.part")
            (inbox.path / f"{NAME}.part").rename(inbox.path / NAME)
            await inbox.admitted(NAME)

    asyncio.run(scenario())


def test_a_file_in_a_recipes_folder_is_handed_in_as_the_recipe_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path, recipes={"daily": DAILY})) as inbox:
            inbox.drop("whatever.dat", recipe="daily")
            await inbox.admitted("whatever.dat")
            [claim] = inbox.clerk.offered.values()
            assert (claim["recipe"], claim["model"]) == ("daily", "query")
            who = {"operatorid": 5, "operatorname": "night"}
            assert claim["config"] == {**who, "cluster": "fish", "eids": [1001, 1002]}

    asyncio.run(scenario())


def test_unfinished_names_are_left_alone_while_others_are_taken(tmp_path: Path) -> None:
    names = ["a.csv.part", "a.TMP", ".a.csv", NAME]

    async def scenario() -> None:
        async with watching(make_charge(tmp_path, quiet_s=0.01)) as inbox:
            for name in names:
                inbox.drop(name)
            await inbox.admitted(NAME)
            # a look at everything follows the burst
            inbox.drop(f"2{NAME}")
            await until(lambda: len(inbox.clerk.offered) == 2, "the second one is taken")
            assert sorted(n for n in os.listdir(inbox.path) if n not in (TAKEN, REFUSED)) == sorted(names[:3])

    asyncio.run(scenario())


def test_a_file_that_is_there_at_the_start_is_taken_once_it_has_stood_still(tmp_path: Path) -> None:
    charge = make_charge(tmp_path, quiet_s=QUIET_S)
    charge.inbox.path.mkdir()
    (charge.inbox.path / NAME).write_bytes(b"1\n")

    async def scenario() -> None:
        async with watching(charge) as inbox:
            await inbox.admitted(NAME)

    asyncio.run(scenario())


def test_a_file_that_is_kept_open_is_taken_only_once_it_stands_still(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path, quiet_s=QUIET_S)) as inbox:
            with open(inbox.path / NAME, "wb") as file:
                file.write(b"1\n")
                file.flush()
                inbox.drop("query_fish_1001_y.csv")
                await inbox.admitted("query_fish_1001_y.csv")
                assert inbox.left() == [NAME]
                await inbox.admitted("query_fish_1001_y.csv", NAME)

    asyncio.run(scenario())


def test_a_file_that_is_still_growing_is_left_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            with open(inbox.path / NAME, "wb") as file:
                file.write(b"1\n")
                file.flush()
                inbox.drop("query_fish_1001_y.csv")
                await inbox.admitted("query_fish_1001_y.csv")
                await until(lambda: inbox.part.view()["waiting"] == 1, "the look after the burst")
                assert inbox.left() == [NAME]
            await inbox.admitted("query_fish_1001_y.csv", NAME)

    asyncio.run(scenario())


def test_an_empty_file_is_taken_only_once_it_stands_still(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.drop(NAME, b"")
            await until(lambda: inbox.part.view()["waiting"] == 1, "the look after the burst")
            # whoever made it fills it now
            inbox.drop(NAME, b"1\n")
            await inbox.admitted(NAME)
        async with watching(make_charge(tmp_path, quiet_s=QUIET_S)) as inbox:
            inbox.drop(NAME, b"")
            await inbox.admitted(NAME)

    asyncio.run(scenario())


def test_the_same_name_again_and_again_is_claimed_each_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            for count in range(1, 21):
                inbox.drop(NAME, b"%d\n" % count)
                await until(lambda: not inbox.left(), "it is taken")
            await inbox.admitted(*[NAME] * 20)
            contents = [(inbox.path / TAKEN / taken).read_bytes() for taken in inbox.taken()]
            assert contents == [b"%d\n" % count for count in range(1, 21)]

    asyncio.run(scenario())


def test_names_of_any_bytes_and_length_are_claimed(tmp_path: Path) -> None:
    tail = "x" * (255 - len("query_fish_1001_.csv"))
    names = [
        "query_fish_1001_\udcb2\udce2.csv",
        "query_fish_1001_\n'\".csv",
        f"query_fish_1001_{tail}.csv",
        "QUERY_FISH_1001_玩家.TXT",
    ]

    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            for name in names:
                inbox.drop(name)
            await inbox.admitted(*names)
            assert inbox.left() == []

    asyncio.run(scenario())


def test_a_name_that_says_nothing_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.drop("players.csv")
            await until(lambda: inbox.clerk.refused, "it is refused")
            [problem] = inbox.clerk.refused.values()
            assert "neither query_ nor modify_" in problem
            await until(lambda: inbox.part.view()["claimed"] == 0, "nothing is open")

    asyncio.run(scenario())


def test_links_and_pipes_are_refused_and_folders_are_told_of(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path, quiet_s=0.01)) as inbox:
            (inbox.path / "a.csv").symlink_to("/etc/passwd")
            os.mkfifo(inbox.path / "b.csv")
            (inbox.path / "c").mkdir()
            (inbox.path / "c" / NAME).write_bytes(b"1\n")
            inbox.drop(NAME)
            await until(lambda: len(inbox.clerk.refused) == 2, "link and pipe are refused")
            assert sorted(inbox.clerk.refused.values()) == [
                "it is a named pipe, not a file",
                "it is a symbolic link, not a file",
            ]
            incident = await until(lambda: inbox.open_incident("files in the inbox"), "an incident")
            assert "c: it is a folder, and no recipe's" in incident.summary
            await inbox.admitted(NAME)
            shutil.rmtree(inbox.path / "c")
            inbox.drop(f"2{NAME}")
            await until(lambda: not inbox.open_incident("files in the inbox"), "the incident is over")

    asyncio.run(scenario())


def test_hard_links_are_found_without_an_event(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path, quiet_s=QUIET_S)) as inbox:
            source = tmp_path / "source.csv"
            source.write_bytes(b"1\n")
            os.link(source, inbox.path / NAME)
            inbox.drop("query_fish_1001_y.csv")
            await inbox.admitted(NAME, "query_fish_1001_y.csv")

    asyncio.run(scenario())


# --- bursts


def test_more_files_than_the_kernel_keeps_events_of_are_claimed_once_each() -> None:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    count = limit + 1000

    async def scenario() -> None:
        async with watching(make_charge(folder, quiet_s=QUIET_S)) as inbox:
            for number in range(count):
                inbox.drop(f"query_fish_1001_{number}.csv")
            await until(lambda: len(inbox.clerk.admitted) == count, "all are admitted", 120.0)
            assert set(inbox.clerk.admitted.values()) == {1}
            assert len(set(inbox.clerk.names)) == count
            assert inbox.left() == []
            await until(lambda: inbox.closed_incidents("inbox_overflow"), "the overflow is told of")
            await until(lambda: inbox.part.view()["claimed"] == 0, "nothing is open")
            assert list((inbox.charge.folder / "claims").iterdir()) == [
                inbox.charge.folder / "claims" / "folders.json"
            ]

    try:
        asyncio.run(scenario())
    finally:
        shutil.rmtree(folder)


# --- the folders


def test_a_folder_that_is_deleted_is_made_again_and_watched(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path, recipes={"daily": DAILY})) as inbox:
            shutil.rmtree(inbox.path)
            await until(lambda: len(inbox.closed_incidents()) == 2, "both folders are told of")
            subjects = sorted(i.subject for i in inbox.closed_incidents())
            assert subjects == ["inbox", "inbox/daily"]
            assert all("was gone and has been made again" in i.summary for i in inbox.closed_incidents())
            inbox.drop(NAME)
            inbox.drop("b.csv", recipe="daily")
            await inbox.admitted(NAME, "b.csv")

    asyncio.run(scenario())


def test_a_folder_that_is_moved_away_and_replaced_is_watched_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.path.rename(tmp_path / "old")
            inbox.path.mkdir()
            await until(inbox.closed_incidents, "it is told of")
            inbox.drop(NAME)
            await inbox.admitted(NAME)
            (tmp_path / "old" / "query_fish_1001_y.csv").write_bytes(b"1\n")
            inbox.drop("query_fish_1001_z.csv")
            await inbox.admitted(NAME, "query_fish_1001_z.csv")

    asyncio.run(scenario())


def test_another_file_system_mounted_over_the_inbox_hides_nothing_for_good(tmp_path: Path, mount) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.clerk.always = {"verdict": "later"}
            inbox.drop(NAME)
            await until(lambda: inbox.taken(), "it is claimed")
            inbox.clerk.always = None
            inbox.part.hear_server(ServerState.STOPPED)
            mount(inbox.path)
            incident = await until(inbox.closed_incidents, "it is told of")
            assert "is not the folder it was" in incident[0].summary
            inbox.part.hear_server(ServerState.READY)
            inbox.drop("query_fish_1001_y.csv")
            await inbox.admitted("query_fish_1001_y.csv")
            # the first one lies below what was mounted
            await until(lambda: inbox.open_incident("files taken from the inbox"), "it is missed")
            subprocess.run(["umount", "--lazy", inbox.path], check=True)
            await inbox.admitted(NAME, "query_fish_1001_y.csv")
            await until(lambda: not inbox.open_incident("files taken from the inbox"), "it is found again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offers, "MISSING_PAUSE_S", 0.1)
        asyncio.run(scenario())


def test_what_stands_in_the_inboxs_place_is_told_of(tmp_path: Path) -> None:
    charge = make_charge(tmp_path)
    charge.inbox.path.write_text("in the way")

    async def scenario() -> None:
        async with watching(charge, wait=False) as inbox:
            await inbox.reach("unreadable")
            incident = inbox.open_incident("inbox")
            assert incident is not None
            assert "it is no folder" in incident.summary
            inbox.path.unlink()
            await inbox.reach("watching")
            assert inbox.open_incident("inbox") is None
            inbox.drop(NAME)
            await inbox.admitted(NAME)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("place", "mode", "reason"),
    [
        (".", 0o300, "may not be read"),
        (".", 0o500, "may not be taken out"),
        (TAKEN, 0o500, "may not be used"),
        (TAKEN, 0o300, "may not be used"),
        (".", 0o000, "may not be read"),
    ],
)
def test_lost_permissions_are_told_of(place: str, mode: int, reason: str) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))

    async def scenario() -> None:
        async with watching(make_charge(folder)) as inbox:
            (inbox.path / place).chmod(mode)
            await inbox.reach("unreadable")
            incident = inbox.open_incident("inbox")
            assert incident is not None
            assert reason in incident.summary
            (inbox.path / place).chmod(0o2770)
            await inbox.reach("watching")
            assert inbox.open_incident("inbox") is None
            inbox.drop(NAME)
            await inbox.admitted(NAME)

    try:
        with as_nobody(folder):
            asyncio.run(scenario())
    finally:
        shutil.rmtree(folder)


def test_a_file_that_cannot_be_moved_is_told_of_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))

    async def scenario() -> None:
        async with watching(make_charge(folder, quiet_s=0.01)) as inbox:
            incident = await until(lambda: inbox.open_incident("files in the inbox"), "it is told of")
            assert "it cannot be moved" in incident.summary
            inbox.drop("query_fish_1001_y.csv")
            await inbox.admitted("query_fish_1001_y.csv")
            os.chmod(inbox.path, 0o2770)
            await inbox.admitted(NAME, "query_fish_1001_y.csv")
            await until(lambda: not inbox.open_incident("files in the inbox"), "the incident is over")

    monkeypatch.setattr("eomd.watchdog.taking.STUCK_S", 0.1)
    monkeypatch.setattr(porter, "SWEEP_S", 0.2)
    inbox = folder / "data" / "inbox"
    inbox.mkdir(parents=True)
    try:
        with as_nobody(folder):
            # somebody else's file in a sticky folder that is not ours
            os.seteuid(0)
            os.chown(inbox, 0, 65534)
            os.chmod(inbox, 0o3770)
            (inbox / NAME).write_bytes(b"1\n")
            for name in (TAKEN, REFUSED):
                (inbox / name).mkdir()
                os.chown(inbox / name, 65534, 65534)
            os.seteuid(65534)
            with pytest.MonkeyPatch.context() as patch:
                chmod = os.chmod

                def as_root(path, mode):  # type: ignore[no-untyped-def]
                    os.seteuid(0)
                    chmod(path, mode)
                    os.seteuid(65534)

                patch.setattr(os, "chmod", as_root)
                asyncio.run(scenario())
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(("where", "what"), [(inotify.FolderEvents, "watch"), (porter, "make_manager")])
def test_without_events_files_are_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, what: str
) -> None:
    def none_left(*_: object) -> None:
        raise OSError("no watches left")

    monkeypatch.setattr(where, what, none_left)
    monkeypatch.setattr(porter, "LOOK_S", 0.05)

    async def scenario() -> None:
        async with watching(make_charge(tmp_path, quiet_s=QUIET_S), wait=False) as inbox:
            await inbox.reach("polling")
            incident = inbox.open_incident("events of the inbox")
            assert incident is not None
            assert "no watches left" in incident.summary
            inbox.drop(NAME)
            await inbox.admitted(NAME)
            monkeypatch.undo()
            await inbox.reach("watching")
            assert inbox.open_incident("events of the inbox") is None

    asyncio.run(scenario())


# --- other file systems


def test_a_file_on_another_file_system_is_copied(tmp_path: Path, mount) -> None:
    charge = make_charge(tmp_path, recipes={"daily": DAILY})
    (charge.inbox.path / "daily").mkdir(parents=True)
    mount(charge.inbox.path / "daily")

    async def scenario() -> None:
        async with watching(charge) as inbox:
            inbox.drop("a.csv", b"12\n" * 1000, recipe="daily")
            await inbox.admitted("a.csv")
            [taken] = inbox.taken()
            assert (inbox.path / TAKEN / taken).read_bytes() == b"12\n" * 1000
            assert os.listdir(inbox.path / "daily") == []

    asyncio.run(scenario())


@pytest.mark.parametrize("when", ["before the copy", "after the copy", "after the end"])
def test_a_copy_that_was_cut_off_is_finished_and_not_begun_anew(tmp_path: Path, mount, when: str) -> None:
    charge = make_charge(tmp_path, recipes={"daily": DAILY})
    daily = charge.inbox.path / "daily"
    daily.mkdir(parents=True)
    mount(daily)

    async def scenario() -> None:
        async with watching(charge) as inbox:
            inbox.clerk.always = {"verdict": "later"}
            inbox.drop("a.csv", b"1\n", recipe="daily")
            [taken] = await until(inbox.taken, "it is claimed")
        # as a crash leaves it
        shutil.copy2(charge.inbox.path / TAKEN / taken, daily / f".eomd-{taken}")
        if when == "before the copy":
            (charge.inbox.path / TAKEN / taken).unlink()
        if when == "after the end":
            shutil.rmtree(charge.folder / "claims")
            (charge.folder / "claims").mkdir()
            (charge.folder / "claims" / "folders.json").write_text(f'["{taken_id(charge)}"]')
        async with watching(charge) as inbox:
            await until(lambda: os.listdir(daily) == [], "the original is gone")
            if when == "after the end":
                assert (inbox.taken(), inbox.clerk.offered) == ([taken], {})
            else:
                await inbox.admitted("a.csv")

    asyncio.run(scenario())


def taken_id(charge) -> str:  # type: ignore[no-untyped-def]
    return (charge.inbox.path / TAKEN / ".id").read_text().strip()


def test_a_copy_that_nobody_knows_of_is_dropped_anew(tmp_path: Path, mount) -> None:
    charge = make_charge(tmp_path, quiet_s=QUIET_S, recipes={"daily": DAILY})
    daily = charge.inbox.path / "daily"
    daily.mkdir(parents=True)
    mount(daily)
    (daily / ".eomd-20260301T120000.123456789Z-a.csv").write_bytes(b"1\n")

    async def scenario() -> None:
        async with watching(charge) as inbox:
            await inbox.admitted("a.csv")

    asyncio.run(scenario())


# --- the disk short, the server away


def test_files_stay_in_the_inbox_while_the_disk_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(porter, "HELD_S", 0.05)

    async def scenario() -> None:
        charge = make_charge(tmp_path, min_free_mb=2**40, quiet_s=QUIET_S)
        async with watching(charge, wait=False) as inbox:
            await inbox.reach("held")
            inbox.drop(NAME)
            await until(lambda: "limits.min_free_mb" in inbox.part.view()["reason"], "the reason is told")
            assert inbox.left() == [NAME]
            inbox.part.take_charge(make_charge(tmp_path, quiet_s=QUIET_S))
            await inbox.admitted(NAME)

    asyncio.run(scenario())


def test_a_journal_that_cannot_be_written_leaves_files_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(porter, "HELD_S", 0.05)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def scenario() -> None:
        async with watching(make_charge(tmp_path, quiet_s=QUIET_S)) as inbox:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Claims, "note", full)
                inbox.drop(NAME)
                await inbox.reach("held")
                assert inbox.left() == [NAME]
            await inbox.admitted(NAME)
            assert inbox.state == "watching"

    asyncio.run(scenario())


def test_claims_wait_for_a_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path), ready=False) as inbox:
            inbox.drop(NAME)
            await until(lambda: inbox.part.view()["claimed"] == 1, "it is claimed")
            assert inbox.clerk.calls == 0
            inbox.clerk.away = True
            inbox.part.hear_server(ServerState.READY)
            await until(lambda: inbox.clerk.calls > 1, "the server is asked again")
            assert inbox.part.view()["reason"] == "nobody there"
            inbox.clerk.away = False
            await inbox.admitted(NAME)

    asyncio.run(scenario())


def test_what_the_server_puts_off_is_offered_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.clerk.always = {"verdict": "later"}
            inbox.drop(NAME)
            await until(lambda: inbox.clerk.calls > 2, "it is offered again and again")
            assert inbox.part.view()["reason"] == "as told"
            inbox.clerk.always = None
            await inbox.admitted(NAME)

    asyncio.run(scenario())


def test_a_file_that_changes_after_the_claim_is_offered_once_it_stands_still(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path, quiet_s=QUIET_S)) as inbox:
            inbox.clerk.always = {"verdict": "later", "changed": True}
            with open(inbox.path / NAME, "ab") as file:
                file.write(b"1\n")
                file.flush()
                await until(lambda: inbox.clerk.offered, "it is claimed")
                file.write(b"2\n")
                file.flush()
                inbox.clerk.always = None
                await inbox.admitted(NAME)
            [claim] = inbox.clerk.offered.values()
            assert claim["size"] == 4

    asyncio.run(scenario())


def test_a_file_that_a_power_cut_has_shortened_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        charge = make_charge(tmp_path, quiet_s=QUIET_S)
        async with watching(charge, ready=False) as inbox:
            inbox.drop(NAME, b"1\n2\n3\n")
            [taken] = await until(inbox.taken, "it is claimed")
        os.truncate(charge.inbox.path / TAKEN / taken, 4)
        async with watching(charge) as inbox:
            await until(lambda: inbox.clerk.refused, "it is refused")
            assert "4 of 6 bytes" in inbox.clerk.refused[taken]

    asyncio.run(scenario())


# --- the watchdog starts again


def test_claims_that_have_not_ended_are_offered_by_the_next_watchdog(tmp_path: Path) -> None:
    charge = make_charge(tmp_path)
    names = [f"query_fish_1001_{number}.csv" for number in range(50)]

    async def scenario() -> None:
        async with watching(charge, ready=False) as inbox:
            for name in names:
                inbox.drop(name)
            await until(lambda: inbox.part.view()["claimed"] == 50, "all are claimed")
        clerk = Clerk(charge.inbox.path)
        async with watching(charge, clerk) as inbox:
            await inbox.admitted(*names)
            await until(lambda: inbox.part.view()["claimed"] == 0, "nothing is open")
        calls = clerk.calls
        async with watching(charge, clerk) as inbox:
            inbox.drop(NAME)
            await inbox.admitted(*names, NAME)
            assert set(clerk.admitted.values()) == {1}
            assert clerk.calls <= calls + 2

    asyncio.run(scenario())


def test_a_claim_whose_file_was_never_moved_is_forgotten_and_the_file_claimed_anew(tmp_path: Path) -> None:
    charge = make_charge(tmp_path, quiet_s=QUIET_S)

    async def scenario() -> None:
        async with watching(charge, ready=False) as inbox:
            inbox.drop(NAME)
            [taken] = await until(inbox.taken, "it is claimed")
        # as a crash between journal and move leaves it
        (charge.inbox.path / TAKEN / taken).rename(charge.inbox.path / NAME)
        async with watching(charge) as inbox:
            await inbox.admitted(NAME)
            await until(lambda: inbox.part.view()["claimed"] == 0, "nothing is open")
            assert len(inbox.clerk.offered) == 2

    asyncio.run(scenario())


def test_what_no_journal_knows_is_asked_about_and_not_run(tmp_path: Path) -> None:
    charge = make_charge(tmp_path)

    async def scenario() -> None:
        clerk = Clerk(charge.inbox.path)
        async with watching(charge, clerk) as inbox:
            inbox.drop(NAME)
            await inbox.admitted(NAME)
            clerk.always = {"verdict": "later"}
            inbox.drop("query_fish_1001_y.csv")
            await until(lambda: len(inbox.taken()) == 2, "it is claimed")
        shutil.rmtree(charge.folder)
        clerk.always = None
        async with watching(charge, clerk) as inbox:
            await until(lambda: clerk.refused, "the one that is no operation is refused")
            [problem] = clerk.refused.values()
            assert "drop it again" in problem
            assert clerk.names == [NAME]
            assert set(clerk.admitted.values()) == {1}
        calls = clerk.calls
        async with watching(charge, clerk) as inbox:
            assert clerk.calls == calls

    asyncio.run(scenario())


# --- the configuration


def test_a_changed_configuration_is_taken_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(make_charge(tmp_path)) as inbox:
            inbox.drop(NAME)
            await inbox.admitted(NAME)
            inbox.part.take_charge(make_charge(tmp_path, recipes={"daily": DAILY}))
            await until(lambda: (inbox.path / "daily").is_dir(), "the recipe's folder is made")
            await inbox.reach("watching")
            inbox.drop("b.csv", recipe="daily")
            await inbox.admitted(NAME, "b.csv")
            inbox.part.take_charge(make_charge(tmp_path, enabled=False))
            await inbox.reach("off")
            inbox.part.take_charge(make_charge(tmp_path))
            await inbox.reach("watching")
            inbox.drop("query_fish_1001_y.csv")
            await inbox.admitted(NAME, "b.csv", "query_fish_1001_y.csv")

    asyncio.run(scenario())


def test_an_incident_about_a_folder_that_is_no_recipes_any_more_is_over(tmp_path: Path) -> None:
    charge = make_charge(tmp_path, recipes={"daily": DAILY})
    charge.inbox.path.mkdir()
    (charge.inbox.path / "daily").write_text("in the way")

    async def scenario() -> None:
        async with watching(charge, wait=False) as inbox:
            await until(lambda: inbox.open_incident("inbox/daily"), "it is told of")
            inbox.drop(NAME)
            await inbox.admitted(NAME)
            inbox.part.take_charge(make_charge(tmp_path))
            await until(lambda: not inbox.open_incident("inbox/daily"), "it is over")

    asyncio.run(scenario())
