"""`eomd charge`, which the watchdog calls: the configuration, validated, as the JSON that the watchdog reads.

A process of its own, so that what validation imports never burdens the watchdog.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from eomd.cli.context import Context, config_option, daemon
from eomd.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from eomd.config import Settings
    from eomd.watchdog.charge import Charge, LedgerCharge


@click.command()
@config_option
@click.pass_obj
@daemon
def charge(context: Context) -> int:
    """Print what the watchdog has to know; where the configuration is wrong, say so and exit with 78."""
    from eomd.config_files import find_file_problems

    settings = context.settings
    problems = find_file_problems(settings, os.environ)
    if problems:
        raise ConfigurationError(*problems)
    click.echo(make_charge(settings).to_json())
    return os.EX_OK


def make_charge(settings: Settings) -> Charge:
    """Raises ConfigurationError where the runtime folder's path is too long."""
    from eomd.runtime import runtime_folder
    from eomd.watchdog.charge import Charge, ClusterCharge, InboxCharge, LogCharge, WatchdogCharge

    inbox = settings.inbox.model_dump(mode="json", exclude={"path", "recipes"})
    recipes = settings.inbox.model_dump(mode="json", include={"recipes"}, exclude_defaults=True).get(
        "recipes", {}
    )
    return Charge(
        source=settings.source,
        data_dir=settings.data_dir,
        runtime=runtime_folder(settings.data_dir, os.environ),
        listen=settings.server.listen,
        tls_cert=settings.server.tls_cert,
        tls_key=settings.server.tls_key,
        min_free_mb=settings.limits.min_free_mb,
        files_days=settings.retention.files_days,
        watchdog=WatchdogCharge(**settings.watchdog.model_dump()),
        ledger=_ledger(settings),
        clusters=tuple(
            ClusterCharge(name, table.codec, table.nodes) for name, table in settings.clusters.items()
        ),
        inbox=InboxCharge(path=settings.inbox_path, recipes=recipes, **inbox),
        log=LogCharge(settings.log.level, settings.log.format),
    )


def _ledger(settings: Settings) -> LedgerCharge:
    from eomd.config_files import find_password_file
    from eomd.watchdog.charge import LedgerCharge

    stated = settings.ledger.password.get_secret_value() or settings.url_password or ""
    file: Path | None = None if stated else find_password_file(settings, os.environ)
    return LedgerCharge(settings.ledger_url, file, stated)
