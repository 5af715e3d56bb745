"""`eomd stop`, `start`, `reload`: a person's word to the watchdog that runs, through its control socket."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from eomd.cli.context import Context, config_option
from eomd.config_live import Takes, takes
from eomd.errors import EomdError

#: a changed key waits for a restart
EXIT_WAITING = 3
_HOW = {Takes.SERVER: "eomd reload --restart", Takes.UP: "systemctl restart eomd"}
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
@click.option("--restart", is_flag=True, help="Restart the server where a changed key waits for that.")
@config_option
@click.pass_obj
def reload(context: Context, restart: bool) -> int:
    """Have the configuration read again; say what is in force now, and what waits for a restart.

    Exit code 0: all of it is in force, 3: something waits, 1: it is wrong, and nothing has changed.
    """
    watchdog = find_watchdog(context)
    answer = give_order(watchdog, "reload")
    for line in describe_reload(answer):
        click.echo(line)
    waiting = {takes(tuple(key.split("."))) for key in answer["needs_restart"]}
    if restart and Takes.SERVER in waiting:
        click.echo(f"the server is restarted: {give_order(watchdog, 'restart')['outcome']}")
        waiting.remove(Takes.SERVER)
    return EXIT_WAITING if waiting else os.EX_OK


def describe_reload(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what came of a reload, for people."""
    if answer["outcome"]:
        yield answer["outcome"]
    yield from _listing("in force now", answer["taken"])
    if before := answer["before"]:
        at = datetime.fromisoformat(before["at"]).astimezone()
        yield from _listing(f"in force since {at:%H:%M:%S}", before["keys"])
    for needed, how in _HOW.items():
        keys = [key for key in answer["needs_restart"] if takes(tuple(key.split("."))) is needed]
        yield from _listing(f"waits for {needed} ({how})", keys)
    if not any(answer[part] for part in ("outcome", "taken", "before", "needs_restart")):
        yield "nothing has changed"


def _listing(title: str, keys: Sequence[str]) -> Iterator[str]:
    if keys:
        yield f"{title}:"
        yield from (f"  {key}" for key in keys)


def _tell(context: Context, order: str) -> int:
    click.echo(give_order(find_watchdog(context), order)["outcome"])
    return os.EX_OK


def find_watchdog(context: Context) -> Path:
    """Return the control socket of this configuration's watchdog. Raises ConfigurationError."""
    from eomd.runtime import UP_SOCKET, find_socket

    return find_socket(context.data_dir, UP_SOCKET, os.environ)


class WatchdogAwayError(EomdError):
    """Nobody listens there."""

    code = "WATCHDOG_AWAY"


def give_order(control: Path, order: str, answer_s_max: float = ANSWER_S_MAX) -> dict[str, Any]:
    """Return the watchdog's answer. Raises WatchdogAwayError, EomdError where it refuses or is silent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(answer_s_max)
        try:
            line.connect(str(control))
            line.sendall(json.dumps({"order": order, "who": getpass.getuser()}).encode() + b"\n")
            answer = json.loads(line.makefile("rb").readline(ANSWER_BYTES_MAX))
        except PermissionError as error:
            raise EomdError(f"{control} is for the user who runs eomd up, and for root") from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            said = f"no watchdog is running here; start one with: eomd up ({control})"
            raise WatchdogAwayError(said) from error
        except (OSError, ValueError) as error:
            raise EomdError(f"the watchdog did not answer: {error}") from error
    if not answer.get("ok"):
        raise EomdError(str(answer.get("error")))
    return dict(answer)
