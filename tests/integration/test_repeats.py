"""A modify that was done before is known for one, whatever its file looks like; of two at once one is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from dropping import DropFolder, admit, verdicts

from eomd.errors import LooksRepeatedError
from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.model import Operation, State
from eomd.storage.files import OperationFolder
from tests.integration.http_site import CONFIG, open_site
from tests.integration.life import NOWHERE, Home, Life, lines, order, until, users
from tests.journal import count_applied

CONTENT = lines(users(50), 5)
#: the same rows in another order, encoding, separator and form
TURNED = "用户;数量\r\n".encode("gb18030") + b"".join(b"'%d; 5.0\r\n" % user for user in reversed(users(50)))
INC = order("inc")
REFUSING = {"modify": {"refuse_repeats": True}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, {"fish": NOWHERE})


@pytest.fixture
def refusing(tmp_path: Path) -> Home:
    return Home(tmp_path, {"fish": NOWHERE}, **REFUSING)


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


def age(home: Home, days: float) -> None:
    then = datetime.now(UTC) - timedelta(days=days)
    with closing(sqlite3.connect(home.data.path / "eomd.db")) as ledger, ledger:
        ledger.execute("UPDATE eom_operation SET create_time = ?", (f"{then:%Y-%m-%d %H:%M:%S.%f}",))


async def refused(life: Life, *, confirm_repeat: bool = False) -> LooksRepeatedError:
    with pytest.raises(LooksRepeatedError) as caught:
        await life.hand_in(order("inc", confirm_repeat=confirm_repeat), TURNED)
    return caught.value


def test_the_same_rows_in_another_order_and_encoding_are_a_repeat(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            first = await life.hand_in(INC, CONTENT)
            second = await life.hand_in(INC, TURNED)
            assert first.repeats == ()
            assert second.repeats == (first.id,)
            third = await life.hand_in(INC, CONTENT)
            assert third.repeats == (second.id, first.id)
            # shown by the board and kept by the ledger
            for found in (await life.view(third.id), await life.rooms.ledger.operation(third.id)):
                assert found is not None
                assert found.repeats == (second.id, first.id)

    asyncio.run(scenario())


def test_what_changes_something_else_or_nothing_is_none(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            await life.hand_in(INC, CONTENT)
            others = [order("dec"), order("inc", dry_run=True), order("inc", eids=(1002,))]
            for other in others:
                assert (await life.hand_in(other, CONTENT)).repeats == ()
            assert (await life.hand_in(INC, lines(users(50), 6))).repeats == ()
            for _ in range(2):
                assert (await life.hand_in(order(), lines(users(50)))).repeats == ()

    asyncio.run(scenario())


def test_after_seven_days_it_is_none(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            first = await life.hand_in(INC, CONTENT)
            age(home, 6.9)
            assert (await life.hand_in(INC, CONTENT)).repeats == (first.id,)
            age(home, 7.1)
            assert (await life.hand_in(INC, CONTENT)).repeats == ()

    asyncio.run(scenario())


def test_it_stays_known_over_a_restart_without_the_ledger(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            first = await life.hand_in(INC, CONTENT)
            second = await life.hand_in(INC, CONTENT)
        home.tables["ledger"] = {"url": "mysql+pymysql://eomd@127.0.0.1:1/nowhere"}
        async with home.life(met=False) as life:
            found = await until(lambda: life.shown(second.id), "the second one")
            assert found.repeats == (first.id,)

    asyncio.run(scenario())


def test_a_repeat_is_refused_with_who_did_it_and_when(refusing: Home) -> None:
    async def scenario() -> None:
        async with refusing.life() as life:
            first = await life.hand_in(INC, CONTENT)
            [told] = (await refused(life)).earlier
            assert (told.id, told.operatorid, told.operatorname) == (first.id, 7, "李")
            assert told.create_time == first.create_time
            assert not life.data.staged()
            confirmed = await life.hand_in(order("inc", confirm_repeat=True), TURNED)
            assert confirmed.repeats == (first.id,)

    asyncio.run(scenario())


def test_what_was_cancelled_before_it_changed_anything_is_not_repeated(refusing: Home) -> None:
    async def scenario() -> None:
        async with refusing.life() as life:
            first = await life.hand_in(INC, CONTENT)
            await refused(life)
            await life.act("cancel", first.id)
            await life.recorded(first.id, State.CANCELLED)
            assert (await life.hand_in(INC, CONTENT)).repeats == ()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["undo", "retry", "commit", None])
def test_an_undo_that_is_undone_may_do_the_same_again(refusing: Home, kind: str | None) -> None:
    async def scenario() -> None:
        async with refusing.life() as life:
            first = await life.hand_in(INC, CONTENT)
            inbox = life.desk.inbox

            def place(folder: OperationFolder) -> None:
                folder.source.write_bytes(CONTENT)

            staged = await inbox.admission.stage(str(uuid4()), INC, place, "x.csv")
            child = replace(staged, new=replace(staged.new, kind=kind))
            if kind in ("undo", "retry"):
                assert (await inbox.repeats.look(child)).new.repeats == (first.id,)
            else:
                with pytest.raises(LooksRepeatedError):
                    await inbox.repeats.look(child)
            staged.folder.remove()

    asyncio.run(scenario())


def test_of_many_at_once_one_is_taken(refusing: Home) -> None:
    async def scenario() -> None:
        async with refusing.life() as life:
            hand_ins = [life.hand_in(INC, content) for content in (CONTENT, TURNED) * 4]
            outcomes = await asyncio.gather(*hand_ins, return_exceptions=True)
            assert sum(isinstance(outcome, Operation) for outcome in outcomes) == 1
            assert sum(isinstance(outcome, LooksRepeatedError) for outcome in outcomes) == 7

    asyncio.run(scenario())


def test_the_inbox_and_a_person_do_not_both_get_in(refusing: Home) -> None:
    drops = DropFolder(refusing.data.path)

    async def scenario() -> None:
        async with refusing.life() as life:
            claimed = drops.claim("a.csv", CONTENT, INC)
            dropped, handed_in = await asyncio.gather(
                verdicts(life, claimed), life.hand_in(INC, TURNED), return_exceptions=True
            )
            assert (dropped == ["admitted"]) != isinstance(handed_in, Operation)

    asyncio.run(scenario())


def test_the_inbox_refuses_for_seven_days_where_that_is_wished(refusing: Home) -> None:
    drops = DropFolder(refusing.data.path)

    async def scenario() -> None:
        async with refusing.life() as life:
            [first] = await admit(life, drops.claim("a.csv", CONTENT, INC))
            age(refusing, 6.9)
            again = drops.claim("b.csv", CONTENT, INC)
            assert await verdicts(life, again) == ["refused"]
            assert f"within 7 days: operation {first}" in drops.problems(again)
            meant = drops.claim("c.csv", CONTENT, order("inc", confirm_repeat=True))
            [third] = await admit(life, meant)
            assert (await life.view(third)).repeats == (first,)

    asyncio.run(scenario())


def test_over_http(tmp_path: Path, fish: SimulatedCluster) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001]}
    content, turned = b"100000000\n100000001\n", b"100000001\r\n100000000\r\n"
    with open_site(tmp_path, {"fish": fish}, **REFUSING) as site:
        first = site.hand_in(modify, content)
        assert (first.status, first.data["repeats"], first.data["earlier"]) == (201, [], [])
        again = site.hand_in(modify, turned)
        assert (again.status, again.error) == (409, "LOOKS_REPEATED")
        assert again.json["code"] == 40903
        assert again.data["repeats"] == [1]
        [earlier] = again.data["earlier"]
        assert (earlier["id"], earlier["operatorname"]) == (1, "李")
        assert earlier["create_time"] == first.data["create_time"]
        meant = site.hand_in({**modify, "confirm_repeat": True}, turned)
        assert (meant.status, meant.data["repeats"], meant.data["earlier"]) == (201, [1], [earlier])
    assert set(count_applied(fish.state).values()) == {2}
