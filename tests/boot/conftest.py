"""Fixtures of the tests that boot machines: the tree once, a machine for each test, figures at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.boot.machine import Machine, clear_up, refuse_unless_possible
from tests.boot.tree import open_tree
from tests.wheel import build_wheel

_figures: list[str] = []


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    refuse_unless_possible()
    clear_up()
    wheel, _ = build_wheel(tmp_path_factory.mktemp("wheel"))
    with open_tree(wheel) as tree:
        yield tree


@pytest.fixture
def machine(tree: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine that has booted, with eomd in a venv and nothing else."""
    machine = Machine(tree, tmp_path)
    try:
        machine.power_on()
        yield machine
    finally:
        machine.destroy()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Note a figure: it is told at the end, and is no reason to fail on a busy machine."""

    def note(what: str, seconds: float) -> None:
        _figures.append(f"{seconds:6.2f} s  {what}")

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("measured on booted machines")
        for line in _figures:
            terminalreporter.line(line)
