"""`eomd serve`: the server alone, or as the watchdog's child."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import click

from eomd.cli.context import Context, config_option, daemon

if TYPE_CHECKING:
    from pathlib import Path

    from eomd.config import Settings


@click.command()
@config_option
@click.pass_obj
@daemon
def serve(context: Context) -> int:
    """Run the server until SIGTERM or Ctrl-C, without a watchdog."""
    from eomd.cli.check import find_hints
    from eomd.config_files import read_ledger_password
    from eomd.logs import set_up_logging
    from eomd.runtime import SERVER_PID, PidFile, make_runtime_folder, runtime_folder

    settings = context.settings
    secrets = [read_ledger_password(settings, os.environ) or ""]
    set_up_logging(settings.log.level, settings.log.format, secrets)
    for hint in find_hints(settings):
        logging.getLogger(__name__).warning("configuration: %s", hint)
    runtime = runtime_folder(settings.data_dir, os.environ)
    make_runtime_folder(runtime)
    pid_file = PidFile(runtime / SERVER_PID)
    pid_file.acquire()
    try:
        return _serve(settings, runtime)
    finally:
        pid_file.release()


def _serve(settings: Settings, runtime: Path) -> int:
    from eomd.app import run
    from eomd.handover import heartbeat_pipe, inherited_sockets
    from eomd.listen import close_sockets, open_sockets
    from eomd.runtime import API_SOCKET, remove_runtime_folder

    sockets = inherited_sockets(os.environ)
    if sockets:
        return run(settings, sockets, heartbeat_pipe(os.environ))
    sockets = open_sockets(settings.server.address, runtime / API_SOCKET)
    try:
        return run(settings, sockets, None)
    finally:
        close_sockets(sockets)
        remove_runtime_folder(runtime)
