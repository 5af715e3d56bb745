"""The counters of a simulated cluster: dense arrays, and the rules of what may become of a value. No I/O."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eomd.errors import ConfigurationError
from eomd.evt.codec import I64, U8, U64, Head, Rows
from eomd.evt.simulator.settings import Counter, SimulatorSettings, UserRange
from eomd.model import EID_MAX, NO_DETAIL, USER_MAX, VALUE_MAX, VALUE_MIN, Mode, RowStatus

#: of counters that are filled by chance; small enough to be read by a person
FILL_MAX = 100_000
#: users times EIDs, which all have their place in memory
VALUES_MAX = 1 << 30

Bools = NDArray[np.bool_]


class Outcome(NamedTuple):
    """What became of n rows."""

    #: uint8[n]
    status: U8
    #: uint8[n]
    detail: U8
    #: int64[n, k]; 0 in rows that failed
    before: I64
    #: int64[n, k]; 0 in rows that failed, the same as `before` for a query
    after: I64


def blank_outcome(n: int, k: int) -> Outcome:
    """Return an outcome of n rows to be filled in."""
    zeros = np.zeros((2, n, k), np.int64)
    return Outcome(np.zeros(n, np.uint8), np.full(n, NO_DETAIL, np.uint8), zeros[0], zeros[1])


def fill_outcome(outcome: Outcome, where: Bools | NDArray[np.intp], part: Outcome) -> None:
    """Write a part's rows into these places of the whole."""
    outcome.status[where] = part.status
    outcome.detail[where] = part.detail
    outcome.before[where] = part.before
    outcome.after[where] = part.after


class _UserMap:
    """User ids ↔ places in the arrays."""

    def __init__(self, ranges: tuple[UserRange, ...]) -> None:
        ordered = sorted(ranges, key=lambda one: one.first)
        previous_last = 0
        for one in ordered:
            if not previous_last < one.first <= one.last <= USER_MAX:
                raise ConfigurationError(f"users {one.first}-{one.last}: empty, out of range or overlapping")
            previous_last = one.last
        self._firsts = np.array([one.first for one in ordered], np.uint64)
        self._lasts = np.array([one.last for one in ordered], np.uint64)
        sizes = [one.last - one.first + 1 for one in ordered]
        self._bases = np.cumsum([0, *sizes[:-1]], dtype=np.int64)[: len(ordered)]
        self.count = sum(sizes)

    def find(self, users: U64) -> I64:
        """Return each user's place, int64[n], -1 for one that does not exist."""
        if not self.count:
            return np.full(len(users), -1, np.int64)
        part = np.searchsorted(self._firsts, users, "right") - 1
        exists = (part >= 0) & (users <= self._lasts[part])
        return np.where(exists, (users - self._firsts[part]).astype(np.int64) + self._bases[part], -1)


class Counters:
    """Every user's counters, and who and what may be changed."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._users = _UserMap(settings.users)
        self._locked = _UserMap(settings.locked)
        self._column_of_eid = _number_counters(settings.counters)
        self._minima = np.array([counter.minimum for counter in settings.counters], np.int64)
        self._maxima = np.array([counter.maximum for counter in settings.counters], np.int64)
        self._read_only = np.array([counter.read_only for counter in settings.counters], np.bool_)
        self._limited = bool((self._minima > VALUE_MIN).any() or (self._maxima < VALUE_MAX).any())
        count = self._users.count * len(settings.counters)
        if count > VALUES_MAX:
            raise ConfigurationError(f"{count} counters do not fit memory (at most {VALUES_MAX})")
        #: int64[users, counters]; to be read only
        self.values: I64 = np.zeros((self._users.count, len(settings.counters)), np.int64)
        #: what gives the values their places, and their first values
        self.layout = repr((settings.users, settings.counters, settings.fill))
        if settings.fill is not None:
            random = np.random.default_rng(settings.fill)
            drawn = random.integers(0, FILL_MAX, self.values.shape, np.int64)
            np.clip(drawn, self._minima, self._maxima, out=self.values)

    def query(self, eids: tuple[int, ...], users: U64) -> Outcome:
        """Return the values of these users' counters."""
        places, columns = self._users.find(users), self._columns(eids)
        outcome = _succeed(values := self._read(places, columns), values)
        self._fail_missing(outcome, places, columns)
        return _blank_failures(outcome)

    def plan(self, head: Head, rows: Rows) -> Outcome:
        """Return what a modify would do to these rows, each user once among them; changes nothing."""
        places, columns = self._users.find(rows.users), self._columns(head.eids)
        before = self._read(places, columns)
        after, impossible = _change(head.mode, before, rows)
        outcome = _succeed(before, after)
        if self._limited:
            there = np.maximum(columns, 0)
            impossible |= (after < self._minima[there]) | (after > self._maxima[there])
        _fail_first(outcome, impossible, RowStatus.OUT_OF_RANGE)
        if rows.expected is not None:
            _fail_first(outcome, before != rows.expected, RowStatus.CONFLICT)
        self._fail_forbidden(outcome, rows.users, columns)
        self._fail_missing(outcome, places, columns)
        return _blank_failures(outcome)

    def put(self, eids: tuple[int, ...], users: U64, values: I64) -> None:
        """Write counters; users and EIDs that do not exist (any more) are passed over."""
        places, columns = self._users.find(users), self._columns(eids)
        here, there = places >= 0, columns >= 0
        if not here.all() or not there.all():
            places, columns, values = places[here], columns[there], values[here][:, there]
        self.values[places[:, None], columns] = values

    def load(self, values: I64) -> None:
        """Take over the values of the same layout."""
        self.values = values

    def _columns(self, eids: tuple[int, ...]) -> NDArray[np.int64]:
        return np.array([self._column_of_eid.get(eid, -1) for eid in eids], np.int64)

    def _read(self, places: I64, columns: NDArray[np.int64]) -> I64:
        """Return the values, int64[n, k], anything where user or counter does not exist."""
        if not self.values.size:
            return np.zeros((len(places), len(columns)), np.int64)
        at = np.maximum(places, 0)[:, None] * self.values.shape[1] + np.maximum(columns, 0)
        values: I64 = self.values.reshape(-1).take(at)
        return values

    def _fail_forbidden(self, outcome: Outcome, users: U64, columns: NDArray[np.int64]) -> None:
        read_only = (columns >= 0) & self._read_only[np.maximum(columns, 0)]
        _fail_all(outcome, read_only, RowStatus.READ_ONLY)
        if self._locked.count:
            _fail(outcome, self._locked.find(users) >= 0, RowStatus.USER_LOCKED)

    def _fail_missing(self, outcome: Outcome, places: I64, columns: NDArray[np.int64]) -> None:
        _fail_all(outcome, columns < 0, RowStatus.NO_SUCH_EID)
        _fail(outcome, places < 0, RowStatus.NO_SUCH_USER)


def _number_counters(counters: tuple[Counter, ...]) -> dict[int, int]:
    columns: dict[int, int] = {}
    for column, counter in enumerate(counters):
        limits_fit = VALUE_MIN <= counter.minimum <= counter.maximum <= VALUE_MAX
        if not 1 <= counter.eid <= EID_MAX or not limits_fit or counter.eid in columns:
            raise ConfigurationError(f"EID {counter.eid}: out of range, doubled or with wrong limits")
        columns[counter.eid] = column
    if not columns:
        raise ConfigurationError("a cluster has at least one EID")
    return columns


def _change(mode: Mode | None, before: I64, rows: Rows) -> tuple[I64, Bools]:
    """Return the values after, and where they would have left i64 (and wrapped around)."""
    if rows.amounts is None:
        raise ValueError("a modify has amounts")
    if mode is Mode.INC:
        after = before + rows.amounts
        return after, after < before
    if mode is Mode.DEC:
        after = before - rows.amounts
        return after, after > before
    return rows.amounts.copy(), np.zeros(before.shape, np.bool_)


def _succeed(before: I64, after: I64) -> Outcome:
    n = len(before)
    return Outcome(np.zeros(n, np.uint8), np.full(n, NO_DETAIL, np.uint8), before, after)


def _fail(outcome: Outcome, where: Bools, status: RowStatus) -> None:
    if where.any():
        outcome.status[where] = status
        outcome.detail[where] = NO_DETAIL


def _fail_all(outcome: Outcome, counters: Bools, status: RowStatus) -> None:
    """Fail every row if one of the counters, bool[k], is bad, naming the first."""
    if counters.any():
        outcome.status[:] = status
        outcome.detail[:] = counters.argmax()


def _fail_first(outcome: Outcome, problems: Bools, status: RowStatus) -> None:
    """Fail the rows that have a problem, bool[n, k], naming their first counter that has it."""
    if problems.any():
        where = problems.any(axis=1)
        outcome.status[where] = status
        outcome.detail[where] = problems.argmax(axis=1)[where]


def _blank_failures(outcome: Outcome) -> Outcome:
    if outcome.status.any():
        failed = outcome.status != RowStatus.OK
        outcome.before[failed] = 0
        outcome.after[failed] = 0
    return outcome
