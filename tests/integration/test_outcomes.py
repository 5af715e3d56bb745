"""What an operation says of itself, counted again by somebody else: results, counts, summaries, previews."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eomd.evt.simulator import Counter, Faults, SimulatedCluster, SimulatorSettings, UserRange
from eomd.model import (
    VALUE_MAX,
    VALUE_MIN,
    Duplicates,
    EidDefinition,
    Model,
    Operation,
    RowStatus,
    State,
)
from eomd.operations.summary import summarize
from eomd.storage.csv_writer import ResultHead, ResultWriter
from eomd.storage.result_reader import ResultReader
from eomd.storage.rows_file import RowBlock
from tests.integration.life import CALLER, Home, Life, lines, order, users
from tests.journal import count_applied

EIDS = (1001, 1002)
INT64 = st.integers(VALUE_MIN, VALUE_MAX)


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(fill=7)) as cluster:
        yield cluster


def cells(life: Life, operation: int) -> list[dict[str, str]]:
    with life.data.result(operation).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def ended(life: Life, wanted: Any, content: bytes) -> Operation:
    operation = await life.hand_in(wanted, content)
    return await life.reach(operation.id)


# --- summaries


def tell_slowly(path: Path) -> dict[str, Any]:
    """Compute a summary from the text of a result, one row at a time."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    eids: dict[str, Any] = {}
    for name in list(rows[0])[3:]:
        values = [int(row[name] or 0) for row in rows if row["status"] == "OK"]
        eid, _, when = name.partition("_")
        if when:
            eids.setdefault(eid, {})[when] = describe(values)
        else:
            eids[eid] = describe(values)
    return {"statuses": dict(Tally(row["status"] for row in rows)), "eids": eids}


def describe(values: list[int]) -> dict[str, Any]:
    if not values:
        return {"rows": 0, "min": None, "max": None, "mean": None, "sum": 0, "histogram": None}
    low, high = min(values), max(values)
    return {
        "rows": len(values),
        "min": low,
        "max": high,
        "mean": sum(values) / len(values),
        "sum": sum(values),
        "histogram": bars(values, low, high),
    }


def bars(values: list[int], low: int, high: int) -> dict[str, list[int]]:
    """Draw 20 bars: bar n holds values v with 20 (v - low) // (high - low) = n, the last the highest too."""
    width, counts = high - low, [0] * 20
    for value in values:
        counts[min(19, 20 * (value - low) // width) if width else 19] += 1
    # the smallest whole number that is in bar n, as long as the range has one
    edges = [low + -(-n * width // 20) for n in range(21)]
    return {"edges": edges, "counts": counts}


STATUSES = st.sampled_from([status for status in RowStatus if status is not RowStatus.PENDING])
ROWS = st.lists(st.tuples(STATUSES, INT64, INT64), min_size=1, max_size=60)
NARROW = st.lists(
    st.tuples(st.just(RowStatus.OK), st.integers(-30, 30), st.integers(-3, 3)), min_size=1, max_size=60
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS | NARROW, st.sampled_from(Model))
@example([(RowStatus.OK, VALUE_MIN, VALUE_MAX), (RowStatus.OK, VALUE_MAX, VALUE_MIN)], Model.QUERY)
def test_a_summary_is_what_a_slow_count_says(tmp_path: Path, rows: list[Any], model: Model) -> None:
    path = tmp_path / "result.csv"
    path.unlink(missing_ok=True)
    status = np.array([row[0] for row in rows], np.uint8)
    values = np.array([row[1:] for row in rows], np.int64)
    with ResultWriter(path, ResultHead(None, (), EIDS, model)) as writer:
        block = RowBlock(0, np.arange(1, len(rows) + 1, dtype=np.uint64))
        after = values[:, ::-1] if model is Model.MODIFY else None
        writer.write(block, status, np.full(len(rows), 255, np.uint8), values, after)
    assert summarize(ResultReader(path)) == tell_slowly(path)


def test_a_summary_is_made_once_and_is_the_same_for_all(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        async with Home(tmp_path, {"fish": fish}).life() as life:
            query = await ended(life, order(eids=EIDS), lines(users(5000)))
            told = await asyncio.gather(*(life.desk.summary(query.id) for _ in range(8)))
            assert told == [tell_slowly(life.data.result(query.id))] * 8
            values = fish.values(EIDS, users(5000))
            assert [told[0]["eids"][str(eid)]["sum"] for eid in EIDS] == values.sum(axis=0).tolist()
            kept = life.folder(query.id).summary
            kept.write_text('{"statuses": {}}')
            assert await life.desk.summary(query.id) == {"statuses": {}}

    asyncio.run(scenario())


# --- counts


def test_every_row_is_counted_once_whatever_became_of_it(tmp_path: Path) -> None:
    random = Random(5)
    odd = SimulatorSettings(
        users=(UserRange(1, 5000),),
        locked=(UserRange(100, 300),),
        counters=(Counter(1001, maximum=40), Counter(1002)),
        faults=Faults(busy_share=0.05, internal_share=0.05, close_after=30, overloaded_share=0.05),
        max_rows=50,
    )
    asked = [random.randrange(1, 6000) for _ in range(8000)]
    content = "userid,amount\n" + "".join(f"{user},{random.randrange(30)}\n" for user in asked)

    async def scenario(fish: SimulatedCluster) -> None:
        async with Home(tmp_path, {"fish": fish}).life() as life:
            operation = await ended(life, order("inc", eids=EIDS), content.encode())
            rows = cells(life, operation.id)
            assert [int(row["userid"]) for row in rows] == asked
            found = Tally(row["status"] for row in rows)
            assert set(found) >= {"OK", "NO_SUCH_USER", "USER_LOCKED", "OUT_OF_RANGE"}
            counts = operation.counts
            assert (counts.total, counts.done, counts.ok) == (8000, 8000, found["OK"])
            assert (counts.failed, counts.uncertain) == (8000 - found["OK"], 0)
            assert operation.state is State.PARTIAL
            assert (await life.recorded(operation.id)).counts == counts
            assert (await life.desk.summary(operation.id))["statuses"] == found
            for status, number in found.items():
                page = await life.desk.rows(operation.id, status, 0, 1000)
                assert {row[1] for row in page["rows"]} == {status}
                assert len(page["rows"]) == min(1000, number)
            applied = Tally(int(row["userid"]) for row in rows if row["status"] == "OK")
            assert count_applied(fish.state) == applied

    with SimulatedCluster(odd) as fish:
        asyncio.run(scenario(fish))


@pytest.mark.parametrize("stops", [0, 2])
def test_only_the_last_line_of_a_user_is_sent_where_that_is_wanted(
    tmp_path: Path, fish: SimulatedCluster, stops: int
) -> None:
    random = Random(stops)
    asked = [users(20_000)[random.randrange(20_000)] for _ in range(30_000)]
    content = "userid,amount\n" + "".join(f"{user},{row}\n" for row, user in enumerate(asked))
    last = {user: row for row, user in enumerate(asked)}

    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=20_000 if stops else 0)
        async with home.life() as life:
            operation = await life.hand_in(order("set", duplicates=Duplicates.LAST), content.encode())
            await life.progress(operation.id, 1)
        for part in range(1, stops):
            async with home.life() as life:
                await life.progress(operation.id, 30_000 * part // (stops + 1))
        async with home.life() as life:
            # without a stop it has ended, and only the ledger still knows it
            view = await life.view(operation.id)
            view = view if view.state.ended else await life.reach(operation.id)
            assert view.state is State.SUCCEEDED
            assert (view.counts.done, view.counts.ok, view.counts.failed) == (30_000, 30_000, 0)
            for row, line in enumerate(cells(life, operation.id)):
                sent = last[asked[row]] == row
                assert line["status"] == ("OK" if sent else "SUPERSEDED")
                assert line["1001_after"] == (str(row) if sent else "")
        assert count_applied(fish.state) == dict.fromkeys(last, 1)
        values = fish.values([1001], last)[:, 0].tolist()
        assert dict(zip(last, values, strict=True)) == last

    asyncio.run(scenario())


# --- dry runs


LIMITED = SimulatorSettings(
    users=(UserRange(1, 500),),
    counters=(
        Counter(1001, -50, 50),
        Counter(1002, 0, 1000),
        Counter(1003),
        Counter(1004, read_only=True),
    ),
)
DEFINITIONS = [
    EidDefinition("fish", 1001, minimum=-50, maximum=50),
    EidDefinition("fish", 1002, minimum=0, maximum=1000),
    EidDefinition("fish", 1003),
    EidDefinition("fish", 1004, editable=False),
]


def amounts(mode: str, random: Random, eids: tuple[int, ...]) -> bytes:
    """Return users there and not there, with amounts inside and outside of all limits."""
    near, far = [0, 1, 49, 50, 51, 1000, 1001], [VALUE_MAX, VALUE_MAX - 1]
    negative = [-1, -50, -51, VALUE_MIN] if mode == "set" else []
    rows = [f"userid,{','.join(map(str, eids))}"]
    for user in random.sample(range(1, 520), 500):
        chosen = [random.choice(near * 3 + far + negative) for _ in eids]
        rows.append(f"{user},{','.join(map(str, chosen))}")
    return ("\n".join(rows) + "\n").encode()


@pytest.mark.parametrize("eids", [(1001,), (1001, 1002), (1002, 1003, 1001), (1003,), (1004, 1001)])
@pytest.mark.parametrize("mode", ["inc", "dec", "set"])
def test_a_dry_run_shows_what_the_modify_then_does(tmp_path: Path, mode: str, eids: tuple[int, ...]) -> None:
    random = Random(f"{mode}{eids}")

    async def scenario(fish: SimulatedCluster) -> None:
        async with Home(tmp_path, {"fish": fish}).life() as life:
            await life.desk.put_definitions([], DEFINITIONS, CALLER)
            for _ in range(2):
                # the second time from wherever the first has left the counters
                content = amounts(mode, random, eids)
                values = fish.values([1001, 1002, 1003, 1004], range(1, 501)).tolist()
                dry = await ended(life, order(mode, eids=eids, dry_run=True), content)
                assert fish.values([1001, 1002, 1003, 1004], range(1, 501)).tolist() == values
                done = await ended(life, order(mode, eids=eids), content)
                assert life.result(dry.id) == life.result(done.id)
                assert (dry.counts, dry.state) == (done.counts, done.state)

    with SimulatedCluster(LIMITED) as fish:
        asyncio.run(scenario(fish))


def test_a_dry_run_applies_nothing_over_stops_and_cancels(tmp_path: Path, fish: SimulatedCluster) -> None:
    async def scenario() -> None:
        home = Home(tmp_path, {"fish": fish}, rows_per_s=20_000)
        wanted = order("inc", dry_run=True)
        async with home.life() as life:
            made = [await life.hand_in(wanted, lines(users(15_000), 5)) for _ in range(2)]
            for operation in made:
                await life.progress(operation.id, 1)
        async with home.life() as life:
            cancelled = await life.act("cancel", made[1].id)
            assert cancelled.state is State.CANCELLED
            assert {row["status"] for row in cells(life, made[1].id)} == {"OK", "NOT_SENT"}
            assert (await life.reach(made[0].id)).state is State.SUCCEEDED
        assert count_applied(fish.state) == {}

    asyncio.run(scenario())


# --- long lines


def test_a_result_is_read_with_the_longest_line_that_was_taken(
    tmp_path: Path, fish: SimulatedCluster
) -> None:
    long = "长" * 3_000_000
    content = f"userid,note\n1,{long}\n10000000000,{long}\n3,x\n".encode()

    async def scenario() -> None:
        async with Home(tmp_path, {"fish": fish}, limits={"line_bytes": 10_000_000}).life() as life:
            query = await ended(life, order(), content)
            assert query.counts.done == 3
            page = await life.desk.rows(query.id, None, 0, 10)
            assert [row[1] for row in page["rows"]] == [long, long, "x"]
            assert (await life.desk.summary(query.id))["statuses"] == {"OK": 2, "NO_SUCH_USER": 1}
            download = await life.desk.open_download(
                f"{query.id}-result.csv", CALLER, failed_only=True, bom=False
            )
            source = life.rooms.context.download_source(download)
            await source.open()
            failed = b"".join([piece async for piece in source.pieces(0, source.size)])
            await source.close()
            assert failed.decode().splitlines()[1:] == [f"10000000000,{long},NO_SUCH_USER,,"]

    asyncio.run(scenario())
