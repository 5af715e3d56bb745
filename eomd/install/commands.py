"""Commands of the machine that an installation calls."""

from __future__ import annotations

import subprocess

from eomd.errors import EomdError

#: the longest is systemctl's wait for a server that starts
COMMAND_S_MAX = 300.0


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Return a command's end, whatever it was. Raises EomdError where it cannot be run or does not end."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_S_MAX,
            check=False,
        )
    except OSError as error:
        raise EomdError(f"{command[0]} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise EomdError(f"{' '.join(command)}: did not end within {COMMAND_S_MAX:.0f} s") from error


def run_well(*command: str) -> None:
    """Raises EomdError with what a command says that ends badly."""
    done = run(*command)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or f"ended with {done.returncode}"
        raise EomdError(f"{' '.join(command)}: {said}")
