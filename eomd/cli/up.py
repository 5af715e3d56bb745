"""`eomd up`: the watchdog, which starts the server and keeps it running. Imports nothing heavy."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eomd.cli.context import Context, config_option, daemon
from eomd.errors import ConfigurationError

if TYPE_CHECKING:
    from eomd.config import Settings


@click.command()
@config_option
@click.pass_obj
@daemon
def up(context: Context) -> int:
    """Start the server and keep it running until SIGTERM or Ctrl-C.

    SIGHUP lets it read the configuration again.
    """
    from eomd.logs import set_up_logging
    from eomd.runtime import runtime_folder
    from eomd.watchdog.main import Charge

    settings = context.settings
    refuse_bad_files(settings)
    set_up_logging(settings.log.level, settings.log.format)
    charge = Charge(
        runtime=runtime_folder(settings.data_dir, os.environ),
        listen=settings.server.address,
        command=serve_command(settings.source),
        environ=dict(os.environ),
        restart_backoff_s=settings.watchdog.restart_backoff_s,
    )
    return asyncio.run(_watch(charge, context))


async def _watch(charge: object, context: Context) -> int:
    from eomd.config import load_settings
    from eomd.watchdog.main import Charge, Watchdog

    assert isinstance(charge, Charge)
    return await Watchdog(charge, lambda: refuse_bad_files(load_settings(context.config, os.environ))).run()


def refuse_bad_files(settings: Settings) -> None:
    """Raise ConfigurationError for what on the disk would stop the start."""
    from eomd.config_files import find_file_problems

    problems = find_file_problems(settings, os.environ)
    if problems:
        raise ConfigurationError(*problems)


def serve_command(source: Path | None) -> tuple[str, ...]:
    """Return the server's command line, which shows as `… eomd serve`."""
    # -P: whatever stands in the working folder must not take eomd's place
    command = (sys.executable, "-P", "-m", "eomd", "serve")
    return (*command, "-c", str(source)) if source else command
