"""Where eomd is reached: parsing of `server.listen`, opening of the listening sockets.

The watchdog opens them and hands them down; a server without a watchdog opens its own.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from eomd.errors import ListenError
from eomd.handover import API, HTTP

BACKLOG = 1024
UNIX_PREFIX = "unix:"
UNIX_PATH_BYTES_MAX = 107


class TcpAddress(NamedTuple):
    host: str
    #: 0: any free one
    port: int

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class UnixAddress(NamedTuple):
    path: Path

    @property
    def is_loopback(self) -> bool:
        return True


ListenAddress = TcpAddress | UnixAddress


def parse_listen(text: str) -> ListenAddress:
    """Raise ValueError with what was expected."""
    if text.startswith(UNIX_PREFIX):
        path = Path(text.removeprefix(UNIX_PREFIX))
        if not path.is_absolute() or len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
            raise ValueError(f"expected unix: and an absolute path of at most {UNIX_PATH_BYTES_MAX} bytes")
        return UnixAddress(path)
    return TcpAddress(*parse_host_port(text, port_min=0))


def parse_host_port(text: str, port_min: int = 1) -> tuple[str, int]:
    """Split `host:port` or `[ipv6]:port`. Raise ValueError with what was expected."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        ipaddress.IPv6Address(host)
    elif ":" in host:
        raise ValueError("expected an IPv6 address in brackets: [::1]:8600")
    if not colon or not host or any(c.isspace() for c in host):
        raise ValueError("expected host:port")
    if not (port.isascii() and port.isdigit() and port_min <= int(port) <= 65535):
        raise ValueError(f"expected a port of {port_min} to 65535 after the last colon")
    return host, int(port)


def open_sockets(listen: ListenAddress, api: Path | None) -> dict[str, socket.socket]:
    """Open all listening sockets: `http` (`http.1` … for a host of several addresses) and `api`.

    Raises ListenError, naming the address, where one cannot be opened.
    """
    opened: dict[str, socket.socket] = {}
    try:
        if isinstance(listen, UnixAddress):
            opened[HTTP] = open_unix(listen.path, 0o666)
        else:
            opened.update(_open_tcp(listen))
        if api is not None:
            opened[API] = open_unix(api, 0o600)
    except BaseException:
        close_sockets(opened)
        raise
    return opened


def close_sockets(sockets: Mapping[str, socket.socket], *, remove: bool = False) -> None:
    """Close them; with `remove` also take away what Unix sockets leave in the file system."""
    for one in sockets.values():
        if remove and one.family == socket.AF_UNIX:
            with suppress(OSError):
                os.unlink(one.getsockname())
        one.close()


def _open_tcp(address: TcpAddress) -> dict[str, socket.socket]:
    host, port = address
    opened: dict[str, socket.socket] = {}
    try:
        for family, where in find_endpoints(address):
            # with port 0 the second address takes the port that the first was given
            port = port or next((s.getsockname()[1] for s in opened.values()), 0)
            name = f"{HTTP}.{len(opened)}" if opened else HTTP
            opened[name] = _listen_tcp(family, (where[0], port, *where[2:]))
    except OSError as error:
        close_sockets(opened)
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return opened


def find_endpoints(address: TcpAddress) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """Return each address of the host with its family, as `bind` takes it. Raises OSError."""
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, where) for family, _, _, _, where in dict.fromkeys(found)]


def _listen_tcp(family: int, where: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def open_unix(path: Path, mode: int) -> socket.socket:
    """Listen at a path, in place of a socket that nobody serves any more.

    Raises ListenError where somebody does, or the place is not ours.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear_stale(path)
        # the mode must be right from the first moment: bind makes the file
        mask = os.umask(0o777 & ~mode)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on unix:{path}: {error.strerror or error}") from error
    return listener


def _clear_stale(path: Path) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not is_served(path):
            path.unlink()


def is_served(path: Path) -> bool:
    """Tell whether a process listens at this Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def systemd_sockets(environ: Mapping[str, str]) -> dict[str, socket.socket]:
    """Return the sockets that systemd passed to this process (sd_listen_fds(3)), named `http` … and `api`.

    A Unix socket counts as `api` when systemd names it so (FileDescriptorName=api).
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    taken: dict[str, socket.socket] = {}
    for offset in range(int(environ.get("LISTEN_FDS", "0"))):
        os.set_inheritable(3 + offset, False)
        listener = socket.socket(fileno=3 + offset)
        listener.setblocking(False)
        is_api = names[offset : offset + 1] == [API] and API not in taken
        taken[API if is_api else f"{HTTP}.{offset}" if HTTP in taken else HTTP] = listener
    return taken


def is_local(listener: socket.socket) -> bool:
    """Tell whether only this machine can connect to a listening socket."""
    name = listener.getsockname()
    return listener.family == socket.AF_UNIX or TcpAddress(name[0], name[1]).is_loopback


def format_bound(listener: socket.socket) -> str:
    """Return where a listening socket is reached: `127.0.0.1:8600`, `[::1]:8600`, `unix:/path`."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"{UNIX_PREFIX}{name}"
    return format_tcp(name[0], name[1])


def format_tcp(host: str, port: int) -> str:
    """Return what `parse_host_port` takes."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
