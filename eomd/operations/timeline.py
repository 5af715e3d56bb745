"""Everything that happened to an operation, in order: what the audit, its log and the ledger know. No I/O.

The audit says who; the log says why and how far. Logs go before the audit does (retention): then the ledger's
two times stand in for what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from eomd.model import Counts, Operation, PausedBy, State
from eomd.storage.ledger import AuditEntry

HAND_IN, NOTE = "hand_in", "note"
#: lines of a log that are looked at, the newest
LINES_MAX = 5000

#: an act may wait for what is in flight; what is longer ago was another's doing
DONE_WITHIN = timedelta(minutes=1)
#: the state that an act leads to
_EFFECTS = {"cancel": State.CANCELLED.value, "pause": State.PAUSED.value, "resume": State.QUEUED.value}

_STATES = {state.value for state in State}
_HANDED_IN = "handed in by "
#: said by the audit already, and with more: notes of the log by the acts that tell of them
_TOLD = (
    ({"approve", "reject", "expire"}, re.compile(r"approved by |rejected by |rejected: nobody")),
    ({"settle"}, re.compile(r"[\d,]+ uncertain rows settled as ")),
)
_STATE = re.compile(
    r"(?P<state>[a-z_]+)(?: by (?P<by>[a-z]+))?(?: \((?P<why>.*)\))?; (?P<counts>[\d,]+ of .*)"
)
_COUNTS = re.compile(
    r"([\d,]+) of ([\d,]+) rows answered: ([\d,]+) ok, ([\d,]+) failed(?:, ([\d,]+) uncertain)?"
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    time: datetime
    #: a state that was entered, an act of somebody's (`hand_in`, `pause`, `undo` …), or `note`
    what: str
    #: of an act
    who: str | None = None
    #: why, in words
    text: str | None = None
    #: what paused it
    by: str | None = None
    #: as they stood then
    counts: Counts | None = None
    #: the parent it came of, or the child that came of it
    related: int | None = None


def tell_all(operation: Operation, audit: Sequence[AuditEntry], lines: Iterable[str]) -> list[Event]:
    """Return what happened, oldest first."""
    acts = [_act(entry) for entry in audit]
    done = {act.what for act in acts}
    told = [note for acts_of, note in _TOLD if done & acts_of]
    logged = [
        event
        for event in _logged(lines)
        if not (event.what == NOTE and any(note.match(event.text or "") for note in told))
    ]
    acts, logged = _join_hand_in(operation, acts, logged)
    events = [*(_before_effect(act, logged) for act in acts), *logged, *_remembered(operation, logged)]
    # of the same moment the act comes before what it led to
    return sorted(events, key=lambda event: event.time)


def _act(entry: AuditEntry) -> Event:
    detail = entry.detail
    reason = detail.get("reason")
    born = "parent" in detail
    return Event(
        time=entry.time,
        what=HAND_IN if born else entry.action,
        who=entry.who,
        text=str(reason) if reason else _verdict(detail.get("as"), detail.get("rows")),
        related=detail.get("parent") if born else detail.get("child"),
    )


def _verdict(settled_as: object, rows: object) -> str | None:
    return None if settled_as is None else f"{settled_as}: {rows}"


def _logged(lines: Iterable[str]) -> Iterator[Event]:
    for line in lines:
        moment, _, text = line.partition(" ")
        try:
            time = datetime.fromisoformat(moment)
        except ValueError:
            continue
        if time.tzinfo is not None:
            yield _line(time, text.strip())


def _line(time: datetime, text: str) -> Event:
    if text.startswith(_HANDED_IN):
        return Event(time, HAND_IN, text=text)
    found = _STATE.fullmatch(text)
    if found is None or found["state"] not in _STATES:
        return Event(time, NOTE, text=text)
    by = found["by"] if found["by"] in set(PausedBy) else None
    return Event(time, found["state"], text=found["why"], by=by, counts=_parse_counts(found["counts"]))


def _parse_counts(text: str) -> Counts | None:
    found = _COUNTS.fullmatch(text)
    if found is None:
        return None
    done, total, ok, failed, uncertain = (int((n or "0").replace(",", "")) for n in found.groups())
    return Counts(total=total, done=done, ok=ok, failed=failed, uncertain=uncertain)


def _join_hand_in(
    operation: Operation, acts: list[Event], logged: list[Event]
) -> tuple[list[Event], list[Event]]:
    """Make one of what audit, log and ledger say of the hand-in."""
    said = next((event for event in logged if event.what == HAND_IN), None)
    noted = next((event for event in acts if event.what == HAND_IN), None)
    first = Event(operation.create_time, HAND_IN, related=operation.parent)
    if noted is not None:
        first = replace(first, who=noted.who)
    if said is not None:
        first = replace(first, text=said.text)
    others = [event for event in acts if event is not noted]
    return [first, *others], [event for event in logged if event is not said]


def _before_effect(act: Event, logged: Sequence[Event]) -> Event:
    """Date an act no later than what it led to: the audit notes it once it is done."""
    effects = [
        event.time
        for event in logged
        if event.what == _EFFECTS.get(act.what) and timedelta(0) <= act.time - event.time <= DONE_WITHIN
    ]
    return replace(act, time=max(effects)) if effects else act


def _remembered(operation: Operation, logged: Sequence[Event]) -> list[Event]:
    """Return the state that the ledger knows of, where the log does not tell of it (any more)."""
    state = operation.state.value
    if state == State.FOREIGN.value or any(event.what == state for event in logged):
        return []
    by = operation.paused_by.value if operation.paused_by else None
    return [Event(operation.last_modify_time, state, None, operation.message, by, operation.counts)]
