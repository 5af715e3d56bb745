"""Commands whose standard streams are closed, or speak another language."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPENED = """
import os, sys
from eomd.cli.streams import complete_streams
complete_streams()
null = os.stat(os.devnull).st_rdev
print([number for number in range(3) if os.fstat(number).st_rdev == null], file=open(sys.argv[1], "w"))
"""


@pytest.mark.parametrize(("closing", "opened"), [("<&- >&- 2>&-", "[0, 1, 2]"), ("2>&-", "[2]")])
def test_closed_streams_are_not_taken_for_files(tmp_path: Path, closing: str, opened: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" "$2" {closing}', sys.executable, OPENED, tmp_path / "told"]
    subprocess.run(command, check=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert (tmp_path / "told").read_text() == f"{opened}\n"


def test_what_the_terminal_cannot_show_is_replaced(tmp_path: Path) -> None:
    config = tmp_path / "eomd.toml"
    config.write_text(f"""
data_dir = "{tmp_path}"
[clusters.fish]
title = "捕鱼集群"
nodes = ["127.0.0.1:1"]
""")
    done = subprocess.run(
        [sys.executable, "-m", "eomd", "check", "-c", config],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "fish ????" in done.stdout
