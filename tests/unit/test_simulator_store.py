"""The simulated cluster's memory: rules of a row, tokens, and what comes back after a restart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eomd.errors import ConfigurationError
from eomd.evt.codec import Head, Rows
from eomd.evt.simulator import Counter, Faults, SimulatorSettings, UserRange, read_journal
from eomd.evt.simulator.store import Store
from eomd.evt.simulator.tokens import TokenIndex, block_of, make_entries, place_of
from eomd.model import VALUE_MAX, VALUE_MIN, Mode, RowStatus

ORIGIN = bytes(range(16))
A, B, LIMITED, FIXED = 1001, 1002, 1003, 1004
SETTINGS = SimulatorSettings(
    users=(UserRange(100, 199), UserRange(10, 19)),
    locked=(UserRange(150, 159),),
    counters=(Counter(A), Counter(B), Counter(LIMITED, -10, 10), Counter(FIXED, read_only=True)),
)


@pytest.fixture
def make_store(tmp_path):
    stores = []

    def make(settings=SETTINGS):
        for store in stores:
            store.close()
        stores[:] = [Store(tmp_path, settings)]
        return stores[0]

    yield make
    for store in stores:
        store.close()


def rows_of(users, amounts, index=None, expected=None):
    index = range(len(users)) if index is None else index
    matrices = [
        None if one is None else np.array(one, np.int64).reshape(len(users), -1)
        for one in (amounts, expected)
    ]
    return Rows(np.array(index, np.uint32), np.array(users, np.uint64), *matrices)


def change(
    store,
    mode,
    users,
    amounts,
    *,
    eids=(A,),
    operation=1,
    index=None,
    expected=None,
    origin=ORIGIN,
    idempotent=True,
):
    rows = rows_of(users, amounts, index, expected)
    return store.modify(origin, Head(eids, mode, operation), rows, idempotent)


def value(store, user, eid=A):
    return int(store.query((eid,), np.array([user], np.uint64)).before[0, 0])


def told(outcome):
    return list(zip(outcome.status.tolist(), outcome.detail.tolist(), strict=True))


def test_inc_dec_set_and_restore_do_what_the_page_says(make_store):
    store = make_store()
    change(store, Mode.INC, [100, 199, 10], [5, 6, 7], operation=1)
    change(store, Mode.DEC, [100, 199, 10], [10, 1, 0], operation=2)
    outcome = change(store, Mode.SET, [199], [-3], operation=3)
    assert (outcome.before.tolist(), outcome.after.tolist()) == ([[5]], [[-3]])
    outcome = change(store, Mode.RESTORE, [199, 100], [5, 5], operation=4, expected=[-3, 0])
    assert told(outcome) == [(RowStatus.OK, 255), (RowStatus.CONFLICT, 0)]
    assert [value(store, user) for user in (100, 199, 10)] == [-5, 5, 7]


@pytest.mark.parametrize(
    ("mode", "user", "eids", "amounts", "expected"),
    [
        (Mode.INC, 99, (A, B), [1, 1], (RowStatus.NO_SUCH_USER, 255)),
        (Mode.INC, 2**63 - 1, (A, B), [1, 1], (RowStatus.NO_SUCH_USER, 255)),
        (Mode.INC, 100, (A, 7), [1, 1], (RowStatus.NO_SUCH_EID, 1)),
        (Mode.INC, 100, (A, LIMITED), [1, 11], (RowStatus.OUT_OF_RANGE, 1)),
        (Mode.DEC, 100, (LIMITED, A), [11, 1], (RowStatus.OUT_OF_RANGE, 0)),
        (Mode.INC, 100, (B, A), [1, VALUE_MAX], (RowStatus.OUT_OF_RANGE, 1)),
        (Mode.DEC, 101, (B, A), [1, VALUE_MAX], (RowStatus.OUT_OF_RANGE, 1)),
        (Mode.SET, 100, (A, FIXED), [1, 1], (RowStatus.READ_ONLY, 1)),
        (Mode.SET, 155, (A, B), [1, 1], (RowStatus.USER_LOCKED, 255)),
    ],
)
def test_a_row_that_fails_changes_none_of_its_counters(make_store, mode, user, eids, amounts, expected):
    store = make_store()
    change(store, Mode.SET, [100, 101], [1, -2], operation=99)
    outcome = change(store, mode, [user], [amounts], eids=eids)
    assert told(outcome) == [expected]
    assert not outcome.before.any()
    assert not outcome.after.any()
    assert [value(store, one, eid) for one in (100, 101) for eid in (A, B)] == [1, 0, -2, 0]


def test_a_failing_row_leaves_its_neighbours_alone(make_store):
    store = make_store()
    outcome = change(store, Mode.INC, [100, 99, 101], [[1, 1], [1, 1], [1, 11]], eids=(A, LIMITED))
    assert told(outcome) == [(0, 255), (RowStatus.NO_SUCH_USER, 255), (RowStatus.OUT_OF_RANGE, 1)]
    assert (value(store, 100), value(store, 101)) == (1, 0)


def test_query_says_zero_and_why_for_what_is_not_there(make_store):
    store = make_store()
    change(store, Mode.INC, [100], [5])
    outcome = store.query((A, FIXED), np.array([99, 100, 155], np.uint64))
    assert told(outcome) == [(RowStatus.NO_SUCH_USER, 255), (0, 255), (0, 255)]
    assert outcome.before.tolist() == [[0, 0], [5, 0], [0, 0]]
    assert told(store.query((A, 7), np.array([100, 99], np.uint64))) == [
        (RowStatus.NO_SUCH_EID, 1),
        (RowStatus.NO_SUCH_USER, 255),
    ]


def test_one_user_several_times_in_one_request_is_served_in_order(make_store):
    store = make_store()
    outcome = change(store, Mode.INC, [100, 101, 100, 100], [1, 2, 3, 4])
    assert outcome.before[:, 0].tolist() == [0, 0, 1, 4]
    assert outcome.after[:, 0].tolist() == [1, 2, 4, 8]
    outcome = change(store, Mode.RESTORE, [100, 100], [1, 2], operation=2, expected=[8, 1])
    assert told(outcome) == [(0, 255), (0, 255)]


# --- tokens


def test_a_token_is_applied_once_and_answered_as_the_first_time(make_store):
    store = make_store()
    first = change(store, Mode.INC, [100, 101], [5, 6])
    change(store, Mode.SET, [100], [1000], operation=2)
    again = change(store, Mode.INC, [101, 100, 102], [6, 5, 7], index=[1, 0, 2])
    assert again.status.tolist() == [RowStatus.REPLAYED, RowStatus.REPLAYED, RowStatus.OK]
    assert again.before[:2].tolist() == first.before[::-1].tolist()
    assert again.after[:2].tolist() == first.after[::-1].tolist()
    assert [value(store, user) for user in (100, 101, 102)] == [1000, 6, 7]


def test_a_token_twice_in_one_request_is_applied_once(make_store):
    outcome = change(make_store(), Mode.INC, [100, 100], [5, 5], index=[3, 3])
    assert outcome.status.tolist() == [RowStatus.OK, RowStatus.REPLAYED]
    assert outcome.after.tolist() == [[5], [5]]


def test_a_refusal_is_remembered_even_if_it_could_succeed_now(make_store):
    store = make_store()
    assert told(change(store, Mode.RESTORE, [100], [1], expected=[5])) == [(RowStatus.CONFLICT, 0)]
    change(store, Mode.SET, [100], [5], operation=2)
    assert told(change(store, Mode.RESTORE, [100], [1], expected=[5])) == [(RowStatus.CONFLICT, 0)]
    assert value(store, 100) == 5


@pytest.mark.parametrize(
    "other",
    [
        {"users": [101]},
        {"amounts": [6]},
        {"mode": Mode.DEC},
        {"eids": (B,)},
        {"eids": (A, B), "amounts": [[5, 5]]},
    ],
)
def test_a_token_with_other_content_is_misused_and_changes_nothing(make_store, other):
    store = make_store()
    fields = {"mode": Mode.INC, "users": [100], "amounts": [5]}
    change(store, **fields)
    outcome = change(store, **(fields | other))
    assert told(outcome) == [(RowStatus.TOKEN_MISUSED, 255)]
    assert (value(store, 100), value(store, 101), value(store, 100, B)) == (5, 0, 0)
    assert told(change(store, **fields)) == [(RowStatus.REPLAYED, 255)]


def test_tokens_of_other_origins_and_operations_are_others(make_store):
    store = make_store()
    for origin, operation in ((ORIGIN, 1), (ORIGIN, 2), (bytes(16), 1)):
        assert (
            change(store, Mode.INC, [100], [1], origin=origin, operation=operation).status[0] == RowStatus.OK
        )
    assert value(store, 100) == 3


def test_without_idempotent_every_copy_is_applied_and_none_remembered(make_store):
    store = make_store()
    for _ in range(2):
        assert change(
            store, Mode.INC, [100, 100], [5, 1], index=[0, 0], idempotent=False
        ).status.tolist() == [0, 0]
    assert value(store, 100) == 12
    store = make_store()
    assert value(store, 100) == 12
    assert change(store, Mode.INC, [100], [5]).status[0] == RowStatus.OK
    assert change(store, Mode.INC, [100], [5], idempotent=False).status[0] == RowStatus.OK
    assert change(make_store(), Mode.INC, [100], [5]).after.tolist() == [[17]]


@given(st.lists(st.integers(0, 2**32 - 1), unique=True, min_size=1, max_size=50), st.integers(0, 2**20))
def test_every_token_is_found_where_it_was_put(rows, block):
    index, numbers = TokenIndex(), np.array(rows, np.uint32)
    assert not index.find(ORIGIN, 1, numbers).any()
    index.put(ORIGIN, 1, numbers, make_entries(block, len(rows)))
    entries = index.find(ORIGIN, 1, numbers[::-1].copy())
    assert place_of(entries).tolist() == list(range(len(rows)))[::-1]
    assert set(block_of(entries).tolist()) == {block}
    assert not index.find(ORIGIN, 2, numbers).any()


# --- against a model of few lines


class PlainStore:
    """What the page says, a row at a time."""

    def __init__(self):
        self.values, self.decided = {}, {}

    def modify(self, operation, mode, index, user, amounts, expected):
        token, asked = (operation, index), (mode, user, tuple(amounts))
        if token in self.decided:
            first, answer = self.decided[token]
            if first != asked:
                return RowStatus.TOKEN_MISUSED, 255, 0, 0
            return (RowStatus.REPLAYED, *answer[1:]) if answer[0] == RowStatus.OK else answer
        answer = self._decide(mode, user, amounts, expected)
        self.decided[token] = asked, answer
        return answer

    def _decide(self, mode, user, amounts, expected):
        if not 100 <= user <= 199 and not 10 <= user <= 19:
            return RowStatus.NO_SUCH_USER, 255, 0, 0
        before = self.values.get(user, 0)
        after = {Mode.INC: before + amounts[0], Mode.DEC: before - amounts[0]}.get(mode, amounts[0])
        if mode is Mode.RESTORE and before != expected[0]:
            return RowStatus.CONFLICT, 0, 0, 0
        if not VALUE_MIN <= after <= VALUE_MAX:
            return RowStatus.OUT_OF_RANGE, 0, 0, 0
        self.values[user] = after
        return RowStatus.OK, 255, before, after


AMOUNTS = st.one_of(st.integers(0, 5), st.integers(0, VALUE_MAX))
ROWS = st.tuples(st.integers(0, 12), st.integers(98, 104), AMOUNTS, st.integers(0, 5))
REQUESTS = st.lists(
    st.tuples(st.sampled_from(list(Mode)), st.integers(1, 3), st.lists(ROWS, min_size=1, max_size=8))
)


@settings(max_examples=200, deadline=None)
@given(REQUESTS)
def test_whole_requests_mean_the_same_as_their_rows_one_by_one(tmp_path_factory, requests):
    plain, folder = PlainStore(), tmp_path_factory.mktemp("state")
    store = Store(folder, SimulatorSettings(users=SETTINGS.users, counters=(Counter(A),)))
    for mode, operation, rows in requests:
        index, users, amounts, expected = map(list, zip(*rows, strict=True))
        outcome = change(
            store,
            mode,
            users,
            amounts,
            operation=operation,
            index=index,
            expected=expected if mode is Mode.RESTORE else None,
        )
        for place, (number, user, amount, wanted) in enumerate(rows):
            status, detail, before, after = plain.modify(operation, mode, number, user, [amount], [wanted])
            assert told(outcome)[place] == (status, detail)
            assert (outcome.before[place, 0], outcome.after[place, 0]) == (before, after)
    store.close()
    applied = sum(len(block.rows) for block in read_journal(folder))
    assert applied == sum(answer[0] == RowStatus.OK for _, answer in plain.decided.values())
    again = Store(folder, SimulatorSettings(users=SETTINGS.users, counters=(Counter(A),)))
    assert {user: value(again, user) for user in plain.values} == plain.values
    again.close()


# --- settings


def test_counters_filled_by_chance_are_the_same_after_a_restart(make_store):
    settings = SimulatorSettings(
        users=(UserRange(1, 50),), counters=(Counter(A), Counter(LIMITED, 0, 10)), fill=3
    )
    users = np.arange(1, 51, dtype=np.uint64)
    before = make_store(settings).query((A, LIMITED), users).before
    assert len(set(before[:, 0].tolist())) > 10
    assert before[:, 1].max() <= 10
    assert (make_store(settings).query((A, LIMITED), users).before == before).all()


@pytest.mark.parametrize(
    "settings",
    [
        SimulatorSettings(users=(UserRange(1, 9), UserRange(9, 12))),
        SimulatorSettings(users=(UserRange(0, 9),)),
        SimulatorSettings(users=(UserRange(5, 4),)),
        SimulatorSettings(counters=()),
        SimulatorSettings(counters=(Counter(1), Counter(1))),
        SimulatorSettings(counters=(Counter(0),)),
        SimulatorSettings(counters=(Counter(1, 5, 4),)),
    ],
)
def test_settings_that_make_no_cluster_are_refused(tmp_path, settings):
    with pytest.raises(ConfigurationError):
        Store(tmp_path, settings)


@pytest.mark.parametrize(
    "orders",
    [
        {"bussy_share": 0.1},
        {"busy_share": 1.1},
        {"busy_share": "1"},
        {"close_after": -1},
        {"silent": 1},
        {"close_when": "now"},
    ],
)
def test_a_wrong_fault_is_refused_by_its_name(orders):
    with pytest.raises(ConfigurationError, match=next(iter(orders))):
        Faults().change(orders)
