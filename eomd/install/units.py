"""What the units are told of this machine: drop-ins beside those that eomd ships.

eomd.service                    as shipped
eomd.service.d/installed.conf   the program, the configuration, folders elsewhere
eomd.socket                     as shipped
eomd.socket.d/installed.conf    where it listens
"""

from __future__ import annotations

from pathlib import Path

from eomd.errors import ConfigurationError
from eomd.install.site import Site

UNITS_FOLDER = Path("/etc/systemd/system")
SERVICE, SOCKET = "eomd.service", "eomd.socket"
#: sorted before `override.conf`, which `systemctl edit` writes
DROP_IN = "installed.conf"

_HEAD = "# `eomd install` writes this file again when it is called: for changes of your own, systemctl edit\n"
_COMMANDS = ("ExecStart", "ExecReload")


def drop_in(unit: str, folder: Path = UNITS_FOLDER) -> Path:
    return folder / f"{unit}.d" / DROP_IN


def format_service(site: Site) -> str:
    """Return the service's drop-in. Raises ConfigurationError for a path that no unit can hold."""
    unit = [f"RequiresMountsFor={quote(folder)}" for folder in (site.data_dir, site.ledger) if folder]
    service = [line for name in _COMMANDS for line in (f"{name}=", f"{name}={_command(name, site)}")]
    if site.data_dir in site.elsewhere:
        service.append("StateDirectory=")
    service += [f"ReadWritePaths={quote(folder)}" for folder in site.elsewhere]
    return _HEAD + "\n".join(["[Unit]", *unit, "", "[Service]", *service, ""])


def _command(name: str, site: Site) -> str:
    word = {"ExecStart": "up", "ExecReload": "reload"}[name]
    return f"{quote(site.program)} {word} {_choice(site.config)}"


def _choice(config: Path) -> str:
    return f"-c {quote(config)}"


def format_socket(site: Site) -> str:
    """Return the socket's drop-in."""
    streams = [f"ListenStream={stream.replace('%', '%%')}" for stream in site.streams]
    return _HEAD + "\n".join(["[Socket]", "ListenStream=", *streams, ""])


def quote(path: Path) -> str:
    """Return a path as a word of a unit (systemd.syntax(7)). Raises ConfigurationError for a strange one."""
    text = str(path)
    if not text.isprintable() or set("\"'\\$") & set(text):
        raise ConfigurationError(f"{path}: a unit of systemd cannot hold this name; choose another")
    text = text.replace("%", "%%")
    return f'"{text}"' if " " in text else text


def is_installed_for(config: Path, folder: Path = UNITS_FOLDER) -> bool:
    """Tell whether the service on this machine runs on this configuration."""
    return f"{_choice(config)}\n" in _read(drop_in(SERVICE, folder))


def find_stale(site: Site, folder: Path = UNITS_FOLDER) -> list[str]:
    """Return what the installed units say otherwise than the configuration, a sentence each."""
    stale = []
    if _facts(_read(drop_in(SERVICE, folder))) != _facts(format_service(site)):
        stale.append("data_dir, [ledger] url, [inbox] path: systemd lets the service write to other folders")
    if _read(drop_in(SOCKET, folder)) != format_socket(site):
        stale.append("[server] listen: systemd holds another port")
    return [f"{found}; run: eomd install" for found in stale]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _facts(text: str) -> list[str]:
    """Return the lines that follow from the configuration: the program is whichever was installed."""
    return [line for line in text.splitlines() if not line.startswith(_COMMANDS)]
