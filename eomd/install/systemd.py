"""Asking and ordering systemd, through systemctl."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from eomd.errors import EomdError
from eomd.install.commands import run, run_well

_BOOTED = Path("/run/systemd/system")
JOURNAL_LINES = 10


def is_booted() -> bool:
    """Tell whether systemd runs this machine (sd_booted(3))."""
    return _BOOTED.is_dir()


def order(*words: str) -> None:
    """Have systemctl do this. Raises EomdError with what it, and the units' journal, says."""
    try:
        run_well("systemctl", *words)
    except EomdError as error:
        raise EomdError("\n".join([str(error), *_read_journal()])) from error


def is_enabled(unit: str) -> bool:
    return _is("is-enabled", unit)


def is_active(unit: str) -> bool:
    return _is("is-active", unit)


def _is(question: str, unit: str) -> bool:
    with suppress(EomdError):
        return run("systemctl", question, "--quiet", unit).returncode == 0
    return False


def _read_journal() -> list[str]:
    with suppress(EomdError):
        units = ("--unit=eomd.service", "--unit=eomd.socket")
        last = ("--boot", "--output=cat", "--no-pager", f"--lines={JOURNAL_LINES}")
        return run("journalctl", *units, *last).stdout.splitlines()
    return []
