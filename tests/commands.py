"""Commands of this machine, run to their end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def run(*command: str | Path, cwd: Path | None = None, deadline_s: float = 120, **environ: str) -> str:
    """Return what a command prints; where it fails, so does the test, with all that it said."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline_s,
        check=False,
    )
    said = " ".join(map(str, command)) + f": {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, said
    return done.stdout
