"""docs/watchdog.md says what the watchdog's tables say."""

from __future__ import annotations

from pathlib import Path

from eomd.handlers.routes import make_routes
from eomd.watchdog.decisions import DECISIONS
from eomd.watchdog.kinds import KINDS
from tests.pages import ROOT, read, spans, table

PAGE = read("docs/watchdog.md")
WATCHDOG = ROOT / "eomd" / "watchdog"


def test_every_kind_is_documented_with_its_severity_and_its_remedies() -> None:
    rows = {spans(row[0])[0]: row for row in table(PAGE, "kind", "severity")}
    assert {kind: row[1] for kind, row in rows.items()} == {
        kind.value: facts.severity.value for kind, facts in KINDS.items()
    }
    for kind, plan in DECISIONS.items():
        assert {step.remedy for step in plan.steps} == set(spans(rows[kind][3])), kind


def test_every_internal_path_is_documented() -> None:
    served = {(name, route.path) for route in make_routes() if route.internal for name in route.methods}
    assert {(row[0], spans(row[1])[0]) for row in table(PAGE, "method", "path")} == served


def test_the_files_named_are_there() -> None:
    named = {
        name
        for row in table(PAGE, "file", "what")
        for cell in row
        for name in spans(cell)
        if name.endswith(".py")
    }
    assert named
    assert [name for name in named if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    return (ROOT / name).exists() or (WATCHDOG / Path(name).name).exists()
