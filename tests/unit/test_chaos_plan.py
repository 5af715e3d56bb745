"""The chaos rig's plan of faults, and the table of what they took."""

from __future__ import annotations

from itertools import islice
from random import Random

from tests.chaos.complaints import COMPLAINTS_MAX, Complaints
from tests.chaos.plan import TOGETHER, draw_acts, settle
from tests.chaos.record import Record, format_table

FAULTS = 23


def test_one_seed_draws_the_same_acts() -> None:
    def drawn(seed: int) -> list[object]:
        return list(islice(draw_acts(Random(seed), FAULTS), 40))

    assert drawn(1) == drawn(1) != drawn(2)


def test_every_fault_comes_before_any_comes_again() -> None:
    flat = [entry.fault for act in islice(draw_acts(Random(5), FAULTS), 200) for entry in act]
    for start in range(0, len(flat) - FAULTS, FAULTS):
        assert sorted(flat[start : start + FAULTS]) == list(range(FAULTS))


def test_the_first_of_an_act_comes_at_once_and_some_come_together() -> None:
    acts = list(islice(draw_acts(Random(5), FAULTS), 200))
    assert {act[0].delay_s for act in acts} == {0.0}
    assert {len(act) for act in acts} == set(TOGETHER)


def test_two_faults_on_one_subject_never_stand_together() -> None:
    assert settle(["a", "b", "a", "c", "b"]) == [True, True, False, True, False]


def test_the_table_has_medians_and_worst_and_says_what_was_never_measured() -> None:
    records = [Record("a", True, 1.0, 4.0), Record("a", False, None, 2.0), Record("a", True, 3.0, 9.0)]
    head, _, first, second = format_table(["a", "b"], records).splitlines()
    assert " ".join(head.split()) == "fault times alone time to notice, s time to heal, s"
    assert first.split() == ["a", "3", "2", "2.00", "3.00", "4.00", "9.00"]
    assert second.split() == ["b", "0", "0", "–", "–", "–", "–"]


def test_complaints_are_kept_up_to_a_number_and_the_others_counted() -> None:
    complaints = Complaints()
    assert not complaints
    for number in range(COMPLAINTS_MAX + 2):
        complaints.add(f"{number}")
    assert list(complaints)[-1] == "and 2 more"
    assert len(list(complaints)) == COMPLAINTS_MAX + 1
