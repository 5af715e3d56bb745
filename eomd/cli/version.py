"""`eomd version`."""

from __future__ import annotations

import click

from eomd.cli.context import config_option


@click.command()
@config_option
def version() -> None:
    """Tell version and commit."""
    from eomd.version import describe_version

    click.echo(describe_version())
