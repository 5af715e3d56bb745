"""A short run of the chaos rig: see docs/chaos.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: minutes of faults; chosen with the seed, so that most kinds of them come
RUN = ("--minutes", "1", "--seed", "1", "--burst", "60")
DEADLINE_S = 900.0


def test_a_short_run_finds_nothing_wrong() -> None:
    command = [sys.executable, "-m", "tests.chaos", *RUN]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
