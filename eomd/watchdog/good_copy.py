"""The last configuration that a server ran with: a copy to start from while the one in use is broken.

    good/eomd.toml  good/clusters.d/*.toml  good/origin.json

A relative path in a configuration counts from its file's folder, which a copy is not in; `origin.json` holds
the environment that sets such paths right. Functions block on the disk.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eomd.durable import sync_folder, write_atomically
from eomd.watchdog.charge import Charge
from eomd.watchdog.files import read_json

FOLDER = "good"
FILE = "eomd.toml"
_CLUSTERS = "clusters.d"
_ORIGIN = "origin.json"
_SYSTEM_FILE, _SYSTEM_DATA_DIR = Path("/etc/eomd/eomd.toml"), Path("/var/lib/eomd")
_NEW, _OLD = ".good.new", ".good.old"

#: name in the copy → content
Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class GoodCopy:
    """What stands in the folder."""

    config: Path
    files: Files
    #: what it is a copy of
    source: Path
    #: what has to be in the environment of whoever reads it
    environ: Mapping[str, str]


def read_files(source: Path) -> dict[str, bytes]:
    """Return a configuration as it stands, under the names of a copy; what cannot be read is empty."""
    paths = {FILE: source}
    folder = source.parent / _CLUSTERS
    with suppress(OSError):
        paths |= {f"{_CLUSTERS}/{path.name}": path for path in sorted(folder.glob("*.toml"))}
    return {name: _read(path) for name, path in paths.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def keep_copy(folder: Path, files: Files, charge: Charge) -> None:
    """Replace the copy under the watchdog's folder by these files. Raises OSError."""
    assert charge.source is not None
    new = folder / _NEW
    shutil.rmtree(new, ignore_errors=True)
    for made in (new, new / _CLUSTERS):
        made.mkdir(mode=0o700)
    origin = {"source": str(charge.source), "environ": _overrides(files, charge)}
    for name, content in {**files, _ORIGIN: json.dumps(origin).encode()}.items():
        write_atomically(new / name, content)
    # find_copy knows what a power cut between these steps leaves behind
    shutil.rmtree(folder / _OLD, ignore_errors=True)
    with suppress(FileNotFoundError):
        (folder / FOLDER).rename(folder / _OLD)
    new.rename(folder / FOLDER)
    sync_folder(folder)
    shutil.rmtree(folder / _OLD, ignore_errors=True)


def _overrides(files: Files, charge: Charge) -> dict[str, str]:
    """Return the environment in which the copy means what the source means."""
    raw = tomllib.loads(files[FILE].decode("utf-8-sig").replace("\r\n", "\n"))
    environ = {"EOMD_DATA_DIR": str(charge.data_dir)}
    if raw.get("ledger", {}).get("password_file") and charge.ledger.password_file:
        environ["EOMD_LEDGER__PASSWORD_FILE"] = str(charge.ledger.password_file)
    return environ


def find_copy(folder: Path) -> GoodCopy | None:
    """Return the copy under a watchdog's folder; None where there is none."""
    for place in (folder / FOLDER, folder / _OLD):
        origin = read_json(place / _ORIGIN)
        if "source" in origin:
            source = Path(origin["source"])
            return GoodCopy(place / FILE, read_files(place / FILE), source, origin["environ"])
    return None


def find_source(config: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the file of `-c` or the environment, else the system's, whether it is there or not."""
    named = config or (Path(environ["EOMD_CONFIG"]) if environ.get("EOMD_CONFIG") else _SYSTEM_FILE)
    return named.absolute()


_STATED = re.compile(rb"""^\s*data_dir\s*=\s*(["'])(.+?)\1""", re.MULTILINE)


def guess_data_dir(source: Path, environ: Mapping[str, str]) -> Path:
    """Return the data folder of a configuration that may be too broken to be read as TOML."""
    stated = environ.get("EOMD_DATA_DIR")
    if stated:
        return Path(stated).absolute()
    found = _STATED.search(_read(source))
    return source.parent / found[2].decode(errors="replace") if found else _SYSTEM_DATA_DIR
