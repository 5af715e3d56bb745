"""The scripts on a machine that lacks something."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
INSTALL = '. "$(dirname "$0")/venv.sh"; need sh dash; need no-such-program its-package; install_missing'

Machine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a function that installs what is missing where these programs behave so."""

    def run(**programs: str) -> subprocess.CompletedProcess[str]:
        for name, body in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{body}\n")
            program.chmod(0o755)
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = ["sh", "-c", INSTALL, str(SCRIPTS / "test")]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    return run


def test_who_may_not_install_is_told_what_to_run(machine: Machine) -> None:
    done = machine(id="echo 1000", sudo="exit 1", apt_get="exit 1")
    said = "test: missing: its-package; run as root: apt-get install its-package\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize("user", [0, 1000])
def test_who_may_install_does_so_in_silence(machine: Machine, tmp_path: Path, user: int) -> None:
    programs = {"id": f"echo {user}", "sudo": '[ "$1" = -n ] && shift; exec "$@"'}
    done = machine(**programs, apt_get=f'echo "$@" >>{tmp_path}/asked; echo noise; echo noise >&2')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "installing its-package …\n")
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert "install -y --no-install-recommends its-package" in asked


def test_lists_are_fetched_where_a_package_is_not_found(machine: Machine, tmp_path: Path) -> None:
    apt = f'case "$*" in *update) touch {tmp_path}/lists;; *) [ -e {tmp_path}/lists ];; esac'
    assert machine(id="echo 0", apt_get=apt).returncode == 0


def test_what_apt_says_is_shown_where_it_fails(machine: Machine) -> None:
    done = machine(id="echo 0", apt_get="echo E: no such package >&2; exit 100")
    assert done.returncode == 1
    assert "E: no such package\ntest: could not install: its-package\n" in done.stderr
