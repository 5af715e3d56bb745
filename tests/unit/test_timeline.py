"""What audit, log and ledger say of an operation is told once, in order, whatever of it is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from eomd.model import Counts, Model, Operation, Order, PausedBy, State
from eomd.operations.story import format_counts, format_hand_in, format_state
from eomd.operations.timeline import tell_all
from eomd.storage.ledger import AuditEntry

START = datetime(2025, 1, 1, 8, 0, tzinfo=UTC)
COUNTS = Counts(total=1_234_567, done=1_000, ok=990, failed=9, uncertain=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def operation(**changes: Any) -> Operation:
    order = Order(Model.QUERY, "fish", (1001,), operatorid=7, operatorname="李 (三)")
    made = Operation(12, "uuid", 1, order, State.QUEUED, Counts(), START, START)
    return replace(made, **changes)


def act(seconds: float, action: str, **detail: Any) -> AuditEntry:
    return AuditEntry(at(seconds), "user li", action, "operation 12", detail, "192.0.2.7")


def line(seconds: float, text: str) -> str:
    return f"{at(seconds).isoformat(timespec='milliseconds')} {text}\n"


def paused(by: PausedBy, message: str | None) -> Operation:
    return operation(state=State.PAUSED, paused_by=by, message=message, counts=COUNTS)


def test_a_state_s_line_is_read_as_it_is_written() -> None:
    message = "10 of 20 rows failed (50 %); look at it; resume"
    told = tell_all(operation(), [], [line(5, format_state(paused(PausedBy.BRAKE, message)))])
    [event] = [event for event in told if event.what == "paused"]
    assert (event.by, event.text, event.counts, event.time) == ("brake", message, COUNTS, at(5))


def test_every_state_is_read_with_every_reason() -> None:
    for state in State:
        for by in (None, *PausedBy):
            for message in (None, "a (b); c", "拒绝"):
                told = replace(paused(PausedBy.DISK, message), state=state, paused_by=by)
                event = tell_all(operation(state=state), [], [line(1, format_state(told))])[-1]
                assert (event.what, event.by, event.text) == (state.value, by, message)


def test_the_hand_in_is_one_event() -> None:
    handed_in = operation(parent=11)
    entries = [act(0.2, "undo", parent=11, note="dec_1001")]
    told = tell_all(handed_in, entries, [line(0.1, format_hand_in(handed_in))])
    first = told[0]
    assert (first.what, first.who, first.related, first.time) == ("hand_in", "user li", 11, START)
    assert first.text is not None
    assert first.text.startswith("handed in by 李 (三) (7)")
    assert [event.what for event in told] == ["hand_in", "queued"]


def test_an_act_comes_before_what_it_led_to_and_a_decision_is_told_once() -> None:
    running = replace(operation(), state=State.RUNNING)
    entries = [act(0, "hand_in", note=""), act(2, "approve", reason="seen"), act(3.01, "pause")]
    lines = [
        line(1, format_state(operation(state=State.AWAITING_APPROVAL, message="5 rows are over"))),
        line(2, "approved by Wang (8): seen"),
        line(2.5, format_state(running)),
        line(3, format_state(paused(PausedBy.PERSON, None))),
        line(4, "read back 10 rows: all as they should be"),
    ]
    told = tell_all(operation(state=State.PAUSED), entries, lines)
    assert [event.what for event in told] == [
        "hand_in", "awaiting_approval", "approve", "running", "pause", "paused", "note",
    ]  # fmt: skip
    assert (told[2].who, told[2].text) == ("user li", "seen")


def test_children_and_verdicts_are_named() -> None:
    entries = [act(1, "undo", child=15, rows=3), act(2, "settle", **{"as": "applied", "rows": 2})]
    lines = [line(2, "2 uncertain rows settled as applied")]
    undo, settle = tell_all(operation(state=State.FOREIGN), entries, lines)[1:]
    assert (undo.what, undo.related) == ("undo", 15)
    assert (settle.what, settle.text) == ("settle", "applied: 2")


def test_without_its_log_the_end_is_known_from_the_ledger() -> None:
    ended = operation(state=State.FAILED, message="broken", counts=COUNTS, last_modify_time=at(9))
    last = tell_all(ended, [], [])[-1]
    assert (last.what, last.text, last.counts, last.time) == ("failed", "broken", COUNTS, at(9))


def test_torn_lines_stop_nothing() -> None:
    torn = ["", "2025-01-01T08", "no time at all\n", line(1, ""), line(2, f"lost; {format_counts(COUNTS)}")]
    assert [event.what for event in tell_all(operation(), [], torn)] == ["hand_in", "queued", "note", "note"]
