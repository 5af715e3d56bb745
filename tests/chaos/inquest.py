"""The inquest at the end of a run: ledger, results and journals are held against what was handed in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from eomd.evt.simulator import read_journal
from eomd.inbox_layout import PROBLEMS, REFUSED, TAKEN, parse_taken
from eomd.model import STATE_OF_STATUS, RowStatus, State
from tests.chaos.clusters import EIDS, FIRST_USER, Cluster
from tests.chaos.evidence import Applied, Past, Result, group_by_operation, read_result
from tests.chaos.hand_ins import HandIn, refuse_second_twins
from tests.chaos.proof import check_applied, check_query, check_rows
from tests.chaos.system import System

_OPERATIONS = """
    SELECT o.id, o.description, e.original_name, e.number, o.status, o.executed, o.handleres, o.resultname,
           e.total, e.done, e.ok, e.failed, e.uncertain
    FROM define_optgroup o JOIN eom_operation e ON e.id = o.id
"""


class Row(NamedTuple):
    """An operation as the ledger has it."""

    id: int
    description: str
    original_name: str
    number: int
    status: int
    executed: int
    handleres: int
    resultname: str | None
    total: int
    done: int
    ok: int
    failed: int
    uncertain: int

    @property
    def state(self) -> State:
        return STATE_OF_STATUS[self.status]


def read_rows(system: System) -> list[Row]:
    """Return all operations that the ledger knows."""
    return [Row(*fields) for fields in system.mariadb.execute(_OPERATIONS, database=system.database)]


class Inquest:
    """Made when everything has ended, while the server still runs."""

    def __init__(self, system: System, handed_in: Sequence[HandIn], dropped: Sequence[HandIn]) -> None:
        self._system, self._handed_in, self._dropped = system, handed_in, dropped
        self._rows = read_rows(system)
        self._applied = {
            name: group_by_operation(read_journal(cluster.state)) for name, cluster in system.clusters.items()
        }
        self._past = {
            name: Past(cluster.initial_values(), FIRST_USER, EIDS, self._applied[name].values())
            for name, cluster in system.clusters.items()
        }
        #: of all results
        self.statuses: Counter[str] = Counter()

    def complaints(self) -> Iterator[str]:
        yield from refuse_second_twins(self._dropped, {row.original_name for row in self._rows})
        yield from self._check_each(self._handed_in, {row.description: row for row in self._rows})
        yield from self._check_each(self._dropped, {row.original_name: row for row in self._rows})
        yield from self._check_ledger()
        yield from self._check_clusters()
        yield from self._check_folders()

    def _check_each(self, asked_for: Sequence[HandIn], rows: Mapping[str, Row]) -> Iterator[str]:
        for asked in asked_for:
            for complaint in self._check(asked, rows.get(asked.dropped or asked.key)):
                yield f"{asked.key} ({asked.cluster}, {asked.mode}, operation {asked.operation}): {complaint}"

    def _check(self, asked: HandIn, row: Row | None) -> Iterator[str]:
        if asked.refused:
            yield from [] if row is None else [f"an operation in spite of a refusal: {asked.refused}"]
            if asked.dropped:
                yield from self._check_refused(asked)
            return
        if row is None:
            yield "accepted, and not in the ledger"
            return
        if asked.operation is not None and row.id != asked.operation:
            yield f"was told to be operation {asked.operation} and is {row.id}"
        asked.operation = row.id
        yield from self._check_end(asked, row)

    def _check_refused(self, asked: HandIn) -> Iterator[str]:
        beside = list((self._system.inbox / REFUSED).glob(f"*-{asked.name}{PROBLEMS}"))
        if len(beside) != 1:
            yield f"should have been refused ({asked.refused}): {len(beside)} lists of problems"

    def _check_end(self, asked: HandIn, row: Row) -> Iterator[str]:
        if row.state.numbers != (row.status, row.executed, row.handleres):
            yield f"the ledger contradicts itself: {row}"
        if row.state not in (State.SUCCEEDED, State.PARTIAL, *([State.CANCELLED] if asked.cancelled else [])):
            yield f"ended as {row.state.value}"
            return
        applied = self._applied[asked.cluster].get(row.number)
        if row.resultname is None:
            if applied is not None or row.state is not State.CANCELLED:
                yield f"{row.state.value} without a result"
            return
        try:
            result = read_result(self._content(asked, row), asked.eids, asked.mode is None)
        except (OSError, AssertionError, ValueError, KeyError) as error:
            yield f"its result cannot be read: {error!r}"
            return
        yield from self._check_result(asked, row, result, applied)

    def _content(self, asked: HandIn, row: Row) -> bytes:
        if not asked.dropped:
            return self._system.client.download(str(row.resultname))
        stem = asked.name.removesuffix(".csv")
        status = json.loads((self._system.outbox / f"{stem}.status.json").read_bytes())
        if status["state"] != row.state.value:
            raise ValueError(f"{stem}.status.json says {status}")
        return (self._system.outbox / f"{stem}-result.csv").read_bytes()

    def _check_result(
        self, asked: HandIn, row: Row, result: Result, applied: Applied | None
    ) -> Iterator[str]:
        cluster = self._system.clusters[asked.cluster]
        wrong = list(check_rows(asked, result, cluster.spec.idempotent))
        yield from wrong
        if wrong:
            return
        counts = Counter(RowStatus(int(status)).name for status in result.status)
        self.statuses += counts
        told = (row.total, row.ok, row.uncertain)
        if told != (len(asked.users), counts["OK"], counts["UNCERTAIN"]):
            yield f"the ledger counts {row}, the result {dict(counts)}"
        if not asked.cancelled and (row.state is State.SUCCEEDED) != (counts["OK"] == len(asked.users)):
            yield f"is {row.state.value} with {dict(counts)}"
        if asked.mode is None:
            yield from check_query(asked, result, self._past[asked.cluster])
        else:
            yield from check_applied(asked, result, applied)

    def _check_ledger(self) -> Iterator[str]:
        """Nothing is in the ledger or was done on a cluster but what was handed in, once."""
        names = Counter(row.description or row.original_name for row in self._rows)
        asked = {one.key for one in self._handed_in} | {one.name for one in self._dropped}
        for name, count in names.items():
            if count > 1 or name not in asked:
                yield f"{count} operations of {name}"
        numbers = {row.number for row in self._rows}
        for cluster, applied in self._applied.items():
            for number in applied.keys() - numbers:
                yield f"{cluster} did something for operation number {number}, which the ledger does not know"

    def _check_clusters(self) -> Iterator[str]:
        for cluster in self._system.clusters.values():
            yield from _check_manners(cluster)

    def _check_folders(self) -> Iterator[str]:
        """Nothing is left lying where things only wait."""
        data, inbox = self._system.data, self._system.inbox
        left = [path for path in inbox.iterdir() if not path.name.startswith(".")]
        left += [path for path in (data / "operations").iterdir() if not (path / "ended").exists()]
        left += [path for path in (data / "spool").rglob("*") if path.is_file() and path.stat().st_size]
        if left:
            yield f"{len(left)} files or folders are left, {left[0]} the first"
        files = [path for path in (inbox / TAKEN).iterdir() if not path.name.startswith(".")]
        taken = Counter(parse_taken(path.name) or path.name for path in files)
        wanted = Counter(asked.name for asked in self._dropped if not asked.refused)
        for name, count in ((taken - wanted) + (wanted - taken)).items():
            yield f"{name} was claimed {taken[name]} times instead of {wanted[name]}: off by {count}"


def _check_manners(cluster: Cluster) -> Iterator[str]:
    for node in cluster.order():
        counts = node["counts"]
        rude = {what: counts[what] for what in ("over_inflight", "over_rows", "malformed") if counts[what]}
        if rude:
            yield f"node {node['name']} was badly treated: {rude}"
