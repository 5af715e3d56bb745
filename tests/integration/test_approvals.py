"""What waits for a second person runs after their yes, and at no other time."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dropping import DropFolder, admit

from eomd.errors import ForbiddenError, LedgerUnavailableError, QueueFullError, WrongStateError
from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.model import Operation, Role, State
from eomd.operations.caller import Caller, Operator
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.ledger import Ledger
from tests.integration.http_site import CONFIG, open_site, wait_until
from tests.integration.life import CALLER, Home, Life, lines, order, until, users
from tests.journal import count_applied

CONTENT = lines(users(50), 5)
INC = order("inc")
APPROVAL = {"approval": {"rows": 40}}
SAID = {"reason": "agreed", "operatorid": 8, "operatorname": "王"}
NOWHERE_LEDGER = {"url": "mysql+pymysql://eomd@127.0.0.1:1/nowhere"}


class CutOffError(BaseException):
    """Nobody cleans up after it, as after a crash."""


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster) -> Home:
    return Home(tmp_path, {"fish": fish}, **APPROVAL)


async def decide(life: Life, operation: int, approve: bool = True, **changes: Any) -> Operation:
    return await life.desk.decide(operation, CALLER, SAID | changes, approve=approve)


def audited(home: Home, *actions: str) -> list[tuple[str, ...]]:
    """Return (who, action, detail) of these deeds."""
    with closing(sqlite3.connect(home.data.path / "eomd.db")) as ledger:
        rows = ledger.execute("SELECT who, action, detail FROM eom_audit ORDER BY id").fetchall()
    return [row for row in rows if row[1] in actions]


def test_it_runs_after_another_person_has_agreed(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
            assert waiting.state is State.AWAITING_APPROVAL
            assert "50 rows are over approval.rows = 40" in (waiting.message or "")
            recorded = await life.recorded(waiting.id, State.AWAITING_APPROVAL)
            assert (recorded.approval, recorded.message) == (waiting.approval, waiting.message)
            assert count_applied(fish.state) == {}
            approved = await decide(life, waiting.id)
            assert approved.state in (State.QUEUED, State.RUNNING)
            assert (await life.reach(waiting.id)).state is State.SUCCEEDED
            ended = await life.recorded(waiting.id)
            assert ended.approval is not None
            assert ended.approval.decision is not None
            assert (ended.approval.decision.operatorid, ended.approval.decision.reason) == (8, "agreed")
            story = life.data.log(waiting.id).read_text()
            assert "approved by 王 (8): agreed" in story
        assert count_applied(fish.state) == dict.fromkeys(users(50), 1)
        [(who, _, detail)] = audited(home, "approve")
        assert who == "test"
        assert '"reason": "agreed"' in detail

    asyncio.run(scenario())


def test_a_rejected_one_never_runs(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
            rejected = await decide(life, waiting.id, approve=False, reason="wrong file")
            assert (rejected.state, rejected.message) == (State.REJECTED, "rejected by 王 (8): wrong file")
            assert (await life.recorded(waiting.id)).state is State.REJECTED
            with pytest.raises(WrongStateError):
                await decide(life, waiting.id)
            # what was rejected is not repeated by the corrected one
            assert (await life.hand_in(INC, CONTENT)).repeats == ()
        async with home.life() as life:
            assert (await life.view(waiting.id)).state is State.REJECTED
            assert life.folder(waiting.id).ended.exists()
        assert count_applied(fish.state) == {}

    asyncio.run(scenario())


def test_who_handed_it_in_does_not_decide(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
            callers = [CALLER, Caller("token another", Role.ADMIN, "elsewhere", operator=Operator(7, ""))]
            for caller in callers:
                for approve in (True, False):
                    with pytest.raises(ForbiddenError):
                        await life.desk.decide(waiting.id, caller, SAID | {"operatorid": 7}, approve=approve)
            with pytest.raises(ForbiddenError):
                await life.desk.decide(waiting.id, callers[1], SAID, approve=True)
            assert (await life.view(waiting.id)).state is State.AWAITING_APPROVAL
        assert audited(home, "approve", "reject") == []

    asyncio.run(scenario())


def test_of_two_approvers_at_once_one_decides(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
            outcomes = await asyncio.gather(
                decide(life, waiting.id),
                decide(life, waiting.id, operatorid=9),
                decide(life, waiting.id, approve=False, operatorid=10),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes[1:]] == [WrongStateError] * 2
            assert isinstance(outcomes[0], Operation)
            await life.reach(waiting.id, State.SUCCEEDED)
        assert len(audited(home, "approve", "reject")) == 1
        assert count_applied(fish.state) == dict.fromkeys(users(50), 1)

    asyncio.run(scenario())


def test_approval_and_cancel_at_once_are_one_of_both(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            for cancel_first in (True, False):
                waiting = await life.hand_in(INC, CONTENT)
                acts = [life.act("cancel", waiting.id), decide(life, waiting.id)]
                done = acts if cancel_first else acts[::-1]
                await asyncio.gather(*done, return_exceptions=True)
                ended = await life.reach(waiting.id)
                assert ended.state in (State.CANCELLED, State.SUCCEEDED)
                assert ended.state is State.SUCCEEDED or ended.counts.done == 0

    asyncio.run(scenario())


def test_nobody_deciding_in_time_rejects_it(home: Home) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
            assert waiting.approval is not None
            expires = waiting.approval.expires
            assert expires == waiting.create_time + timedelta(hours=24)
            await life.desk.approvals.expire(expires - timedelta(seconds=1))
            assert (await life.view(waiting.id)).state is State.AWAITING_APPROVAL
            await life.desk.approvals.expire(expires)
            ended = await life.recorded(waiting.id)
            assert (ended.state, ended.message) == (State.REJECTED, "rejected: nobody has decided in time")
        [(who, _, detail)] = audited(home, "expire")
        assert (who, json.loads(detail)) == ("eomd", {"reason": "nobody has decided in time"})

    asyncio.run(scenario())


def test_what_comes_too_late_decides_nothing(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
        # as after a stand-still over the end of its time
        checkpoint = Checkpoint.load(life.folder(waiting.id).checkpoint)
        assert checkpoint.approval is not None
        over = replace(checkpoint.approval, expires=waiting.create_time)
        replace(checkpoint, approval=over).save(life.folder(waiting.id).checkpoint)
        async with home.life() as life:
            for approve in (True, False):
                with pytest.raises(WrongStateError):
                    await decide(life, waiting.id, approve=approve)
            await life.desk.approvals.expire(datetime.now(UTC))
            assert (await life.recorded(waiting.id)).state is State.REJECTED
        assert audited(home, "approve", "reject") == []
        assert count_applied(fish.state) == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("ledger_there", [True, False], ids=["ledger", "no-ledger"])
def test_it_waits_over_a_restart(home: Home, fish: SimulatedCluster, ledger_there: bool) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
        if not ledger_there:
            home.tables["ledger"] = NOWHERE_LEDGER
        async with home.life(met=ledger_there) as life:
            found = await until(lambda: life.shown(waiting.id), "the waiting one")
            assert (found.state, found.approval) == (State.AWAITING_APPROVAL, waiting.approval)
            if not ledger_there:
                # what cannot be put into the audit is not decided
                with pytest.raises(LedgerUnavailableError):
                    await decide(life, waiting.id)
                assert (await life.view(waiting.id)).state is State.AWAITING_APPROVAL
        home.tables.pop("ledger", None)
        async with home.life() as life:
            await decide(life, waiting.id)
            await life.reach(waiting.id, State.SUCCEEDED)
        assert count_applied(fish.state) == dict.fromkeys(users(50), 1)

    asyncio.run(scenario())


def test_one_that_a_crash_cut_off_on_its_way_in_waits_too(
    home: Home, fish: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        admit_many = Ledger.admit_many

        async def cut_off(self: Ledger, news: Any) -> Any:
            await admit_many(self, news)
            raise CutOffError

        async with home.life() as life:
            monkeypatch.setattr(Ledger, "admit_many", cut_off)
            # what the ledger holds and the folder has no id for is what a crash leaves
            with pytest.raises(CutOffError):
                await life.hand_in(INC, CONTENT)
            monkeypatch.undo()
            [(_, folder)] = life.data.staged()
            folder.abandoned.unlink(missing_ok=True)
        async with home.life() as life:
            found = await until(lambda: life.shown(1), "the waiting one")
            assert found.state is State.AWAITING_APPROVAL
        assert count_applied(fish.state) == {}

    asyncio.run(scenario())


def test_one_whose_checkpoint_is_lost_never_runs(home: Home, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with home.life() as life:
            waiting = await life.hand_in(INC, CONTENT)
        home.data.operation(waiting.id).checkpoint.unlink()
        async with home.life(errors=["it cannot go on"]) as life:
            failed = await life.recorded(waiting.id)
            assert (failed.state, failed.counts.done) == (State.FAILED, 0)
        assert count_applied(fish.state) == {}

    asyncio.run(scenario())


def test_a_dropped_file_waits_and_a_small_one_does_not(home: Home) -> None:
    drops = DropFolder(home.data.path)

    async def scenario() -> None:
        async with home.life() as life:
            small = drops.claim("b.csv", lines(users(40), 5), INC)
            ids = await admit(life, drops.claim("a.csv", CONTENT, INC), small)
            assert (await life.view(ids[0])).state is State.AWAITING_APPROVAL
            await life.reach(ids[1], State.SUCCEEDED)
            await until(lambda: (drops.status("a") or {}).get("state") == "awaiting_approval", "its status")

    asyncio.run(scenario())


def test_what_waits_takes_room_in_the_queue(tmp_path: Path, fish: SimulatedCluster) -> None:
    home = Home(tmp_path, {"fish": fish}, limits={"queued_operations": 2}, **APPROVAL)

    async def scenario() -> None:
        async with home.life() as life:
            for _ in range(2):
                await life.hand_in(INC, CONTENT)
            with pytest.raises(QueueFullError):
                await life.hand_in(INC, CONTENT)
            await decide(life, 1, approve=False)
            await life.hand_in(INC, CONTENT)

    asyncio.run(scenario())


def test_over_http(tmp_path: Path, fish: SimulatedCluster) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001], "wait_s": 0}
    said = {"reason": "ok", "operatorid": 8, "operatorname": "王"}
    everybody: list[Role | None] = [Role.OPERATOR, None]
    with open_site(tmp_path, {"fish": fish}, approval={"largest_amount": 4}) as site:
        made = site.hand_in(modify, b"100000000\n").data
        assert (made["state"], made["status"]) == ("awaiting_approval", 1)
        assert made["approval"]["decision"] is None
        path = f"/operations/{made['id']}/approve"

        wang = site.make_person(8)

        def say(fields: Any) -> Any:
            return site.request("POST", path, headers=wang, json_body=fields)

        statuses = [site.request("POST", path, json_body=said, role=role).status for role in everybody]
        assert statuses == [403, 401]
        for wrong in ({}, {"operatorid": 8}, {**said, "reason": ""}, {**said, "force": True}):
            assert say(wrong).error == "INVALID_CONFIG"
        listed = site.get("/queryoperationsbyoperatorid?operatorid=7&state=awaiting_approval").data
        assert [item["approval"] for item in listed["items"]] == [made["approval"]]
        approved = say(said)
        assert approved.status == 200
        decision = approved.data["approval"]["decision"]
        assert (decision["approved"], decision["operatorname"], decision["reason"]) == (True, "王", "ok")
        again = say(said)
        assert (again.status, again.error) == (409, "WRONG_STATE")
        assert site.ended(made["id"])["state"] == "succeeded"
        wait_until(lambda: count_applied(fish.state), "the change")


def test_who_decides_about_a_commit_sees_what_its_plan_says(tmp_path: Path, fish: SimulatedCluster) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001]}
    with open_site(tmp_path, {"fish": fish}, approval={"largest_amount": 4}) as site:
        planned = site.hand_in({**modify, "dry_run": True}, b"100000000\n").data["id"]
        seen = site.get(f"/operations/{planned}/summary").data
        body = {"operatorid": 7, "operatorname": "Li"}
        made = site.request("POST", f"/operations/{planned}/commit", json_body=body).data
        assert made["state"] == "awaiting_approval"
        path = f"/operations/{made['id']}"
        shown = site.get(f"{path}/summary")
        assert (shown.status, shown.data) == (200, seen)
        assert shown.data["plan"]["eids"]["1001"]["up"] == 5
        said = {"reason": "no"}
        wang = site.make_person(8)
        assert site.request("POST", f"{path}/reject", headers=wang, json_body=said).status == 200
        assert site.get(f"{path}/summary").error == "NOT_FOUND"
        # what has no plan has nothing to show before it is done
        waiting = site.hand_in({**modify, "wait_s": 0}, b"100000000\n").data["id"]
        assert site.get(f"/operations/{waiting}/summary").error == "NOT_FOUND"
