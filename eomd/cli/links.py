"""One-time links to the console: asked for through the machine's own socket, and how they are written."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from eomd.cli.client import Client
from eomd.listen import TcpAddress

if TYPE_CHECKING:
    from eomd.config import Settings


def make_link(client: Client, user: str) -> str:
    """Return a new code. Raises as `Client.send`."""
    code: str = client.send("POST", "/internal/link", {"user": user})["code"]
    return code


def format_link(base: str, code: str) -> str:
    """Return what a browser is given. What follows `#` is sent to no server and stands in no log."""
    return f"{base.rstrip('/')}/console/enter#{code}"


def find_base(settings: Settings) -> str:
    """Return the address of the server as a browser may know it. Raises UsageError where nobody can tell."""
    address = settings.server.address
    if not isinstance(address, TcpAddress):
        raise click.UsageError("the server listens on a Unix socket: say --at URL, its address in a browser")
    scheme = "https" if settings.server.tls_cert else "http"
    return f"{scheme}://{_host(address.host)}:{address.port}"


def _host(host: str) -> str:
    """Return what to write for a host: this machine's name for all of its addresses."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            return socket.gethostname()
        return f"[{host}]" if address.version == 6 else host
    return host
