"""Claimed files: each becomes exactly one operation, or is refused with its problems, or waits."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dropping import DropFolder, admit, offer, verdicts
from sql_proxy import SqlProxy

from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.inbox_layout import hand_in_of
from eomd.model import State
from eomd.operations import inbox as inbox_module
from eomd.operations.dropped import Dropped, Verdict
from eomd.storage.ledger import OperationFilter
from tests.integration.life import DEADLINE_S, NOWHERE, Home, Life, lines, order, until, users
from tests.journal import count_applied
from tests.mariadb import MariaDb

CONTENT = lines(users(50), 5)
INC, QUERY = order("inc"), order()
OTHERS = [lines(users(50), amount) for amount in range(100, 400)]


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, {"fish": NOWHERE})


@pytest.fixture
def drops(home: Home) -> DropFolder:
    return DropFolder(home.data.path)


async def listed(life: Life) -> int:
    total, _ = await life.rooms.ledger.operations(OperationFilter())
    return total


async def until_all(life: Life, dropped: Sequence[Dropped]) -> None:
    """Offer until all are admitted; each call admits what the queue has room for."""
    async with asyncio.timeout(DEADLINE_S):
        while "later" in (found := await verdicts(life, *dropped)):
            assert set(found) == {"admitted", "later"}


def nothing_staged(life: Life) -> bool:
    return not life.data.staged()


# --- admission


def test_a_claimed_file_becomes_an_operation_and_is_answered(
    home: Home, drops: DropFolder, fish: SimulatedCluster
) -> None:
    home.clusters["fish"] = fish

    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("modify_fish_inc_1001_x.csv", CONTENT, INC, recipe="r")
            [identity] = await admit(life, dropped)
            assert (await life.reach(identity)).state is State.SUCCEEDED
            await until(lambda: not life.folder(identity).answer.exists(), "the last answer")
            assert drops.answers() == [
                "modify_fish_inc_1001_x-result.csv",
                "modify_fish_inc_1001_x.status.json",
            ]
            result = (drops.outbox / "modify_fish_inc_1001_x-result.csv").read_bytes()
            assert result == life.data.result(identity).read_bytes()
            assert result.startswith(b"userid,status,")
            status = drops.status("modify_fish_inc_1001_x")
            assert (status["id"], status["state"], status["recipe"]) == (identity, "succeeded", "r")
            assert status["rows"] == {"total": 50, "done": 50, "ok": 50, "failed": 0, "uncertain": 0}
            assert status["resultname"] == "modify_fish_inc_1001_x-result.csv"
            assert life.data.source(identity).read_bytes() == CONTENT
            assert (drops.taken / dropped.taken).exists()
            assert oct(drops.outbox.stat().st_mode)[-4:] == "2770"
        assert count_applied(fish.state) == dict.fromkeys(users(50), 1)

    asyncio.run(scenario())


def test_hundreds_are_admitted_in_their_order_in_one_transaction(home: Home, drops: DropFolder) -> None:
    dropped = [drops.claim(f"{n}.csv", content, INC) for n, content in enumerate(OTHERS[:150])]

    async def scenario() -> None:
        async with home.life() as life:
            written = []
            admit_many = life.rooms.ledger.admit_many

            async def counted(news):  # type: ignore[no-untyped-def]
                written.append(len(news))
                return await admit_many(news)

            life.rooms.ledger.admit_many = counted  # type: ignore[method-assign]
            ids = await admit(life, *dropped)
            assert ids == sorted(ids)
            assert max(written) > 10
            assert sum(written) == 150
            assert await listed(life) == 150
            names = [(await life.view(identity)).original_name for identity in ids]
            assert names == [f"{n}.csv" for n in range(150)]

    asyncio.run(scenario())


def test_offered_again_and_again_it_stays_one_operation(home: Home, drops: DropFolder) -> None:
    dropped = drops.claim("a.csv", CONTENT, INC)

    async def scenario() -> None:
        async with home.life() as life:
            first = await admit(life, dropped)
            assert await admit(life, dropped) == first
            # also where nobody has the file any more
            (drops.taken / dropped.taken).unlink()
            assert await admit(life, dropped) == first
        async with home.life() as life:
            assert await admit(life, dropped) == first
            assert await listed(life) == 1

    asyncio.run(scenario())


def test_the_same_name_twice_is_two_hand_ins(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            both = [drops.claim("q.csv", lines(users(5)), QUERY) for _ in range(2)]
            ids = await admit(life, *both)
            assert len(set(ids)) == 2

    asyncio.run(scenario())


def test_a_source_is_no_copy_where_the_file_is_our_own(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("q.csv", lines(users(5)), QUERY)
            [identity] = await admit(life, dropped)
            assert (drops.taken / dropped.taken).samefile(life.data.source(identity))

    asyncio.run(scenario())


def test_a_source_is_a_copy_where_somebody_else_could_change_it(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("q.csv", lines(users(5)), QUERY)
            os.chown(drops.taken / dropped.taken, 65534, 65534)
            [identity] = await admit(life, dropped)
            (drops.taken / dropped.taken).write_bytes(b"x")
            assert life.data.source(identity).read_bytes() == lines(users(5))

    asyncio.run(scenario())


def test_names_that_are_no_text_are_admitted_and_answered(home: Home, drops: DropFolder) -> None:
    names = ["\udcb2\udce2.csv", "a\nb.csv", "长" * 66 + ".csv", "x" * 196 + ".csv"]

    async def scenario() -> None:
        async with home.life() as life:
            dropped = [
                drops.claim(
                    name,
                    lines(users(5)),
                    QUERY,
                )
                for name in names
            ]
            await admit(life, *dropped)
            await until(lambda: len(drops.answers()) == 4, "all four are answered")
            found = [drops.status(path.removesuffix(".status.json"))["name"] for path in drops.answers()]
            assert sorted(found) == sorted(names)

    asyncio.run(scenario())


# --- refusals


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"userid,amount\n1,5\n2,x\n3,-1\n", "line 3, column amount, 'x'"),
        (b"", "empty"),
        (b"PK\x03\x04" + bytes(100), "zip"),
        (b"1,2\n\x00", "NUL"),
    ],
)
def test_a_bad_file_is_refused_with_its_problems(
    home: Home, drops: DropFolder, content: bytes, problem: str
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("bad.csv", content, INC)
            [answer] = await offer(life, [dropped])
            assert answer.verdict is Verdict.REFUSED
            text = drops.problems(dropped)
            assert "bad.csv was refused at" in text
            assert problem in text
            assert (drops.refused / dropped.taken).read_bytes() == content
            status = drops.status("bad")
            assert (status["state"], status["id"], status["taken"]) == ("refused", None, dropped.taken)
            assert status["problems"] == text.splitlines()[2:]
            assert await listed(life) == 0
            assert nothing_staged(life)
            assert await verdicts(life, dropped) == ["refused"]

    asyncio.run(scenario())


def test_all_problems_of_a_file_are_counted(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("bad.csv", b"userid,amount\n" + b"1,x\n" * 250, INC)
            assert await verdicts(life, dropped) == ["refused"]
            text = drops.problems(dropped).splitlines()
            assert len(text) == 2 + 100 + 1
            assert text[-1] == "and 150 more"

    asyncio.run(scenario())


def test_a_file_with_a_problem_is_refused_without_a_look_into_it(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("x.csv", CONTENT, None, problems=("the name says nothing", "really"))
            (drops.taken / dropped.taken).unlink()
            os.mkfifo(drops.taken / dropped.taken)
            assert await verdicts(life, dropped) == ["refused"]
            assert drops.problems(dropped).endswith("\nthe name says nothing\nreally\n")

    asyncio.run(scenario())


def test_what_is_no_file_any_more_is_neither_followed_nor_waited_for(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            link, pipe, folder = (drops.claim(f"{n}.csv", CONTENT, INC) for n in range(3))
            for each in (link, pipe, folder):
                (drops.taken / each.taken).unlink()
            (drops.taken / link.taken).symlink_to("/etc/passwd")
            os.mkfifo(drops.taken / pipe.taken)
            (drops.taken / folder.taken).mkdir()
            assert (await verdicts(life, link))[0] == "refused"
            assert "may not read it" in drops.problems(link)
            assert set(await verdicts(life, pipe, folder)) <= {"refused", "later"}
            assert await listed(life) == 0

    asyncio.run(scenario())


def test_unknown_clusters_and_large_files_are_refused(tmp_path: Path) -> None:
    home = Home(tmp_path, {"fish": NOWHERE}, limits={"upload_mb": 1, "rows": 100_000})
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            elsewhere = drops.claim("a.csv", CONTENT, order("inc", cluster="label"))
            large = drops.claim("b.csv", bytes(2**20 + 1), INC)
            long = drops.claim("c.csv", b"1\n" * 100_001, order())
            assert await verdicts(life, elsewhere, large, long) == ["refused"] * 3
            assert "there is no cluster 'label'" in drops.problems(elsewhere)
            assert "limits.upload_mb = 1 MB" in drops.problems(large)
            assert "limits.rows = 100000 rows" in drops.problems(long)

    asyncio.run(scenario())


def test_refused_and_good_files_of_one_offer_are_kept_apart(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = [
                drops.claim(f"{n}.csv", content if n % 3 else b"x\n", INC)
                for n, content in enumerate(OTHERS[:30])
            ]
            wanted = ["admitted" if n % 3 else "refused" for n in range(30)]
            assert await verdicts(life, *dropped) == wanted
            assert await listed(life) == 20

    asyncio.run(scenario())


# --- repeats


def test_an_identical_modify_is_refused_and_an_identical_query_is_not(home: Home, drops: DropFolder) -> None:
    turned = b"userid,amount\r\n" + b"".join(b"%d , 5\r\n" % user for user in reversed(users(50)))

    async def scenario() -> None:
        async with home.life() as life:
            [first] = await admit(life, drops.claim("a.csv", CONTENT, INC))
            again = drops.claim("b.csv", turned, INC)
            assert await verdicts(life, again) == ["refused"]
            assert f"operation {first}" in drops.problems(again)
            await admit(life, drops.claim("c.csv", CONTENT, order("dec")))
            await admit(life, drops.claim("d.csv", lines(users(50)), QUERY))
            await admit(life, drops.claim("d.csv", lines(users(50)), QUERY))
            await admit(life, drops.claim("e.csv", CONTENT, order("inc", confirm_repeat=True)))
            await admit(life, drops.claim("f.csv", CONTENT, order("inc", dry_run=True)))
            assert nothing_staged(life)

    asyncio.run(scenario())


def test_of_two_identical_modifies_dropped_at_once_one_is_refused(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            both = [drops.claim(name, CONTENT, INC) for name in ("a.csv", "b.csv")]
            assert await verdicts(life, *both) == ["admitted", "refused"]
            assert "a.csv, dropped a moment before" in drops.problems(both[1])

    asyncio.run(scenario())


def test_a_modify_handed_in_otherwise_counts_too(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(INC, CONTENT)
            again = drops.claim("a.csv", CONTENT, INC)
            assert await verdicts(life, again) == ["refused"]
            await life.act("cancel", operation.id)
            # it has changed nothing
            await life.recorded(operation.id)
            await admit(life, drops.claim("a.csv", CONTENT, INC))

    asyncio.run(scenario())


def test_after_twelve_hours_it_is_no_repeat(home: Home, drops: DropFolder) -> None:
    def age(hours: float) -> None:
        then = datetime.now(UTC) - timedelta(hours=hours)
        with closing(sqlite3.connect(home.data.path / "eomd.db")) as ledger, ledger:
            ledger.execute("UPDATE eom_operation SET create_time = ?", (f"{then:%Y-%m-%d %H:%M:%S.%f}",))

    async def scenario() -> None:
        async with home.life() as life:
            await admit(life, drops.claim("a.csv", CONTENT, INC))
            age(11.9)
            assert await verdicts(life, drops.claim("b.csv", CONTENT, INC)) == ["refused"]
            age(12.1)
            await admit(life, drops.claim("c.csv", CONTENT, INC))

    asyncio.run(scenario())


# --- later


def test_a_full_queue_leaves_files_for_later_and_room_for_people(tmp_path: Path) -> None:
    home = Home(tmp_path, {"fish": NOWHERE}, limits={"queued_operations": 20})
    drops = DropFolder(home.data.path)
    dropped = [drops.claim(f"{n}.csv", content, INC) for n, content in enumerate(OTHERS[:60])]

    async def scenario() -> None:
        async with home.life() as life:
            # sixteen run, or wait for their cluster; a tenth of the queue is left
            await until_all(life, dropped[:34])
            assert life.rooms.schedule.queued == 18
            [answer] = await offer(life, dropped[34:35])
            assert (answer.verdict, answer.reason) == (Verdict.LATER, "the queue is full")
            await life.hand_in(order(), lines(users(5)))
            assert nothing_staged(life)
            assert await listed(life) == 35

    asyncio.run(scenario())


def test_a_file_that_is_still_written_to_waits(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("a.csv", CONTENT, INC)
            with open(drops.taken / dropped.taken, "ab") as file:
                file.write(b"7,7\n")
            [answer] = await offer(life, [dropped])
            assert (answer.verdict, answer.changed) == (Verdict.LATER, True)
            [identity] = await admit(life, drops.look(dropped))
            assert (await life.view(identity)).counts.total == 51

    asyncio.run(scenario())


def test_a_file_that_changes_while_it_is_read_waits(
    home: Home, drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("a.csv", CONTENT, INC)
            files = life.desk.inbox.files
            place = files.place

            def place_and_write(*arguments):  # type: ignore[no-untyped-def]
                place(*arguments)
                with open(drops.taken / dropped.taken, "ab") as file:
                    file.write(b"7,7\n")

            with monkeypatch.context() as patch:
                patch.setattr(files, "place", place_and_write)
                [answer] = await offer(life, [dropped])
            assert (answer.verdict, answer.changed) == (Verdict.LATER, True)
            assert nothing_staged(life)
            assert await listed(life) == 0
            await admit(life, drops.look(dropped))

    asyncio.run(scenario())


def test_a_file_that_is_nowhere_is_missing(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("a.csv", CONTENT, INC)
            (drops.taken / dropped.taken).unlink()
            assert await verdicts(life, dropped) == ["missing"]
            assert nothing_staged(life)

    asyncio.run(scenario())


def test_what_takes_long_is_answered_later(
    home: Home, drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "ANSWER_S", 0.0)

    async def scenario() -> None:
        async with home.life() as life:
            dropped = [drops.claim(f"{n}.csv", content, INC) for n, content in enumerate(OTHERS[:20])]
            assert await verdicts(life, *dropped) == ["later"] * 20
            # another offer meanwhile waits for the first
            assert await verdicts(life, *dropped[:1]) == ["later"]
            await until(lambda: len(life.desk.live()) == 20, "all have become operations")
            assert await listed(life) == 20
            monkeypatch.setattr(inbox_module, "ANSWER_S", 30.0)
            assert len(set(await admit(life, *dropped))) == 20

    asyncio.run(scenario())


def test_a_short_disk_leaves_files_where_they_are(tmp_path: Path) -> None:
    home = Home(tmp_path, {"fish": NOWHERE}, limits={"min_free_mb": 2**40})
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("a.csv", CONTENT, INC)
            [answer] = await offer(life, [dropped])
            assert answer.verdict is Verdict.LATER
            assert "MB free" in (answer.reason or "")
            assert (drops.taken / dropped.taken).exists()

    asyncio.run(scenario())


# --- a ledger that goes, a server that dies


def test_the_ledger_away_leaves_files_for_later(
    tmp_path: Path, mariadb: MariaDb, fish: SimulatedCluster
) -> None:
    url = mariadb.url(mariadb.create_database())
    home = Home(tmp_path, {"fish": fish}, ledger={"url": url})
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("a.csv", CONTENT, INC)
            mariadb.kill()
            try:
                assert await verdicts(life, dropped) == ["later"]
            finally:
                mariadb.start()
            await until(lambda: not life.rooms.hand_ins.in_doubt, "the ledger is met again")
            [identity] = await admit(life, dropped)
            await life.reach(identity)
            assert nothing_staged(life)
        assert count_applied(fish.state) == dict.fromkeys(users(50), 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("restart", [False, True], ids=["same-life", "restarted"])
@pytest.mark.parametrize("lose", ["answer", "question"])
def test_a_commit_that_nobody_confirmed_makes_one_operation_of_each(
    tmp_path: Path,
    mariadb: MariaDb,
    fish: SimulatedCluster,
    lose: str,
    restart: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # all in one transaction, however long the machine takes to read them
    monkeypatch.setattr(inbox_module, "TOGETHER_S", 3600.0)
    database = mariadb.create_database()
    dropped_contents = OTHERS[:20]

    async def scenario() -> None:
        proxy = await SqlProxy(mariadb.port).start()
        proxy.behind = b"INSERT INTO eom_operation"
        home = Home(tmp_path, {"fish": fish}, ledger={"url": mariadb.url(database, port=proxy.port)})
        drops = DropFolder(home.data.path)
        dropped = [drops.claim(f"{n}.csv", content, INC) for n, content in enumerate(dropped_contents)]

        async def check(life: Life) -> None:
            await until(lambda: not life.rooms.hand_ins.in_doubt, "the ledger is met")
            ids = await admit(life, *dropped)
            assert len(set(ids)) == 20
            for identity in ids:
                assert (await life.reach(identity)).state is State.SUCCEEDED
            assert nothing_staged(life)
            assert await listed(life) == 20
            await until(lambda: len(drops.answers()) == 40, "all are answered")

        async with home.life() as life:
            proxy.lose, proxy.stay_away = lose, True
            assert await verdicts(life, *dropped) == ["later"] * 20
            assert len(life.data.staged()) == 20
            proxy.stay_away = False
            if not restart:
                await check(life)
        if restart:
            async with home.life() as life:
                await check(life)
        await proxy.stop()
        assert count_applied(fish.state) == dict.fromkeys(users(50), 20)

    asyncio.run(scenario())


def test_a_hand_in_cut_off_before_the_ledger_is_staged_anew(home: Home, drops: DropFolder) -> None:
    dropped = drops.claim("a.csv", CONTENT, INC)

    async def scenario() -> None:
        async with home.life() as life:
            pass
        home.data.stage(hand_in_of(home.data.origin(), dropped.taken)).source.write_bytes(b"half")
        async with home.life() as life:
            [identity] = await admit(life, dropped)
            assert life.data.source(identity).read_bytes() == CONTENT
            assert nothing_staged(life)

    asyncio.run(scenario())


def test_a_refusal_cut_off_before_the_move_is_completed(home: Home, drops: DropFolder) -> None:
    dropped = drops.claim("a.csv", b"x\n", INC)
    (drops.refused / f"{dropped.taken}.problems.txt").write_text("half")

    async def scenario() -> None:
        async with home.life() as life:
            assert await verdicts(life, dropped) == ["refused"]
            assert "half" not in drops.problems(dropped)

    asyncio.run(scenario())


def test_one_that_the_ledger_will_never_take_holds_up_nobody(home: Home, drops: DropFolder) -> None:
    names = ["a.csv", "b.csv", "c.csv"]
    dropped = [drops.claim(name, content, INC) for name, content in zip(names, OTHERS, strict=False)]

    async def scenario() -> None:
        async with home.life() as life:
            with closing(sqlite3.connect(life.data.path / "eomd.db", isolation_level=None)) as other:
                other.execute(
                    "CREATE TRIGGER refuse BEFORE INSERT ON eom_operation WHEN NEW.original_name = 'b.csv'"
                    " BEGIN SELECT RAISE(ABORT, 'never'); END"
                )
            assert await verdicts(life, *dropped) == ["admitted", "refused", "admitted"]
            assert "the ledger does not take it" in drops.problems(dropped[1])
            assert nothing_staged(life)

    asyncio.run(scenario())


# --- retention


def test_what_was_dropped_is_removed_when_it_is_old(tmp_path: Path, fish: SimulatedCluster) -> None:
    home = Home(tmp_path, {"fish": fish}, retention={"files_days": 10})
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            good, bad = drops.claim("a.csv", CONTENT, INC), drops.claim("b.csv", b"x", INC)
            assert await verdicts(life, good, bad) == ["admitted", "refused"]
            waiting = drops.claim("c.csv", CONTENT, INC)
            await until(lambda: len(drops.answers()) == 3, "both are answered")
            for days, left in [(9, 1), (11, 0)]:
                await life.rooms.retention.retire(datetime.now(UTC) + timedelta(days=days))
                assert (drops.taken / good.taken).exists() == bool(left)
                assert len(list(drops.refused.iterdir())) == 2 * left
                assert len(drops.answers()) == 3 * left
                # nothing else holds what it says
                assert (drops.taken / waiting.taken).exists()

    asyncio.run(scenario())
