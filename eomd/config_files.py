"""What a configuration needs on the disk: the ledger's password, the TLS files, a data folder to write to."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from eomd.config import Settings
from eomd.errors import ConfigurationError

CREDENTIAL = "ledger-password"
SECRET_BYTES_MAX = 4096
#: of databases, as they come or as guides name them
DEFAULT_PASSWORDS = frozenset(
    {"root", "admin", "administrator", "password", "passwd", "mysql", "mariadb", "eomd", "changeme", "secret"}
    | {"test", "toor", "123456", "12345678", "123456789", "root123", "admin123", "password123", "p@ssw0rd"}
)


def read_ledger_password(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return the database's password; None where none is configured.

    The first that is there: EOMD_LEDGER__PASSWORD (or `ledger.password`), the one in `ledger.url`,
    `ledger.password_file`, systemd's credential `ledger-password`.
    Raises ConfigurationError where the file is missing or others may read it; for a default password, where
    others than this machine can reach eomd.
    """
    password = settings.ledger.password.get_secret_value() or settings.url_password
    if not password and (file := find_password_file(settings, environ)) is not None:
        # systemd guards the folder of its credentials itself, with modes of its own
        password = read_secret(file) if settings.ledger.password_file else _read_line(file)
    _refuse_default(settings, password)
    return password


def _refuse_default(settings: Settings, password: str | None) -> None:
    """Raise ConfigurationError for a password that everybody tries first, where others can reach eomd."""
    known = {*DEFAULT_PASSWORDS, (urlsplit(settings.ledger.url).username or "").casefold()}
    if password and password.casefold() in known and not settings.server.address.is_loopback:
        raise ConfigurationError(
            f"[ledger] password: a default password, and [server] listen = {settings.server.listen} "
            "lets others reach eomd: give the database's user another one"
        )


def read_secrets(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return everything of the configuration that must not be seen in a log.

    Raises ConfigurationError as `read_ledger_password`.
    """
    stated = [settings.ledger.password.get_secret_value(), settings.url_password]
    return [secret for secret in {*stated, read_ledger_password(settings, environ)} if secret]


def find_password_file(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """Return the file that holds the database's password, configured or systemd's; None: there is none."""
    if settings.ledger.password_file:
        return password_path(settings)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL if folder else None
    return credential if credential and credential.exists() else None


def password_path(settings: Settings) -> Path:
    """Return `ledger.password_file`, relative to the configuration file, else to the data folder."""
    base = settings.source.parent if settings.source else settings.data_dir
    return base / settings.ledger.password_file


def read_secret(path: Path) -> str:
    """Return a secret's only line. Raises ConfigurationError where others than the owner may read it."""
    with suppress(OSError):
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"[ledger] password_file: others may read it; run: chmod 600 {path}")
    return _read_line(path)


def _read_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(SECRET_BYTES_MAX).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigurationError(f"[ledger] password_file: {path}: {reason}") from error


def find_file_problems(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return what on the disk would stop the start, a sentence each."""
    problems: list[str] = []
    try:
        read_ledger_password(settings, environ)
    except ConfigurationError as error:
        problems += error.problems
    for key in ("tls_cert", "tls_key"):
        path = getattr(settings.server, key)
        if path and not os.access(path, os.R_OK):
            problems.append(f"[server] {key}: cannot read {path}")
    problems += _find_folder_problems(settings.data_dir)
    return problems


def _find_folder_problems(data_dir: Path) -> list[str]:
    """Tell whether the folder can be written to, or made, without making it."""
    nearest = next((path for path in (data_dir, *data_dir.parents) if path.exists()), Path("/"))
    if not nearest.is_dir():
        return [f"data_dir: {nearest} is not a folder"]
    if not os.access(nearest, os.W_OK | os.X_OK):
        return [f"data_dir: cannot write to {nearest}"]
    return []
