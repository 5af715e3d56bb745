"""`eomd up`: the watchdog, which starts the server and keeps it running. Imports nothing heavy."""

from __future__ import annotations

import asyncio
import os

import click

from eomd.cli.context import Context, config_option, daemon


@click.command()
@config_option
@click.pass_obj
@daemon
def up(context: Context) -> int:
    """Start the server and keep it running until SIGTERM or Ctrl-C.

    SIGHUP lets it read the configuration again.
    """
    import faulthandler
    import gc
    import signal

    from eomd.watchdog.main import keep_up

    # looking for garbage among what stays for good would hold the loop for some 20 ms
    gc.freeze()
    # what systemd's SIGABRT found it doing, or somebody's SIGUSR1
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    return asyncio.run(keep_up(context.config, os.environ))
