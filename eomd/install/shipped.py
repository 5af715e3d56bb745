"""The files that eomd brings along for a machine: its units and the configuration to start from."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
#: a wheel has them inside the package, a checkout beside it
_FOLDERS = (_PACKAGE / "etc", _PACKAGE.parent / "etc")

EXAMPLE = "eomd.toml"
UNITS = ("systemd/eomd.service", "systemd/eomd.socket")


def shipped(name: str) -> Path:
    """Return where a file of etc/ stands."""
    return next(folder / name for folder in _FOLDERS if (folder / name).exists())
