"""`eomd stop`, `start`, `reload`: a person's word to the watchdog that runs, through its control socket."""

from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any

import click

from eomd.cli.context import Context, config_option
from eomd.errors import EomdError

#: a server may drain for half a minute, and start for longer
ANSWER_S_MAX = 150.0
ANSWER_BYTES_MAX = 16 << 20


@click.command()
@config_option
@click.pass_obj
def stop(context: Context) -> int:
    """Stop the server and keep it stopped, also over restarts of the watchdog and of the machine."""
    return _tell(context, "stop")


@click.command()
@config_option
@click.pass_obj
def start(context: Context) -> int:
    """Start the server that `eomd stop` has stopped."""
    return _tell(context, "start")


@click.command()
@config_option
@click.pass_obj
def reload(context: Context) -> int:
    """Have the configuration read again."""
    return _tell(context, "reload")


def _tell(context: Context, order: str) -> int:
    click.echo(give_order(find_watchdog(context), order)["outcome"])
    return os.EX_OK


def find_watchdog(context: Context) -> Path:
    """Return the control socket of this configuration's watchdog. Raises ConfigurationError."""
    from eomd.runtime import UP_SOCKET, find_socket

    return find_socket(context.data_dir, UP_SOCKET, os.environ)


def give_order(control: Path, order: str) -> dict[str, Any]:
    """Return the watchdog's answer. Raises EomdError where it refuses, or is not there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_S_MAX)
        try:
            line.connect(str(control))
            line.sendall(json.dumps({"order": order, "who": getpass.getuser()}).encode() + b"\n")
            answer = json.loads(line.makefile("rb").readline(ANSWER_BYTES_MAX))
        except PermissionError as error:
            raise EomdError(f"{control} is for the user who runs eomd up, and for root") from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise EomdError(f"no watchdog is running here; start one with: eomd up ({control})") from error
        except (OSError, ValueError) as error:
            raise EomdError(f"the watchdog did not answer: {error}") from error
    if not answer.get("ok"):
        raise EomdError(str(answer.get("error")))
    return dict(answer)
