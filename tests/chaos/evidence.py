"""What is compared in the end: results as they were handed out, and what the clusters' own journals say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from eomd.evt.codec import I64, U8, U32, U64
from eomd.evt.simulator import JournalBlock
from eomd.model import RowStatus

_NUMBER_OF_NAME = {status.result_name: int(status) for status in reversed(RowStatus)}
#: values stay far within this, either way
_VALUE_SPAN = 1 << 40


@dataclass(frozen=True, slots=True)
class Result:
    """A result file's n rows. Values are 0 where there are none."""

    #: uint64[n]
    users: U64
    #: uint8[n], RowStatus numbers
    status: U8
    #: int64[n, k]: of a query its values
    before: I64
    #: int64[n, k]: of a query the same
    after: I64


def read_result(content: bytes, eids: Sequence[int], is_query: bool) -> Result:
    """Return a result's rows. Raises ValueError or KeyError where it is no such result."""
    befores = [f"{eid}" if is_query else f"{eid}_before" for eid in eids]
    afters = befores if is_query else [f"{eid}_after" for eid in eids]
    types = {name: pa.int64() for name in ["userid", *befores, *afters]}
    options = csv.ConvertOptions(column_types={**types, "status": pa.string(), "detail": pa.string()})
    table = csv.read_csv(BytesIO(content), convert_options=options)
    names = table.column("status").to_pylist()
    return Result(
        users=_numbers(table, ["userid"])[:, 0].astype(np.uint64),
        status=np.array([_NUMBER_OF_NAME[name] for name in names], np.uint8),
        before=_numbers(table, befores),
        after=_numbers(table, afters),
    )


def _numbers(table: Any, names: Sequence[str]) -> I64:
    columns = [table.column(name).fill_null(0).to_numpy() for name in names]
    return np.stack(columns, axis=1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a cluster did for one operation, m rows in the order they were done."""

    mode: str
    eids: tuple[int, ...]
    #: uint32[m]: the row's number in the operation
    rows: U32
    users: U64
    amounts: I64
    before: I64
    after: I64


def group_by_operation(blocks: Iterable[JournalBlock]) -> dict[int, Applied]:
    """Return what was applied, by the operation's number on the wire."""
    grouped: dict[int, list[JournalBlock]] = defaultdict(list)
    for block in blocks:
        grouped[block.operation].append(block)
    return {number: _join(found) for number, found in grouped.items()}


def _join(blocks: Sequence[JournalBlock]) -> Applied:
    first = blocks[0]
    assert all((block.mode, block.eids) == (first.mode, first.eids) for block in blocks)
    names = ("rows", "users", "amounts", "before", "after")
    columns = [np.concatenate([getattr(block, name) for block in blocks]) for name in names]
    return Applied(first.mode.value, first.eids, *columns)


class Past:
    """Every value that each counter ever had."""

    def __init__(
        self, initial: I64, first_user: int, eids: Sequence[int], applied: Iterable[Applied]
    ) -> None:
        """`initial`: int64[users, eids]."""
        self._first_user, self._eids = first_user, list(eids)
        users = np.arange(len(initial), dtype=np.uint64) + np.uint64(first_user)
        had = {eid: [self._join(users, initial[:, column])] for column, eid in enumerate(eids)}
        for one in applied:
            for column, eid in enumerate(one.eids):
                had[eid].append(self._join(one.users, one.after[:, column]))
        #: sorted
        self._had = {eid: np.unique(np.concatenate(parts)) for eid, parts in had.items()}

    def had(self, eid: int, users: U64, values: I64) -> NDArray[np.bool_]:
        """Tell of each user whether the counter ever had this value, bool[n]."""
        known, asked = self._had[eid], self._join(users, values)
        places = np.searchsorted(known, asked)
        found: NDArray[np.bool_] = known[np.minimum(places, len(known) - 1)] == asked
        return found

    def _join(self, users: U64, values: I64) -> I64:
        """Return one number for each user with a value."""
        assert not len(values) or abs(values).max() < _VALUE_SPAN // 2
        return (users - np.uint64(self._first_user)).astype(np.int64) * _VALUE_SPAN + values
