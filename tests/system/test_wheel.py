"""The wheel, built and installed into an environment of its own, works far from any checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("eomd", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg", "setup.py")
#: whatever git is told elsewhere on this machine
PLAIN_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
LEFT_OUT = shutil.ignore_patterns("__pycache__", "commit.txt")


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Installed:
    """An `eomd` from the wheel, called in an empty folder."""

    program: Path
    folder: Path
    #: of the tree the wheel was built from
    commit: str

    def run(self, *arguments: str) -> str:
        environ = {"EOMD_DATA_DIR": str(self.folder / "data"), "EOMD_CONFIG": "", "PYTHONPATH": ""}
        return run(self.program, *arguments, cwd=self.folder, **environ)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    commit = commit_copy(folder / "source")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", "source", cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    install(wheel, folder / "venv")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(folder / "venv/bin/eomd", elsewhere, commit)


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


def install(wheel: Path, venv: Path) -> None:
    """Install the wheel alone, without a network; what it needs is borrowed from this environment."""
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv.parent)
    python = venv / "bin/python"
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=venv.parent).strip()
    # a path in a .pth brings no further .pth along, thus no editable eomd
    (Path(own) / "borrowed.pth").write_text(sysconfig.get_path("platlib") + "\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--quiet", "--python", python]
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=venv.parent)


def test_it_tells_the_commit_it_was_built_from(installed: Installed) -> None:
    version = installed.run("version")
    assert version.startswith("eomd ")
    assert version.endswith(f"(commit {installed.commit})\n")


def test_its_codec_and_migrations_came_along(installed: Installed) -> None:
    assert installed.run("check").startswith("configuration is good\n")
    installed.run("migrate")
    assert (installed.folder / "data/eomd.db").exists()


def test_its_demo_does_the_main_job(installed: Installed) -> None:
    assert installed.run("demo", "--once", "--batch", "2000").count("2,000 of 2,000 rows OK") == 2
