"""The state machine and its numbers in the old table."""

import pytest

from eomd.model import ACTIONS, ENDED, STATE_OF_STATUS, UNFINISHED, Mode, Model, Order, State, may_become

EDGES = {
    (State.QUEUED, State.RUNNING),
    (State.QUEUED, State.PAUSED),
    (State.QUEUED, State.CANCELLED),
    (State.QUEUED, State.FAILED),
    (State.AWAITING_APPROVAL, State.QUEUED),
    (State.AWAITING_APPROVAL, State.REJECTED),
    (State.AWAITING_APPROVAL, State.CANCELLED),
    (State.AWAITING_APPROVAL, State.FAILED),
    (State.RUNNING, State.PAUSED),
    (State.RUNNING, State.SUCCEEDED),
    (State.RUNNING, State.PARTIAL),
    (State.RUNNING, State.FAILED),
    (State.RUNNING, State.CANCELLED),
    (State.PAUSED, State.QUEUED),
    (State.PAUSED, State.RUNNING),
    (State.PAUSED, State.SUCCEEDED),
    (State.PAUSED, State.PARTIAL),
    (State.PAUSED, State.CANCELLED),
    (State.PAUSED, State.FAILED),
}


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_each_edge_is_allowed_or_refused_as_listed(before, after):
    assert may_become(before, after) == ((before, after) in EDGES)


def test_every_state_but_foreign_has_its_own_number():
    assert {state.numbers.status: state for state in State if state is not State.FOREIGN} == STATE_OF_STATUS
    assert State.SUCCEEDED.numbers == (10, 1, 10)


def test_a_state_has_ended_or_is_unfinished():
    assert {*ENDED, *UNFINISHED} == {*State} - {State.FOREIGN}
    assert not ENDED & UNFINISHED
    assert all(states <= ENDED or not states & ENDED for states in ACTIONS.values())


def test_the_note_names_mode_and_eids_of_a_modify_alone():
    assert Order(Model.MODIFY, "fish", (1001, 1002), Mode.INC).note == "inc_1001,1002"
    assert Order(Model.QUERY, "fish", (1001,)).note == ""
