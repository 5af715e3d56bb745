"""How things look in answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from eomd.handlers.views import OperationView, format_time, operation_view
from eomd.model import Counts, Mode, Model, Operation, Order, PausedBy, State

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def make_operation(state: State = State.RUNNING, **changes: object) -> Operation:
    order = Order(Model.MODIFY, "fish", (1001, 1002), mode=Mode.INC, operatorid=2**60, operatorname="李")
    facts: dict[str, object] = {"counts": Counts(10, 4, 3, 1, 0), "create_time": NOW, "last_modify_time": NOW}
    facts.update(changes)
    return Operation(12, "u", 5, order, state, **facts)  # type: ignore[arg-type]


def test_an_operation_has_exactly_the_documented_fields() -> None:
    view = operation_view(make_operation(sourcename="12-source.csv", logname="12-log.txt"), 350000.04, 2.04)
    assert view == {
        "id": 12, "model": "modify", "mode": "inc", "cluster": "fish", "eids": [1001, 1002],
        "note": "inc_1001,1002",
        "description": "", "operatorid": 2**60, "operatorname": "李", "dry_run": False, "parent": None,
        "plan": None,
        "state": "running", "status": 2, "executed": 0, "handleres": 0, "paused_by": None, "repeats": [],
        "approval": None,
        "rows": {"total": 10, "done": 4, "ok": 3, "failed": 1, "uncertain": 0},
        "rows_per_s": 350000.0, "eta_s": 2.0, "message": None,
        "sourcename": "12-source.csv", "resultname": None, "logname": "12-log.txt",
        "verifyname": None,
        "create_time": "2026-01-02T03:04:05.000678+00:00",
        "last_modify_time": "2026-01-02T03:04:05.000678+00:00",
    }  # fmt: skip


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_shown(state: State) -> None:
    view = operation_view(make_operation(state, paused_by=PausedBy.PERSON))
    assert TypeAdapter(OperationView).validate_python(view, strict=True) == view
    assert view["state"] == state.value


def test_a_foreign_row_has_no_numbers() -> None:
    view = operation_view(make_operation(State.FOREIGN))
    assert (view["status"], view["executed"], view["handleres"]) == (None, None, None)


def test_a_time_without_offset_is_utc() -> None:
    assert format_time(datetime(2026, 1, 1)) == "2026-01-01T00:00:00+00:00"
