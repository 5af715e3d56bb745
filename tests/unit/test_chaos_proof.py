"""The chaos rig's prover finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eomd.evt.codec import I64
from eomd.evt.simulator import JournalBlock
from eomd.model import Mode, RowStatus
from tests.chaos.clusters import FIRST_USER, LOCKED, USERS
from tests.chaos.evidence import Applied, Past, Result, group_by_operation, read_result
from tests.chaos.hand_ins import Drawer, HandIn, refuse_second_twins
from tests.chaos.proof import check_applied, check_query, check_rows

N = 4
EIDS = (1001, 1002)
FREE = FIRST_USER + LOCKED
OK, UNCERTAIN, LOCKED_OUT = RowStatus.OK, RowStatus.UNCERTAIN, RowStatus.USER_LOCKED


def values(*numbers: int) -> I64:
    """Return n rows of two counters that hold the same."""
    return np.array([numbers, numbers], np.int64).T


@pytest.fixture
def asked() -> HandIn:
    """An inc of four rows, the last one's user locked."""
    users = np.array([FREE + 3, FREE, FREE + 1, FIRST_USER], np.uint64)
    return HandIn("x", "fish", "inc", EIDS, users, np.array([1, 2, 3, 4], np.int64))


@pytest.fixture
def result(asked: HandIn) -> Result:
    status = np.array([OK, OK, OK, LOCKED_OUT], np.uint8)
    return Result(asked.users, status, values(10, 20, 30, 0), values(11, 22, 33, 0))


@pytest.fixture
def applied(asked: HandIn) -> Applied:
    """What was done, in another order than asked."""
    rows = np.array([2, 0, 1], np.uint32)
    return Applied(
        "inc", EIDS, rows, asked.users[rows], values(3, 1, 2), values(30, 10, 20), values(33, 11, 22)
    )


def take(applied: Applied, *places: int) -> Applied:
    """Return it with these of its rows alone."""
    where = list(places)
    columns = {
        name: getattr(applied, name)[where] for name in ("rows", "users", "amounts", "before", "after")
    }
    return replace(applied, **columns)


def changed(result: Result, row: int, status: RowStatus) -> Result:
    altered = result.status.copy()
    altered[row] = status
    return replace(result, status=altered)


def test_what_was_done_once_and_told_as_it_was_is_right(
    asked: HandIn, result: Result, applied: Applied
) -> None:
    assert [*check_rows(asked, result, idempotent=True), *check_applied(asked, result, applied)] == []


@pytest.mark.parametrize(
    ("places", "complaint"),
    [((0, 1), "OK, and never done"), ((0, 1, 2, 2), "done more than once")],
    ids=["lost", "doubled"],
)
def test_a_row_lost_or_doubled_is_found(
    asked: HandIn, result: Result, applied: Applied, places: tuple[int, ...], complaint: str
) -> None:
    (found,) = check_applied(asked, result, take(applied, *places))
    assert complaint in found
    assert f"user {FREE}" in found


def test_an_operation_that_the_cluster_knows_nothing_of_is_found(asked: HandIn, result: Result) -> None:
    (found,) = check_applied(asked, result, None)
    assert found.startswith("3 rows: OK, and the cluster knows nothing of it")


def test_a_row_that_was_done_and_reported_as_refused_is_found(
    asked: HandIn, result: Result, applied: Applied
) -> None:
    (found,) = check_applied(asked, changed(result, 1, RowStatus.BUSY), applied)
    assert "done, and reported as not done" in found


def test_an_uncertain_row_may_have_been_done_or_not(asked: HandIn, result: Result, applied: Applied) -> None:
    unsure = changed(result, 1, UNCERTAIN)
    assert list(check_rows(asked, unsure, idempotent=False)) == []
    assert list(check_applied(asked, unsure, applied)) == []
    assert list(check_applied(asked, unsure, take(applied, 0, 1))) == []


def test_an_uncertain_row_is_wrong_where_tokens_are_kept_or_nothing_is_changed(
    asked: HandIn, result: Result
) -> None:
    unsure = changed(result, 1, UNCERTAIN)
    assert "a status that cannot be" in next(check_rows(asked, unsure, idempotent=True))
    asked.mode = None
    assert "a status that cannot be" in next(check_rows(asked, unsure, idempotent=False))


def test_a_row_that_was_not_sent_is_wrong_but_for_a_cancelled_operation(
    asked: HandIn, result: Result
) -> None:
    left_out = changed(result, 0, RowStatus.NOT_SENT)
    assert "a status that cannot be" in next(check_rows(asked, left_out, idempotent=True))
    asked.cancelled = True
    assert list(check_rows(asked, left_out, idempotent=True)) == []


@pytest.mark.parametrize("name", ["before", "after"])
def test_a_row_with_anothers_values_is_found(
    asked: HandIn, result: Result, applied: Applied, name: str
) -> None:
    swapped = getattr(result, name)[[1, 0, 2, 3]]
    (found,) = check_applied(asked, replace(result, **{name: swapped}), applied)
    assert found.startswith("2 rows: another's values")


def test_rows_out_of_order_or_missing_are_found(asked: HandIn, result: Result) -> None:
    for order in ([1, 0, 2, 3], [0, 1, 2]):
        columns = {name: getattr(result, name)[order] for name in ("users", "status", "before", "after")}
        assert list(check_rows(asked, Result(**columns), idempotent=True)) == [
            "the result's users are not the file's, in order"
        ]


def test_another_amount_mode_or_counter_is_found(asked: HandIn, result: Result, applied: Applied) -> None:
    more = replace(applied, amounts=applied.amounts + 1)
    assert "another user or amount" in next(check_applied(asked, result, more))
    for other in (replace(applied, mode="dec"), replace(applied, eids=(1001,))):
        assert "the cluster did something else" in next(check_applied(asked, result, other))


def test_a_value_that_a_counter_never_had_is_found(asked: HandIn, result: Result, applied: Applied) -> None:
    initial = np.full((USERS, 2), 5, np.int64)
    past = Past(initial, FIRST_USER, EIDS, [applied])
    asked.mode, asked.amounts = None, None
    right = replace(result, before=values(11, 5, 33, 0), after=values(11, 5, 33, 0))
    assert list(check_query(asked, right, past)) == []
    # what another user's counter had
    wrong = replace(right, before=values(11, 33, 33, 0))
    found = list(check_query(asked, wrong, past))
    assert [complaint.split(" (")[0] for complaint in found] == [
        f"1 rows: a value that counter {eid} never had" for eid in EIDS
    ]


def test_a_result_is_read_with_its_statuses_and_gaps() -> None:
    text = b"userid,status,detail,7_before,7_after\n5,OK,,1,2\n6,USER_LOCKED,,,\n"
    result = read_result(text, [7], is_query=False)
    assert result.users.tolist() == [5, 6]
    assert result.status.tolist() == [RowStatus.OK, RowStatus.USER_LOCKED]
    assert (result.before.tolist(), result.after.tolist()) == ([[1], [0]], [[2], [0]])


def test_blocks_of_one_operation_come_together() -> None:
    def block(operation: int, row: int) -> JournalBlock:
        one = np.array([[row]], np.int64)
        rows, users = np.array([row], np.uint32), np.array([row + 9], np.uint64)
        nothing = np.array([0], np.uint8)
        return JournalBlock(
            b"", operation, Mode.INC, (7,), True, rows, users, one, one, one, nothing, nothing
        )

    grouped = group_by_operation([block(1, 0), block(2, 0), block(1, 4)])
    assert {number: applied.rows.tolist() for number, applied in grouped.items()} == {1: [0, 4], 2: [0]}


def test_one_seed_draws_the_same_hand_ins() -> None:
    def drawn(*seed: int) -> list[str]:
        drawer = Drawer("a", seed)
        return [drawer.draw().content() for _ in range(5)]

    assert drawn(1, 2) == drawn(1, 2) != drawn(1, 3)


def test_a_set_names_no_user_twice() -> None:
    drawer = Drawer("a", (3,))
    sets = [one for one in (drawer.draw() for _ in range(60)) if one.mode == "set"]
    assert sets
    assert all(len(np.unique(one.users)) == len(one.users) for one in sets)


def test_of_two_files_with_one_change_one_must_have_been_refused(asked: HandIn) -> None:
    again = HandIn("y", "fish", "inc", EIDS, asked.users, asked.amounts, twin=asked)
    assert list(refuse_second_twins([asked, again], {again.name})) == []
    assert (asked.refused, again.refused) == ("an identical modify of late", "")
    for admitted in ({asked.name, again.name}, set[str]()):
        (found,) = refuse_second_twins([asked, again], admitted)
        assert f"done {len(admitted)} times" in found
