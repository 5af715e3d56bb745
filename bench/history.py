"""How long a page of the history takes with many operations in the ledger.

python bench/history.py --url sqlite:////tmp/history.db [--operations 100000]

The database should be empty; it is filled once, and measured again when it is full already. Per question the
best and the median of several pages are printed, total included where it is asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import create_engine, func, insert, select

from eomd.model import Grants, Model, State
from eomd.storage.ledger import Ledger, LedgerSettings, OperationFilter
from eomd.storage.schema import Schema, format_time, make_schema

START = datetime(2025, 1, 1, tzinfo=UTC)
TIMES = 7
BATCH = 2000
CLUSTERS = ("fish", "common", "label")
STATES = (State.SUCCEEDED,) * 8 + (State.PARTIAL, State.CANCELLED)
SENTENCES = ("停服补偿", "活动积分发放", "daily query", "compensation after the maintenance of last night")


def rows(first: int, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (define_optgroup's row, eom_operation's row)."""
    for number in range(first, first + count):
        cluster, state, eids = CLUSTERS[number % 3], STATES[number % 10], [1001, 1002 + number % 5]
        modify, moment = number % 2 == 1, format_time(START + timedelta(minutes=number))
        order = {"cluster": cluster, "model": "modify" if modify else "query", "eids": eids}
        numbers = state.numbers
        yield {
            "id": number, "description": f"{SENTENCES[number % 4]} {number}", "executed": numbers.executed,
            "handleres": numbers.handleres, "status": numbers.status, "conf": json.dumps(order),
            "operatorid": number % 50, "operatorname": "王芳", "sourcename": f"{number}-source.csv",
            "note": f"inc_{eids[0]},{eids[1]}" if modify else "", "create_time": moment,
            "last_modify_time": moment, "logname": f"{number}-log.txt", "resultname": f"{number}-result.csv",
        }, {
            "id": number, "uuid": f"{number:036d}", "number": number, "installation": "ab" * 16,
            "operatorid": number % 50, "cluster": cluster, "model": order["model"],
            "order_json": json.dumps(order), "original_name": f"玩家名单-{number}.csv", "total": 5,
            "done": 5, "ok": 5, "failed": 0, "uncertain": 0, "create_time": moment,
            "last_modify_time": moment,
        }  # fmt: skip


def fill(url: str, schema: Schema, operations: int) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        there = connection.execute(select(func.count()).select_from(schema.operation)).scalar_one()
    for first in range(there + 1, operations + 1, BATCH):
        batch = list(rows(first, min(BATCH, operations + 1 - first)))
        with engine.begin() as connection:
            connection.execute(insert(schema.optgroup), [optgroup for optgroup, _ in batch])
            connection.execute(insert(schema.operation), [operation for _, operation in batch])


def questions(operations: int) -> dict[str, OperationFilter]:
    half, month = operations // 2, START + timedelta(minutes=operations // 2)
    return {
        "newest": OperationFilter(),
        "page 2500": OperationFilter(page=2500),
        "before the middle": OperationFilter(before=half),
        "one operator": OperationFilter(operatorid=7),
        "one operator, before": OperationFilter(operatorid=7, before=half),
        "one operator, a month": OperationFilter(operatorid=7, from_=month, to=month + timedelta(days=30)),
        "a month": OperationFilter(from_=month, to=month + timedelta(days=30)),
        "a state": OperationFilter(state=State.PARTIAL),
        "a state that none is in": OperationFilter(state=State.RUNNING),
        "a cluster": OperationFilter(cluster="label"),
        "a model": OperationFilter(model=Model.MODIFY),
        "text, many": OperationFilter(q="补偿"),
        "text, one": OperationFilter(q=f"名单-{half}.csv"),
        "text, many, before": OperationFilter(q="补偿", before=operations),
        "a cluster, before": OperationFilter(cluster="label", before=half),
        "a cluster that has none": OperationFilter(cluster="none"),
        "a state, before": OperationFilter(state=State.PARTIAL, before=half),
        "text, none": OperationFilter(q="nothing has this"),
        "text, none, before": OperationFilter(q="nothing has this", before=half),
        "a note": OperationFilter(q="inc_1001,1003"),
        "granted": OperationFilter(grants=Grants(frozenset(["fish"]), frozenset(range(1001, 1005)))),
    }


async def measure(url: str, operations: int) -> None:
    ledger = Ledger(LedgerSettings(url=url))
    await ledger.migrate()
    fill(url, make_schema("define_optgroup", UTC), operations)
    await ledger.open()
    try:
        for name, wanted in questions(operations).items():
            took_ms = []
            for _ in range(TIMES):
                begun = time.perf_counter()
                total, items = await ledger.operations(wanted)
                took_ms.append(1000 * (time.perf_counter() - begun))
            best, median = min(took_ms), statistics.median(took_ms)
            print(f"{name:<26} {best:7.1f} ms {median:7.1f} ms   {len(items)} of {total}")
    finally:
        await ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--operations", type=int, default=100_000)
    options = parser.parse_args()
    asyncio.run(measure(options.url, options.operations))


if __name__ == "__main__":
    main()
