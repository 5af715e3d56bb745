"""Plans of dry runs, and commits that carry out exactly them; counted by the cluster's own journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import STRANGERS, derive, outcomes, refused, run, values

from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.model import Counts, Duplicates, EidDefinition, Kind, Operation, State
from eomd.operations.desk import Desire
from tests.integration.life import CALLER, FIRST_USER, Home, Life, lines, order, users
from tests.on_loop import on_loop


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(fill=7)) as cluster:
        yield cluster


@pytest.fixture
def home(tmp_path: Path, fish: SimulatedCluster) -> Home:
    return Home(tmp_path, {"fish": fish})


async def plan(life: Life, mode: str, content: bytes, **fields: Any) -> Operation:
    return await run(life, mode, content, dry_run=True, **fields)


@on_loop
async def test_commit_does_what_the_plan_says_and_nothing_else(home: Home, fish: SimulatedCluster) -> None:
    rows = users(100)
    before = [value for (value,) in values(fish, rows)]
    limit = sorted(before)[50]
    async with home.life() as life:
        eids = [EidDefinition("fish", 1001, maximum=limit + 5)]
        await life.desk.put_definitions([], eids, CALLER)
        planned = await plan(life, "inc", lines([*rows, *STRANGERS], 5))
        assert [value for (value,) in values(fish, rows)] == before
        done = await derive(life, Kind.COMMIT, planned.id, description="as planned")
        assert done.order.description == "as planned"
        assert not done.order.dry_run
        assert life.result(done.id) == life.result(planned.id)
        assert done.counts == planned.counts
        assert life.data.source(done.id).samefile(life.data.source(planned.id))
        assert "no row failed" in await refused(life, Kind.RETRY, done.id)
    assert [value for (value,) in values(fish, rows)] == [
        value + 5 if value <= limit else value for value in before
    ]


@on_loop
async def test_a_plans_summary_says_what_would_change_and_what_is_odd(
    home: Home, fish: SimulatedCluster
) -> None:
    rows = users(30)
    before = [value for (value,) in values(fish, rows)]
    amounts = [10 * (at + 1) for at in range(30)]
    pairs = [*zip(rows, amounts, strict=True), (rows[0], 0), (STRANGERS[0], 1)]
    content = "userid,amount\n" + "".join(f"{user},{amount}\n" for user, amount in pairs)
    async with home.life() as life:
        planned = await plan(life, "dec", content.encode())
        told = (await life.desk.summary(planned.id))["plan"]
        assert told["rows"] == {"change": 30, "same": 1, "fail": 1, "superseded": 0}
        assert told["doubled_users"] == 1
        eid = told["eids"]["1001"]
        assert (eid["up"], eid["down"]) == (0, sum(amounts))
        assert eid["largest"] == [
            {"row": at, "user": rows[at], "before": before[at], "after": before[at] - amounts[at]}
            for at in range(29, 19, -1)
        ]
        again = await plan(life, "dec", content.encode())
        assert (await life.desk.summary(again.id))["plan"]["hash"] == told["hash"]
        done = await derive(life, Kind.COMMIT, planned.id, plan=told["hash"])
        assert "plan" not in await life.desk.summary(done.id)


@on_loop
async def test_a_plan_is_committed_once(home: Home, fish: SimulatedCluster) -> None:
    before = values(fish, users(10))
    async with home.life() as life:
        planned = await plan(life, "inc", lines(users(10), 5))
        clicks = [life.desk.derive(Kind.COMMIT, planned.id, Desire(), CALLER) for _ in range(4)]
        made = await asyncio.gather(*clicks)
        assert len({child.id for child, _ in made}) == 1
        await life.reach(made[0][0].id)
        assert "it is no dry run" in await refused(life, Kind.COMMIT, made[0][0].id)
    assert values(fish, users(10)) == [[value + 5] for (value,) in before]


@pytest.mark.parametrize("file", ["source", "rows", "result"])
@on_loop
async def test_a_plan_whose_file_was_tampered_with_is_not_committed(
    home: Home, fish: SimulatedCluster, file: str
) -> None:
    before = values(fish, users(10))
    async with home.life() as life:
        planned = await plan(life, "inc", lines(users(10), 5))
        folder = life.folder(planned.id)
        paths = {
            "source": life.data.source(planned.id),
            "rows": folder.rows,
            "result": life.data.result(planned.id),
        }
        content = bytearray(paths[file].read_bytes())
        content[len(content) // 2] ^= 1
        paths[file].write_bytes(content)
        assert f"its {file}" in await refused(life, Kind.COMMIT, planned.id)
    assert values(fish, users(10)) == before


@on_loop
async def test_a_plan_is_not_committed_under_other_limits_or_settings(
    tmp_path: Path, home: Home, fish: SimulatedCluster
) -> None:
    async with home.life() as life:
        planned = await plan(life, "inc", lines(users(10), 5))
        eids = [EidDefinition("fish", 1001, maximum=5)]
        await life.desk.put_definitions([], eids, CALLER)
        assert "the counters' limits" in await refused(life, Kind.COMMIT, planned.id)
        await life.desk.put_definitions([], [], CALLER)
        assert "not the one" in await refused(life, Kind.COMMIT, planned.id, plan="0" * 64)
    home.pace["reply_timeout_s"] = 3.0
    async with home.life() as life:
        assert "the cluster's configuration" in await refused(life, Kind.COMMIT, planned.id)
    home.pace["reply_timeout_s"] = 2.0
    async with home.life() as life:
        assert (await derive(life, Kind.COMMIT, planned.id)).state is State.SUCCEEDED


LOW, NONE = [EidDefinition("fish", 1001, maximum=5)], list[EidDefinition]()


@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("limits", [[LOW], [LOW, NONE]], ids=["others", "others-for-a-while"])
@on_loop
async def test_limits_that_change_while_the_plan_is_made_spoil_it(
    tmp_path: Path, fish: SimulatedCluster, limits: list[list[EidDefinition]], restarts: bool
) -> None:
    home = Home(tmp_path, {"fish": fish}, rows_per_s=4_000)
    async with home.life() as life:
        planned = (await life.hand_in(order("inc", dry_run=True), lines(users(12_000), 5))).id
        for number, changed in enumerate(limits, 1):
            await life.progress(planned, number * 2_000)
            await life.desk.put_definitions([], changed, CALLER)
        if not restarts:
            await life.progress(planned, 8_000)
            home.pace["rows_per_s"] = 0
            life.reconfigure(home.settings())
            await life.reach(planned)
            assert "the counters' limits" in await refused(life, Kind.COMMIT, planned)
            return
        await life.progress(planned, (len(limits) + 1) * 2_000)
    home.pace["rows_per_s"] = 0
    async with home.life() as life:
        await life.reach(planned)
        assert "the counters' limits" in await refused(life, Kind.COMMIT, planned)


@on_loop
async def test_a_configuration_that_changes_while_the_plan_is_made_spoils_it(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    home = Home(tmp_path, {"fish": fish}, rows_per_s=4_000)
    async with home.life() as life:
        planned = (await life.hand_in(order("inc", dry_run=True), lines(users(8_000), 5))).id
        for rows, timeout_s in ((2_000, 3.0), (4_000, 2.0)):
            await life.progress(planned, rows)
            home.pace["reply_timeout_s"] = timeout_s
            life.reconfigure(home.settings())
        await life.reach(planned)
        assert "the cluster's configuration" in await refused(life, Kind.COMMIT, planned)


@pytest.mark.parametrize("mode", ["inc", "dec", "set"])
@on_loop
async def test_only_if_unchanged_leaves_alone_what_moved_since_the_plan(
    home: Home, fish: SimulatedCluster, mode: str
) -> None:
    rows = users(100)
    before = [value for (value,) in values(fish, rows)]
    async with home.life() as life:
        planned = await plan(life, mode, lines([*rows, *STRANGERS], 5))
        await run(life, "inc", lines(rows[:20], 1))
        done = await derive(life, Kind.COMMIT, planned.id, only_if_unchanged=True)
        assert (done.order.mode, done.order.only_if_unchanged) == (mode, True)
        status = outcomes(life, done.id)
        assert [status[str(user)] for user in rows] == ["CONFLICT"] * 20 + ["OK"] * 80
        assert {status[str(user)] for user in STRANGERS} == {"NO_SUCH_USER"}
        change = {"inc": lambda v: v + 5, "dec": lambda v: v - 5, "set": lambda _: 5}[mode]
        moved = [value + 1 for value in before[:20]]
        assert [v for (v,) in values(fish, rows)] == moved + [change(value) for value in before[20:]]
        # its undo goes by what it was for: amounts are given back, later traffic is kept
        await run(life, "inc", lines(rows[20:30], 2))
        undone = await derive(life, Kind.UNDO, done.id)
        given = [value + 2 for value in before[20:30]] if mode != "set" else [7] * 10
        assert [v for (v,) in values(fish, rows)] == moved + given + before[30:]
        assert undone.counts.failed == (10 if mode == "set" else 0)


@pytest.mark.parametrize(("said", "strict"), [(None, True), (True, True), (False, False)])
@on_loop
async def test_a_plan_handed_in_with_only_if_unchanged_is_committed_so_unless_it_is_said_otherwise(
    home: Home, fish: SimulatedCluster, said: bool | None, strict: bool
) -> None:
    rows = users(10)
    async with home.life() as life:
        planned = await plan(life, "inc", lines([*rows, *STRANGERS], 5), only_if_unchanged=True)
        assert set(outcomes(life, planned.id).values()) == {"OK", "NO_SUCH_USER"}
        await run(life, "inc", lines(rows[:2], 1))
        done = await derive(life, Kind.COMMIT, planned.id, only_if_unchanged=said)
        assert done.order.only_if_unchanged is strict
        status = outcomes(life, done.id)
        assert [status[str(user)] for user in rows[:2]] == ["CONFLICT" if strict else "OK"] * 2
        # what of the plan failed is planned again
        again = await derive(life, Kind.RETRY, planned.id)
        assert (again.order.dry_run, again.counts.total) == (True, len(STRANGERS))
        assert set(outcomes(life, again.id).values()) == {"NO_SUCH_USER"}


@on_loop
async def test_only_if_unchanged_refuses_users_that_stand_twice(home: Home, fish: SimulatedCluster) -> None:
    async with home.life() as life:
        planned = await plan(life, "inc", lines([*users(3), FIRST_USER], 5))
        assert str(FIRST_USER) in await refused(life, Kind.COMMIT, planned.id, only_if_unchanged=True)
        done = await derive(life, Kind.COMMIT, planned.id)
        assert done.counts == Counts(4, 4, 4, 0, 0)
        undone = await derive(life, Kind.UNDO, done.id)
        assert undone.counts == Counts(4, 4, 4, 0, 0)


@on_loop
async def test_a_plan_of_which_only_the_last_line_counts_sends_that_one_alone(
    home: Home, fish: SimulatedCluster
) -> None:
    content = f"userid,amount\n{FIRST_USER},1\n{FIRST_USER},2\n".encode()
    async with home.life() as life:
        planned = await plan(life, "set", content, duplicates=Duplicates.LAST)
        done = await derive(life, Kind.COMMIT, planned.id)
        assert [row[1] for row in life.result(done.id)[1:]] == ["SUPERSEDED", "OK"]
    assert values(fish, [FIRST_USER]) == [[2]]
