"""Answers to dropped files: complete, under a name of their own, also after whatever happened in between."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dropping import DropFolder, admit, verdicts

from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.operations import outbox as outbox_module
from tests.integration.life import NOWHERE, Home, Life, lines, order, until, users

QUERY = order()
CONTENT = lines(users(5))


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster) -> Home:
    return Home(tmp_path, {"fish": fish})


@pytest.fixture
def drops(home: Home) -> DropFolder:
    return DropFolder(home.data.path)


async def answered(life: Life, *ids: int) -> None:
    await until(lambda: not any(life.folder(i).answer.exists() for i in ids), "the last answers")


async def state(drops: DropFolder, stem: str, *wanted: str) -> Any:
    def look() -> Any:
        status = drops.status(stem)
        return status if status and status["state"] in wanted else None

    return await until(look, f"{stem} is {wanted}")


def test_each_state_is_answered(tmp_path: Path, fish: SimulatedCluster) -> None:
    home = Home(tmp_path, {"fish": NOWHERE})
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            status = await state(drops, "a", "paused")
            assert (status["paused_by"], status["resultname"]) == ("cluster", None)
            await life.act("cancel", identity)
            status = await state(drops, "a", "cancelled")
            assert status["message"] == "cancelled before a row was answered"
            assert drops.answers() == ["a.status.json"]
            await answered(life, identity)

    asyncio.run(scenario())


def test_answers_of_one_name_do_not_overwrite_each_other(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            first, second = await admit(life, *(drops.claim("a.csv", lines(users(n)), QUERY) for n in (5, 6)))
            await answered(life, first, second)
            assert drops.answers() == [
                f"a-{second}-result.csv",
                f"a-{second}.status.json",
                "a-result.csv",
                "a.status.json",
            ]
            assert drops.status("a")["rows"]["total"] == 5
            assert drops.status(f"a-{second}")["resultname"] == f"a-{second}-result.csv"
            refused = drops.claim("a.csv", b"x\n", QUERY)
            assert await verdicts(life, refused) == ["refused"]
            moment = refused.taken.partition("-")[0]
            assert drops.status(f"a-{moment}")["state"] == "refused"
            assert drops.status("a")["state"] == "succeeded"

    asyncio.run(scenario())


def test_a_name_is_free_again_once_its_answers_were_fetched(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            for _ in range(2):
                [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
                await answered(life, identity)
                assert drops.answers() == ["a-result.csv", "a.status.json"]
                for name in drops.answers():
                    (drops.outbox / name).unlink()

    asyncio.run(scenario())


def test_a_result_that_is_still_there_keeps_its_name(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            [first] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            await answered(life, first)
            (drops.outbox / "a.status.json").unlink()
            [second] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            await answered(life, second)
            assert f"a-{second}-result.csv" in drops.answers()

    asyncio.run(scenario())


def test_who_does_not_drop_files_is_not_answered(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(QUERY, CONTENT)
            [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            await life.reach(operation.id)
            await answered(life, identity)
        assert drops.answers() == ["a-result.csv", "a.status.json"]

    asyncio.run(scenario())


def test_an_answer_cut_off_is_given_at_the_next_start(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            note = life.folder(identity).answer.read_bytes()
            await answered(life, identity)
        for name in drops.answers():
            (drops.outbox / name).unlink()
        # as if the server had died before the answer, and after the operation's end
        home.data.operation(identity).answer.write_bytes(note)
        async with home.life() as life:
            await answered(life, identity)
            assert drops.answers() == ["a-result.csv", "a.status.json"]
            assert drops.status("a")["state"] == "succeeded"

    asyncio.run(scenario())


def test_an_operation_that_goes_on_later_is_answered_later(tmp_path: Path, fish: SimulatedCluster) -> None:
    home = Home(tmp_path, {"fish": NOWHERE})
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            await state(drops, "a", "queued", "paused")
        (drops.outbox / "a.status.json").unlink()
        home.clusters["fish"] = fish
        async with home.life() as life:
            await answered(life, identity)
            assert drops.status("a")["state"] == "succeeded"

    asyncio.run(scenario())


def test_an_operation_whose_folder_is_damaged_is_answered(tmp_path: Path) -> None:
    home = Home(tmp_path, {"fish": NOWHERE})
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
        home.data.operation(identity).manifest.write_bytes(b"{}")
        async with home.life(errors=["it cannot go on"]) as life:
            await answered(life, identity)
        status = drops.status("a")
        assert (status["state"], status["resultname"]) == ("failed", None)
        assert "manifest.json is damaged" in status["message"]

    asyncio.run(scenario())


def test_an_outbox_that_takes_nothing_is_tried_again(
    home: Home, drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_S", 0.01)
    drops.outbox.write_text("in the way")

    async def scenario() -> None:
        async with home.life(errors=["the outbox takes no answers"]) as life:
            ids = await admit(life, *(drops.claim(f"{n}.csv", lines(users(n)), QUERY) for n in range(1, 4)))
            for identity in ids:
                await life.reach(identity)
            assert all(life.folder(identity).answer.exists() for identity in ids)
            drops.outbox.unlink()
            await answered(life, *ids)
            assert len(drops.answers()) == 6

    asyncio.run(scenario())


def test_what_ends_while_others_of_its_offer_are_still_started_is_answered_as_ended(
    home: Home, drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_S", 0.01)
    # the outbox lags behind
    drops.outbox.write_text("in the way")

    async def scenario() -> None:
        async with home.life(errors=["the outbox takes no answers"]) as life:
            admission = life.desk.inbox.admission
            start = admission.start

            async def start_slowly(staged: Any, operations: Any) -> Any:
                kept_back = await start(staged, operations)
                for operation in operations:
                    await life.reach(operation.id)
                return kept_back

            monkeypatch.setattr(admission, "start", start_slowly)
            [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            drops.outbox.unlink()
            await answered(life, identity)
            status = drops.status("a")
            assert (status["state"], status["resultname"]) == ("succeeded", "a-result.csv")

    asyncio.run(scenario())


def test_one_answer_that_cannot_be_given_keeps_no_other_back(
    home: Home, drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_S", 0.01)

    async def scenario() -> None:
        async with home.life(errors=["the outbox takes no answers"]) as life:
            (drops.outbox / "a.status.json").mkdir(parents=True)
            first, second = await admit(
                life, *(drops.claim(f"{name}.csv", lines(users(5)), QUERY) for name in "ab")
            )
            await answered(life, second)
            assert life.folder(first).answer.exists()
            (drops.outbox / "a.status.json").rmdir()
            await answered(life, first)

    asyncio.run(scenario())


def test_a_note_that_cannot_be_read_ends_nothing(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            operation = await life.hand_in(QUERY, CONTENT)
            await life.reach(operation.id)
        for content in (b"", b"[]", b"{}", b'{"taken": "x"}'):
            home.data.operation(operation.id).answer.write_bytes(content)
            async with home.life(errors=["not answered"]) as life:
                [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
                await answered(life, identity)

    asyncio.run(scenario())


def test_a_result_is_copied_where_the_group_of_the_outbox_could_not_read_it(
    home: Home, drops: DropFolder
) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            drops.outbox.mkdir()
            os.chown(drops.outbox, -1, 65534)
            drops.outbox.chmod(0o2770)
            [identity] = await admit(life, drops.claim("a.csv", CONTENT, QUERY))
            await answered(life, identity)
            result = drops.outbox / "a-result.csv"
            assert (result.stat().st_gid, oct(result.stat().st_mode)[-3:]) == (65534, "640")
            assert not result.samefile(life.data.result(identity))
            assert result.read_bytes() == life.data.result(identity).read_bytes()

    asyncio.run(scenario())


def test_a_status_is_one_json_object_a_file(home: Home, drops: DropFolder) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            dropped = drops.claim("玩家.csv", CONTENT, order(description="每日"), recipe="daily")
            [identity] = await admit(life, dropped)
            await answered(life, identity)
            status = json.loads((drops.outbox / "玩家.status.json").read_text())
            times = {key: status.pop(key) for key in ("create_time", "last_modify_time")}
            assert all(time.endswith("+00:00") for time in times.values())
            assert status == {
                "taken": dropped.taken,
                "name": "玩家.csv",
                "recipe": "daily",
                "id": identity,
                "state": "succeeded",
                "paused_by": None,
                "message": None,
                "model": "query",
                "mode": None,
                "cluster": "fish",
                "eids": [1001],
                "dry_run": False,
                "description": "每日",
                "operatorid": 7,
                "operatorname": "李",
                "rows": {"total": 5, "done": 5, "ok": 5, "failed": 0, "uncertain": 0},
                "resultname": "玩家-result.csv",
                "problems": [],
            }

    asyncio.run(scenario())
