"""What differs from machine to machine: where eomd stands, what it listens at and writes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eomd.errors import ConfigurationError, ListenError
from eomd.listen import TcpAddress, find_endpoints, format_tcp, parse_listen
from eomd.watchdog.charge import Charge

#: what the unit's StateDirectory= makes
STATE_FOLDER = Path("/var/lib/eomd")
#: a service of ours sees another folder there, or none
HIDDEN_FOLDERS = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # nosec B108


@dataclass(frozen=True, slots=True)
class Site:
    """One installation on this machine. All paths are absolute."""

    #: the command `eomd`
    program: Path
    config: Path
    data_dir: Path
    #: None where it stands inside data_dir, or where there is none
    inbox: Path | None
    #: the SQLite ledger's folder; None likewise
    ledger: Path | None
    #: the file with the database's password; None where it stands elsewhere, or nowhere
    secret: Path | None
    #: where the socket unit listens, as ListenStream= takes it
    streams: tuple[str, ...]

    @property
    def elsewhere(self) -> list[Path]:
        """Folders that the service writes to, and that the unit does not know of."""
        data = None if self.data_dir == STATE_FOLDER else self.data_dir
        return [folder for folder in (data, self.ledger, self.inbox) if folder]


def make_site(charge: Charge, program: Path, config: Path) -> Site:
    """Raises ConfigurationError for what works as a command and not as a service, ListenError."""
    ledger = charge.ledger.url.removeprefix("sqlite:///")
    is_file = ledger != charge.ledger.url
    site = Site(
        program=program,
        config=config,
        data_dir=charge.data_dir,
        inbox=_outside(charge.inbox.path, charge.data_dir) if charge.inbox.enabled else None,
        ledger=_outside(Path(ledger).parent, charge.data_dir) if is_file else None,
        secret=charge.ledger.password_file,
        streams=find_streams(charge.listen),
    )
    hidden = [f"{path} cannot be seen by a service: choose another place" for path in find_hidden(site)]
    if hidden:
        raise ConfigurationError(*hidden)
    return site


def _outside(folder: Path, data_dir: Path) -> Path | None:
    return None if folder.is_relative_to(data_dir) else folder


def find_hidden(site: Site) -> list[Path]:
    """Return what stands where the unit's ProtectHome= and PrivateTmp= put something else."""
    wanted = dict.fromkeys((site.config, site.data_dir, *site.elsewhere))
    return [path for path in wanted if is_hidden(path)]


def is_hidden(path: Path) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in HIDDEN_FOLDERS)


def find_streams(listen: str) -> tuple[str, ...]:
    """Return the values of ListenStream= for `server.listen`; a host's name becomes its addresses.

    Raises ListenError for a name that is not known, ConfigurationError for port 0.
    """
    address = parse_listen(listen)
    if not isinstance(address, TcpAddress):
        return (str(address.path),)
    if not address.port:
        raise ConfigurationError(f"[server] listen: a service needs a port of its own, found {listen}")
    try:
        return tuple(format_tcp(where[0], where[1]) for _, where in find_endpoints(address))
    except OSError as error:
        raise ListenError(f"cannot listen on {listen}: {error.strerror}") from error
