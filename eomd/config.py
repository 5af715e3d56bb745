"""eomd.toml, the files of clusters.d and the environment → validated settings, or all problems at once."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import PrivateAttr, ValidationError

from eomd.config_problems import Keys, Places, Problem, annotation_under, describe
from eomd.config_tables import Tables
from eomd.errors import ConfigurationError

SYSTEM_FILE = Path("/etc/eomd/eomd.toml")
SYSTEM_DATA_DIR = Path("/var/lib/eomd")
CLUSTERS_FOLDER = "clusters.d"
FILE_BYTES_MAX = 1 << 20
PREFIX = "EOMD_"
SEPARATOR = "__"


class Settings(Tables):
    """The validated configuration."""

    _source: Path | None = PrivateAttr(None)

    @property
    def source(self) -> Path | None:
        """The file in use; None on the embedded default."""
        return self._source

    @property
    def ledger_url(self) -> str:
        """The database to connect to: an SQLite path is absolute, a password is not in it."""
        parts = urlsplit(self.ledger.url)
        if parts.scheme != "sqlite":
            user = f"{parts.username}@" if parts.username else ""
            place = parts.netloc.rpartition("@")[2]
            return urlunsplit(parts._replace(netloc=user + place))
        return "sqlite:///" + str(self.data_dir / parts.path[1:])

    @property
    def url_password(self) -> str | None:
        """The password inside `ledger.url`, if there is one."""
        password = urlsplit(self.ledger.url).password
        return unquote(password) if password else None

    @property
    def inbox_path(self) -> Path:
        return self.data_dir / self.inbox.path


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read `path`, else EOMD_CONFIG's file, else the system's if it exists, and the environment over it.

    Raises ConfigurationError with every problem found.
    """
    source = choose_file(path, environ)
    reading = _Reading(source, environ)
    raw = reading.read()
    settings, problems = _validate(raw, reading)
    if problems or settings is None:
        raise ConfigurationError(*(str(problem) for problem in problems))
    settings._source = source
    return settings


def choose_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the configuration file in use, absolute; None: the embedded default."""
    named = path or (Path(environ["EOMD_CONFIG"]) if environ.get("EOMD_CONFIG") else None)
    if named is not None:
        return named.absolute()
    return SYSTEM_FILE if SYSTEM_FILE.exists() else None


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the data folder of the embedded default."""
    state_home = environ.get("XDG_STATE_HOME", "")
    if state_home.startswith("/"):
        return Path(state_home) / "eomd"
    if os.geteuid() == 0:
        return SYSTEM_DATA_DIR
    return Path(environ.get("HOME") or Path.home()) / ".local/state/eomd"


class _Reading:
    """Collects the raw tables of file, folder and environment, where each key stood, and what went wrong."""

    def __init__(self, source: Path | None, environ: Mapping[str, str]) -> None:
        self._source = source
        self._environ = environ
        self.places = Places()
        self.problems: list[Problem] = []

    def read(self) -> dict[str, Any]:
        raw: dict[str, Any] = {}
        if self._source is not None:
            raw = self._read_file(self._source, ())
            self._check_secrets(raw, self._source)
            self._read_clusters(raw, self._source.parent / CLUSTERS_FOLDER)
        self._override(raw)
        self._place_data_dir(raw)
        return raw

    def _read_file(self, path: Path, under: Keys) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
            if len(content) > FILE_BYTES_MAX:
                raise ValueError(f"larger than {FILE_BYTES_MAX} bytes")
            text = content.decode("utf-8-sig").replace("\r\n", "\n")
            raw = tomllib.loads(text)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            self.problems.append(Problem(f"{path} line {line}", (), "not UTF-8"))
        except OSError as error:
            self.problems.append(Problem(str(path), (), error.strerror or str(error)))
        except ValueError as error:
            self.problems.append(Problem(str(path), (), f"not good TOML: {error}"))
        else:
            self.places.add_file(path, text, under)
            return raw
        return {}

    def _read_clusters(self, raw: dict[str, Any], folder: Path) -> None:
        """Take in `clusters.d/NAME.toml`, each one cluster's table without its header."""
        clusters = raw.setdefault("clusters", {})
        for path in sorted(folder.glob("*.toml")) if isinstance(clusters, dict) else ():
            keys = ("clusters", path.stem)
            if path.stem in clusters:
                reason = f"stands in {self.places.find(keys)} too; a cluster has one place"
                self.problems.append(Problem(str(path), keys, reason))
            else:
                failed = len(self.problems)
                table = self._read_file(path, keys)
                if len(self.problems) == failed:
                    clusters[path.stem] = table

    def _check_secrets(self, raw: dict[str, Any], path: Path) -> None:
        ledger = raw.get("ledger")
        if not isinstance(ledger, dict):
            return
        url = ledger.get("url")
        secret = (
            "password"
            if "password" in ledger
            else "url"
            if isinstance(url, str) and _has_password(url)
            else ""
        )
        if secret and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            keys = ("ledger", secret)
            reason = (
                "a password may stand only in a file that its owner alone can read: "
                f"use password_file or EOMD_LEDGER__PASSWORD, or run: chmod 600 {path}"
            )
            self.problems.append(Problem(self.places.find(keys), keys, reason))

    def _override(self, raw: dict[str, Any]) -> None:
        for name in sorted(self._environ):
            stem = name.removeprefix(PREFIX)
            if stem != name and (SEPARATOR in stem or stem == "DATA_DIR"):
                keys = _keys_of(stem, raw)
                if _put(raw, keys, _read_value(keys, self._environ[name])):
                    self.places.add_environment(name, keys)
                else:
                    self.problems.append(Problem(f"environment {name}", keys, "there is no such key"))

    def _place_data_dir(self, raw: dict[str, Any]) -> None:
        """Make data_dir absolute: from the folder of the file that names it; the environment's from ours."""
        stated = raw.setdefault("data_dir", "")
        if stated == "":
            raw["data_dir"] = SYSTEM_DATA_DIR if self._source else default_data_dir(self._environ)
        elif isinstance(stated, str):
            of_file = self._source is not None and not self._environ.get("EOMD_DATA_DIR")
            base = self._source.parent if of_file and self._source else Path.cwd()
            raw["data_dir"] = base / stated


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False


def _keys_of(stem: str, raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that `SERVER__LISTEN` names.

    Environment names hold no `-`: a name that the file uses is found by its `-` read as `_` and in any
    case; a new one is lower-cased, and its single `_` are `-` (cluster names have no `_`).
    """
    keys = [part.lower() for part in stem.split(SEPARATOR)]
    position = {"clusters": 1, "inbox": 2}.get(keys[0], len(keys))
    if position < len(keys) and (position == 1 or keys[1] == "recipes"):
        known: Any = raw
        for key in keys[:position]:
            known = known.get(key, {}) if isinstance(known, dict) else {}
        same = [name for name in known if name.lower().replace("-", "_") == keys[position]]
        keys[position] = same[0] if same else keys[position].replace("_", "-")
    return tuple(keys)


def _put(raw: dict[str, Any], keys: tuple[str, ...], value: Any) -> bool:
    *tables, last = keys
    table: Any = raw
    for key in tables:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            return False
    table[last] = value
    return True


def _read_value(keys: tuple[str, ...], text: str) -> Any:
    """Read what is not text as JSON; what is not JSON either stays text, for validation to refuse."""
    annotation: Any = Tables
    for key in keys:
        annotation = annotation_under(annotation, key)
    if not _is_json(annotation):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_json(annotation: Any) -> bool:
    """Tell whether values of this type are numbers, truth values, lists or tables."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(_is_json(part) for part in get_args(annotation))
    if hasattr(annotation, "__metadata__"):
        return _is_json(get_args(annotation)[0])
    return origin in (tuple, dict) or annotation in (int, float, bool)


def _validate(raw: dict[str, Any], reading: _Reading) -> tuple[Settings | None, list[Problem]]:
    try:
        settings: Settings | None = Settings.model_validate(raw)
        problems = reading.problems
    except ValidationError as error:
        found = error.errors(include_url=False)
        settings = None
        problems = reading.problems + [_problem(*describe(one), reading) for one in found]
        broken = {one["loc"][0] for one in found}
        raw = {name: table for name, table in raw.items() if name not in broken}
    together = settings or Settings.model_validate({"data_dir": "/", **raw})
    problems += [_problem(keys, reason, reading) for keys, reason in _check_together(together)]
    return settings, problems


def _problem(keys: Keys, reason: str, reading: _Reading) -> Problem:
    return Problem(reading.places.find(keys), keys, reason)


def _check_together(settings: Settings) -> list[tuple[Keys, str]]:
    """Return what only several tables together tell."""
    problems: list[tuple[Keys, str]] = []
    if not settings.server.address.is_loopback and not settings.auth.enabled:
        reason = "other than loopback only with auth.enabled = true: everybody who reaches it would be admin"
        problems.append((("server", "listen"), f"{reason}, found {settings.server.listen}"))
    return problems
