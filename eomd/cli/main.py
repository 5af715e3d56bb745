"""The command `eomd`: which commands there are, and how each of them fails.

A command's module is imported when it is called: `eomd up` stays small, `eomd version` quick.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import NoReturn

import click

from eomd.cli.context import Context, complain, config_option
from eomd.cli.streams import complete_streams
from eomd.errors import EomdError

#: name → (module:attribute, one line of help)
COMMANDS = {
    "up": ("eomd.cli.up:up", "Start the server and keep it running."),
    "stop": ("eomd.cli.orders:stop", "Stop the server and keep it stopped."),
    "start": ("eomd.cli.orders:start", "Start the server that was stopped."),
    "reload": ("eomd.cli.orders:reload", "Have the configuration read again."),
    "serve": ("eomd.cli.serve:serve", "Run the server alone."),
    "demo": ("eomd.cli.demo:demo", "Show eomd in a throw-away world."),
    "query": ("eomd.cli.hand_in:query", "Read counters for the users of a file."),
    "modify": ("eomd.cli.hand_in:modify", "Change counters for the users of a file."),
    "operations": (
        "eomd.cli.operations:operations",
        "List and show operations, act on them and on what comes of them.",
    ),
    "commit": ("eomd.cli.children:commit", "Carry out the plan of a dry run."),
    "retry": ("eomd.cli.children:retry", "Try an operation's failed and unsent rows again."),
    "undo": ("eomd.cli.children:undo", "Give back what an operation has changed."),
    "settle": ("eomd.cli.settle:settle", "Decide about an operation's uncertain rows."),
    "status": ("eomd.cli.status:status", "Show how the server and its parts are."),
    "incidents": ("eomd.cli.incidents:incidents", "Show what the watchdog saw and did."),
    "check": ("eomd.cli.check:check", "Say what would stop the start."),
    "migrate": ("eomd.cli.migrate:migrate", "Bring the ledger's schema up to date."),
    "import-ini": ("eomd.cli.import_ini:import_ini", "Turn the old service's INI file into eomd.toml."),
    "eids": ("eomd.cli.eids:eids", "List, import and export the counters' definitions."),
    "user": ("eomd.cli.user:user", "Add, list, change and disable users."),
    "token": ("eomd.cli.token:token", "Add, list and revoke API tokens."),
    "install": ("eomd.cli.install:install", "Make eomd a service of systemd."),
    "uninstall": ("eomd.cli.install:uninstall", "Take the service away, keep the data."),
    "version": ("eomd.cli.version:version", "Tell version and commit."),
    "evtsim": ("eomd.cli.evtsim:evtsim", "Run a simulated cluster."),
}

#: called by eomd itself
HIDDEN = {"charge": "eomd.cli.charge:charge"}

EXIT_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else HIDDEN.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            if not close:
                raise
            raise click.UsageError(f"No such command '{args[0]}'. Did you mean {close[0]}?", ctx) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@config_option
@click.pass_context
def cli(context: click.Context) -> None:
    """Bulk reads and changes of per-player counters."""
    context.ensure_object(Context)


def main() -> NoReturn:
    """Run a command; every way to fail ends here, in a line on stderr and an exit code."""
    complete_streams()
    try:
        code = cli.main(prog_name="eomd", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except EomdError as error:
        complain(error)
        code = 1
    except BrokenPipeError:
        # whoever read our output has had enough; what is still buffered has no reader
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"eomd: {where}{error.strerror or error}", err=True)
        code = 1
    except Exception as error:
        # a fault of ours: the daemons' logs get all of it, a terminal one line
        if logging.root.handlers:
            logging.getLogger(__name__).exception("internal error")
        else:
            click.echo(f"eomd: internal error: {type(error).__name__}: {error}", err=True)
        code = os.EX_SOFTWARE
    sys.exit(code if isinstance(code, int) else 0)
