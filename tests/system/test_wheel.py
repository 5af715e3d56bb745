"""The wheel, built and installed into an environment of its own, works far from any checkout."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import run
from tests.wheel import build_wheel


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
    wheel, commit = build_wheel(folder)
    install(wheel, folder / "venv")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(folder / "venv/bin/eomd", elsewhere, commit)


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


def test_its_units_and_the_configuration_to_start_from_came_along(installed: Installed) -> None:
    ask = "from eomd.install import shipped as s; print(*map(s.shipped, (s.EXAMPLE, *s.UNITS)))"
    paths = run(installed.program.with_name("python"), "-P", "-c", ask, cwd=installed.folder).split()
    package = installed.program.parents[1]
    assert [Path(path).name for path in paths] == ["eomd.toml", "eomd.service", "eomd.socket"]
    assert all(Path(path).is_relative_to(package) for path in paths)


def test_its_console_came_along(installed: Installed) -> None:
    ask = "from eomd.handlers.console_files import Console; built = Console.read();"
    ask += "print(built.page is not None, len(built.assets))"
    built, assets = run(installed.program.with_name("python"), "-P", "-c", ask, cwd=installed.folder).split()
    assert built == "True", "scripts/build-console has not been run before this test"
    assert int(assets) > 10


def test_its_demo_does_the_main_job(installed: Installed) -> None:
    assert installed.run("demo", "--once", "--batch", "2000").count("2,000 of 2,000 rows OK") == 2
