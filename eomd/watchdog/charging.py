"""Reading the configuration for the watchdog: another process validates it and prints the charge."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from eomd.errors import ConfigurationError, EomdError
from eomd.watchdog.charge import Charge

CHARGE_S_MAX = 60.0
#: the shell ends at once and leaves the command behind: the server is to stay the watchdog's only child
_APART = '{ "$@"; echo "exit $?" >&2; } &'


async def load_charge(config: Path | None, environ: Mapping[str, str]) -> Charge:
    """Return what the configuration says now.

    Raises ConfigurationError where it is wrong; EomdError where it could not be read: trying again may help.
    """
    shell = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", _APART, "sh", *eomd_command("charge", config)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=environ,
        process_group=0,
    )
    said, complaints = await _listen(shell)
    *problems, code = complaints.splitlines() or [""]
    problems = [line.removeprefix("eomd: ") for line in problems]
    if code == f"exit {os.EX_CONFIG}":
        raise ConfigurationError(*problems)
    if code != f"exit {os.EX_OK}":
        raise EomdError("\n".join(["the configuration could not be read", *problems[-5:]]))
    return Charge.from_json(said)


async def _listen(shell: Process) -> tuple[str, str]:
    """Return what stands on stdout and stderr once all who write there have ended."""
    try:
        async with asyncio.timeout(CHARGE_S_MAX):
            said, complaints = await shell.communicate()
    except BaseException as error:
        # the group lives on after its leader while it has members
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        if isinstance(error, TimeoutError):
            raise EomdError(f"reading the configuration took more than {CHARGE_S_MAX:.0f} s") from error
        raise
    return said.decode(errors="replace"), complaints.decode(errors="replace")


def eomd_command(name: str, config: Path | None) -> tuple[str, ...]:
    """Return the command line of a process, which shows as `… eomd NAME`."""
    # -P: whatever stands in the working folder must not take eomd's place
    command = (sys.executable, "-P", "-m", "eomd", name)
    return (*command, "-c", str(config)) if config else command
