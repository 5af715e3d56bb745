"""`eomd check`: what would stop the start, without starting."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eomd.cli.context import Context, config_option
from eomd.errors import ConfigurationError, EomdError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eomd.config import Settings


@click.command()
@config_option
@click.pass_obj
def check(context: Context) -> int:
    """Say what would stop the start, a problem a line, or that the configuration is good.

    Exit code 0: good, 1: not.
    """
    try:
        settings = context.settings
        problems = find_problems(settings)
    except ConfigurationError as error:
        problems = list(error.problems)
    for problem in problems:
        click.echo(problem)
    if problems:
        return 1
    click.echo("configuration is good")
    for line in describe(settings):
        click.echo(line)
    for hint in find_hints(settings):
        click.echo(f"note: {hint}")
    return 0


def find_problems(settings: Settings) -> list[str]:
    """Return what a validated configuration still needs: codecs that are installed, files that are there."""
    from eomd.config_files import find_file_problems
    from eomd.evt.codec import load_codec

    problems = []
    for name, cluster in settings.clusters.items():
        try:
            load_codec(cluster.codec)
        except ConfigurationError as error:
            problems.append(f"[clusters.{name}] codec: {error}")
    return problems + find_file_problems(settings, os.environ)


def describe(settings: Settings) -> Iterator[str]:
    """Yield a short view of what would run."""
    yield f"  file      {settings.source or 'none, the embedded default'}"
    yield f"  data      {settings.data_dir}"
    yield f"  listen    {settings.server.listen}{' (TLS)' if settings.server.tls_cert else ''}"
    yield f"  ledger    {settings.ledger_url}"
    for name, cluster in settings.clusters.items():
        title = f" {cluster.title}" if cluster.title else ""
        nodes = ", ".join(f"{node} ({node.connections})" for node in cluster.nodes)
        speed = f", at most {cluster.rows_per_s:,} rows/s" if cluster.rows_per_s else ""
        yield f"  cluster   {name}{title}: {nodes}{speed}"
    if not settings.clusters:
        yield "  cluster   none configured"


def find_hints(settings: Settings) -> Iterator[str]:
    """Yield what does not stop the start but is hardly meant: clusters come and go while eomd runs."""
    named = [
        (f"[inbox.recipes.{name}] cluster", recipe.cluster) for name, recipe in settings.inbox.recipes.items()
    ]
    named += [("[approval] clusters", cluster) for cluster in settings.approval.clusters]
    for place, cluster in named:
        if cluster not in settings.clusters:
            yield f"{place}: no cluster {cluster} is configured"
    yield from find_stale_units(settings)


def find_stale_units(settings: Settings) -> list[str]:
    """Return what of this configuration systemd, running a service on it, does not know yet."""
    from eomd.cli.charge import make_charge
    from eomd.install.site import make_site
    from eomd.install.units import find_stale, is_installed_for

    if settings.source is None or not is_installed_for(settings.source):
        return []
    try:
        # the program is whichever was installed
        return find_stale(make_site(make_charge(settings), Path("eomd"), settings.source))
    except EomdError as error:
        return str(error).splitlines()
