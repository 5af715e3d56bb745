"""`eomd status`: every part in one look, whoever of them is still alive."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from eomd.cli.context import Context, config_option

if TYPE_CHECKING:
    from eomd.cli.status_sources import Findings

EXIT_NOT_WELL = 1


@click.command()
@click.option("--url", envvar="EOMD_URL", metavar="URL", help="Of a server elsewhere (EOMD_URL).")
@click.option("--token", envvar="EOMD_TOKEN", metavar="TOKEN", help="For that server (EOMD_TOKEN).")
@click.option("--json", "as_json", is_flag=True)
@config_option
@click.pass_obj
def status(context: Context, url: str | None, token: str | None, as_json: bool) -> int:
    """Show how every part is, since when, what was tried, and what to do.

    Also where the server is dead, or the watchdog. Exit code 0 only when all is well.
    """
    from eomd.cli.status_page import format_page
    from eomd.cli.status_picture import draw

    picture = draw(_look(context, url, token), datetime.now(UTC))
    if as_json:
        click.echo(json.dumps(picture, ensure_ascii=False, indent=2))
    else:
        for line in format_page(picture):
            click.echo(line)
    return os.EX_OK if picture["status"] == "ok" else EXIT_NOT_WELL


def _look(context: Context, url: str | None, token: str | None) -> Findings:
    from eomd.cli.api_options import find_target
    from eomd.cli.client import Client
    from eomd.cli.status_sources import ANSWER_S_MAX, look_around, look_from_afar

    if url:
        return look_from_afar(Client(find_target(context, url, token), answer_s_max=ANSWER_S_MAX))
    return look_around(context, os.environ)
