"""The dispatcher's queue, against a list of pairs that does the same slowly."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eomd.watchdog.queue import SubjectQueue

SUBJECTS = st.sampled_from("abcdef")
ENTRIES = st.integers()
ENTRIES_MAX = 4


class QueueAgainstList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue: SubjectQueue[str, int] = SubjectQueue(ENTRIES_MAX)
        self.model: list[tuple[str, int]] = []

    def place(self, subject: str) -> int | None:
        return next((i for i, pair in enumerate(self.model) if pair[0] == subject), None)

    @rule(subject=SUBJECTS, entry=ENTRIES)
    def put(self, subject: str, entry: int) -> None:
        place = self.place(subject)
        fits = place is not None or len(self.model) < ENTRIES_MAX
        assert self.queue.put(subject, entry) is fits
        if place is not None:
            self.model[place] = (subject, entry)
        elif fits:
            self.model.append((subject, entry))

    @rule()
    def take(self) -> None:
        assert self.queue.take() == (self.model.pop(0) if self.model else None)

    @rule(subject=SUBJECTS)
    def delete(self, subject: str) -> None:
        place = self.place(subject)
        assert self.queue.delete(subject) == (None if place is None else self.model.pop(place)[1])

    @rule(subject=SUBJECTS)
    def find(self, subject: str) -> None:
        place = self.place(subject)
        assert self.queue.find(subject) == (None if place is None else self.model[place][1])

    @invariant()
    def holds_the_same_in_the_same_order(self) -> None:
        assert list(self.queue) == self.model
        assert len(self.queue) == len(self.model) <= ENTRIES_MAX


TestQueueAgainstList = QueueAgainstList.TestCase


def test_a_repetition_updates_the_entry_and_keeps_its_place() -> None:
    queue: SubjectQueue[str, int] = SubjectQueue()
    for subject, entry in (("a", 1), ("b", 2), ("a", 3)):
        assert queue.put(subject, entry)
    assert [queue.take(), queue.take(), queue.take()] == [("a", 3), ("b", 2), None]


def test_who_was_taken_waits_again_behind_the_others() -> None:
    queue: SubjectQueue[str, int] = SubjectQueue()
    queue.put("a", 1)
    queue.put("b", 2)
    queue.take()
    queue.put("a", 3)
    assert [subject for subject, _ in queue] == ["b", "a"]


@pytest.mark.parametrize("work", ["find", "delete", "take"])
def test_a_longer_queue_makes_no_more_steps(work: str) -> None:
    """Counts what a subject is asked for while it is looked up: a search would ask every one that waits."""
    counts = [_comparisons(work, length) for length in (10, 1000)]
    assert counts[0] == counts[1] <= 4


def _comparisons(work: str, length: int) -> int:
    queue: SubjectQueue[_Counted, int] = SubjectQueue(length)
    for number in range(length):
        queue.put(_Counted(number), number)
    _Counted.asked = 0
    if work == "take":
        queue.take()
    else:
        getattr(queue, work)(_Counted(length // 2))
    return _Counted.asked


class _Counted:
    """A subject that counts how often it is hashed or compared."""

    asked = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        _Counted.asked += 1
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        _Counted.asked += 1
        return isinstance(other, _Counted) and other.number == self.number
