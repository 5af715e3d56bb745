"""The options of every command that asks the server, and the client made from them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from eomd.cli.client import Client, Target
from eomd.cli.context import Context, config_option
from eomd.cli.progress import tell
from eomd.runtime import API_SOCKET, find_socket


def api_command(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-c`, `--url` and `--token`; the command gets a Client as its first argument."""

    @click.option("--url", envvar="EOMD_URL", metavar="URL", help="Of a server elsewhere (EOMD_URL).")
    @click.option("--token", envvar="EOMD_TOKEN", metavar="TOKEN", help="For that server (EOMD_TOKEN).")
    @config_option
    @click.pass_obj
    @wraps(command)
    def run(context: Context, /, url: str | None, token: str | None, **options: Any) -> Any:
        return command(Client(find_target(context, url, token), on_retry=tell), **options)

    return run


def find_target(context: Context, url: str | None, token: str | None) -> Target:
    """Return the server at `url`; without one, this machine's, where we are admin by being its user."""
    if url:
        return Target(url=url.rstrip("/"), token=token or "")
    return Target(socket=find_socket(context.settings.data_dir, API_SOCKET, os.environ), token=token or "")
