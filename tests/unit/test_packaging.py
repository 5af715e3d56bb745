"""What setup.cfg declares is what the code imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCAL = {"eomd", "tests", "bench", *(path.stem for path in (ROOT / "tests/integration").glob("*.py"))}


def imported_by(folder: str) -> set[str]:
    """Return the foreign top-level modules that the folder's files import by name."""
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        found.update(name.partition(".")[0] for name in imports(ast.parse(path.read_text(encoding="utf-8"))))
    return found - LOCAL - sys.stdlib_module_names


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def declared(*options: str) -> set[str]:
    """Return the distributions named under `[options] install_requires` and these extras."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    texts = [setup["options"]["install_requires"]]
    texts += [setup["options.extras_require"][name] for name in options]
    return {normal(re.split(r"[ \[<>=;]", line)[0]) for text in texts for line in text.split("\n") if line}


@pytest.mark.parametrize(
    ("folder", "extras"), [("eomd", []), ("bench", []), ("tests", ["test"])], ids=["eomd", "bench", "tests"]
)
def test_what_is_imported_is_declared(folder: str, extras: list[str]) -> None:
    distributions = packages_distributions()
    names = declared(*extras)
    undeclared = {
        module
        for module in imported_by(folder)
        if not names & {normal(name) for name in distributions.get(module, [module])}
    }
    assert undeclared == set()
