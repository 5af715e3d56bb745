"""The wheel of what stands here, built far from the checkout."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.commands import run

ROOT = Path(__file__).parents[1]
SOURCES = ("eomd", "etc", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg", "setup.py")
#: whatever git is told elsewhere on this machine
PLAIN_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
LEFT_OUT = shutil.ignore_patterns("__pycache__", "commit.txt")


def build_wheel(folder: Path) -> tuple[Path, str]:
    """Return a wheel, and the commit it was built from."""
    commit = commit_copy(folder / "source")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", "source", cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel, commit


def commit_copy(source: Path) -> str:
    """Make a repository of what is built from; return its commit."""
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, source)
    git = ("git", "-c", "user.name=eomd", "-c", "user.email=eomd@localhost")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
        run(*git, *arguments, cwd=source, **PLAIN_GIT)
    return run(*git, "rev-parse", "--short=12", "HEAD", cwd=source, **PLAIN_GIT).strip()
