"""`eomd migrate`: the ledger's schema, brought up to date by hand."""

from __future__ import annotations

import os

import click

from eomd.cli.context import Context, config_option


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Say what would change; change nothing.")
@click.option(
    "--legacy-stopped", is_flag=True, help="The old service is off: leave its unfinished rows alone."
)
@config_option
@click.pass_obj
def migrate(context: Context, only_check: bool, legacy_stopped: bool) -> int:
    """Bring the ledger's schema up to date.

    With --check: exit code 0 where nothing would change, 3 where something would.
    """
    from eomd.rooms import ledger_settings
    from eomd.storage.migrate import migrate as run
    from eomd.storage.migrate import pending_migrations

    context.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    ledger = ledger_settings(context.settings, os.environ)
    changes = pending_migrations(ledger) if only_check else run(ledger, legacy_stopped)
    for change in changes:
        click.echo(change)
    if not changes:
        click.echo("the ledger is up to date")
    return 3 if only_check and changes else 0
