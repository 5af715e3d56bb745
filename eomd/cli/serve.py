"""`eomd serve`: the server alone, or as the watchdog's child."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import click

from eomd.cli.context import Context, config_option, daemon

if TYPE_CHECKING:
    from eomd.config import Settings
    from eomd.runtime import PidFile


@click.command()
@click.option("--standby", is_flag=True, help="Import everything, then wait for the watchdog's order.")
@config_option
@click.pass_obj
@daemon
def serve(context: Context, standby: bool) -> int:
    """Run the server until SIGTERM or Ctrl-C, without a watchdog."""
    from eomd.errors import ConfigurationError
    from eomd.handover import Heartbeat, Sign, give_sign, heartbeat_pipe

    _show_stacks()
    heartbeat = heartbeat_pipe(os.environ)
    if standby:
        from eomd.cli.standby import import_all, stand_by

        with _without_collector():
            import_all()
        if not stand_by(heartbeat):
            return os.EX_OK
    try:
        with _without_collector():
            settings = context.settings
            import_module("eomd.app")
        return _serve_alone(settings, heartbeat)
    except ConfigurationError as error:
        if heartbeat is not None:
            give_sign(heartbeat, Heartbeat(Sign.REFUSED, problem=str(error)))
        raise


@contextmanager
def _without_collector() -> Iterator[None]:
    """Import here: a tenth of that would go into looking for garbage among what stays for good."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _show_stacks() -> None:
    """Have the stacks of all threads written on SIGUSR1 and at a crash: to the watchdog, else to stderr."""
    import faulthandler
    import signal

    from eomd.handover import stacks_pipe

    stacks = stacks_pipe(os.environ)
    place = sys.stderr.fileno() if stacks is None else stacks
    faulthandler.enable(place)
    faulthandler.register(signal.SIGUSR1, place)


def _serve_alone(settings: Settings, heartbeat: int | None) -> int:
    """Serve as the only one of this data folder. Raises FolderInUseError, ConfigurationError."""
    from eomd.config_files import read_secrets
    from eomd.logs import set_up_logging
    from eomd.runtime import SERVER_PID, PidFile, make_runtime_folder, runtime_folder

    set_up_logging(settings.log.level, settings.log.format, read_secrets(settings, os.environ))
    runtime = runtime_folder(settings.data_dir, os.environ)
    make_runtime_folder(runtime)
    pid_file = PidFile(runtime / SERVER_PID)
    pid_file.acquire()
    try:
        return _serve(settings, pid_file, heartbeat)
    finally:
        pid_file.release()


def _serve(settings: Settings, pid_file: PidFile, heartbeat: int | None) -> int:
    from eomd.app import run
    from eomd.handover import inherited_sockets
    from eomd.listen import close_sockets, open_sockets
    from eomd.runtime import API_SOCKET, remove_runtime_folder

    sockets = inherited_sockets(os.environ)
    if sockets:
        return run(settings, sockets, heartbeat, pid_file.release)
    runtime = pid_file.path.parent
    sockets = open_sockets(settings.server.address, runtime / API_SOCKET)
    try:
        return run(settings, sockets, None, pid_file.release)
    finally:
        close_sockets(sockets, remove=True)
        remove_runtime_folder(runtime)
