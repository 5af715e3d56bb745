"""Problems of a file: the first are listed, all are counted."""

from __future__ import annotations

import pytest

from eomd.errors import FileProblem, InvalidFileError
from eomd.storage.csv_problems import ProblemList


def test_first_hundred_are_listed_and_all_are_counted() -> None:
    problems = ProblemList()
    for line in range(1, 251):
        problems.add(line, None, None, "bad")
    with pytest.raises(InvalidFileError) as caught:
        problems.raise_any()
    assert [problem.line for problem in caught.value.problems] == list(range(1, 101))
    assert caught.value.total_problems == 250


def test_value_is_cut_at_a_hundred_characters() -> None:
    problems = ProblemList()
    problems.add(1, "userid", "张" * 101, "bad")
    assert problems.listed[0].value == "张" * 100


def test_problems_of_another_kind_are_sorted_in_by_line() -> None:
    problems = ProblemList()
    for line in (2, 5):
        problems.add(line, "amount", None, "bad")
    problems.merge([FileProblem(line, "userid", None, "doubled") for line in (1, 5, 9)], 7)
    assert [(p.line, p.column) for p in problems.listed] == [
        (1, "userid"),
        (2, "amount"),
        (5, "amount"),
        (5, "userid"),
        (9, "userid"),
    ]
    assert problems.total == 9


def test_no_problem_raises_nothing() -> None:
    ProblemList().raise_any()
