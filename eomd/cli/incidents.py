"""`eomd incidents`: what the watchdog saw and did; with the server dead, what the watchdog remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import AnswerLostError, Client, ServerAwayError
from eomd.cli.context import Context
from eomd.cli.table import format_table
from eomd.cli.text import printable
from eomd.cli.times import format_span

SHOWN = "%Y-%m-%d %H:%M:%S"


@click.command()
@click.option("--open", "open_only", is_flag=True, help="Those that last.")
@click.option("--kind", metavar="KIND", help="Of this kind.")
@click.option("--restarts", is_flag=True, help="The restart diary instead, newest last.")
@click.option("--page", type=click.IntRange(min=1), default=1)
@click.option("--page-size", type=click.IntRange(1, 200), default=20)
@click.option("--json", "as_json", is_flag=True)
@api_command
def incidents(
    client: Client,
    open_only: bool,
    kind: str | None,
    restarts: bool,
    page: int,
    page_size: int,
    as_json: bool,
) -> None:
    """Show what the watchdog saw and did, newest first.

    Without a server, what the watchdog on this machine remembers.
    """
    if restarts:
        _show_restarts(page_size, as_json)
        return
    try:
        asked = {"open": 1 if open_only else None, "kind": kind, "page": page, "page_size": page_size}
        answer = client.get("/incidents", **asked)
    except (ServerAwayError, AnswerLostError) as error:
        if not client.is_local:
            raise
        click.echo(f"{error}; what follows is the watchdog's own memory", err=True)
        answer = _remembered(open_only, kind, page, page_size)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    for incident in answer["items"]:
        for line in describe(incident):
            click.echo(printable(line))
    if len(answer["items"]) < answer["total"]:
        click.echo(f"{len(answer['items'])} of {answer['total']}, page {page}", err=True)


def _folder() -> Path:
    """Return the watchdog's folder."""
    context = click.get_current_context().find_object(Context)
    assert context is not None
    return context.settings.data_dir / "watchdog"


def _remembered(open_only: bool, kind: str | None, page: int, page_size: int) -> dict[str, Any]:
    """Return a page of what the watchdog on this machine remembers, as the API would."""
    from eomd.watchdog.incident_files import IncidentFiles

    folder = _folder()
    known = sorted(
        IncidentFiles(folder, folder).load(), key=lambda each: (each.opened, each.id), reverse=True
    )
    chosen = [each for each in known if not (open_only and each.closed) and kind in (None, each.kind)]
    items = chosen[(page - 1) * page_size : page * page_size]
    return {
        "total": len(chosen),
        "page": page,
        "page_size": page_size,
        "items": [incident.format() for incident in items],
    }


def describe(incident: dict[str, Any]) -> Iterator[str]:
    """Yield an incident's lines for people; times are the machine's own."""
    lasted = _lasted(incident["opened"], incident["closed"])
    head = f"{_time(incident['opened'])}  {lasted:>8}  {incident['severity']:<8}  {incident['kind']:<18}"
    yield f"{head}  {incident['subject']}"
    yield f"    {incident['summary']}"
    for remedy in incident["remedies"]:
        yield f"    {_time(remedy['when'])}  {remedy['what']}: {remedy['outcome']}"


def _time(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime(SHOWN)


def _lasted(opened: str, closed: str | None) -> str:
    """Return how long something took, or that it lasts."""
    if closed is None:
        return "open"
    seconds = (datetime.fromisoformat(closed) - datetime.fromisoformat(opened)).total_seconds()
    return format_span(seconds)


def _show_restarts(count: int, as_json: bool) -> None:
    from eomd.watchdog.diary import read_diary

    entries = read_diary(_folder(), count)
    if as_json:
        click.echo(json.dumps(entries, ensure_ascii=False, indent=2))
        return
    rows = [(_time(each["at"]), each["what"], each.get("pid"), each["why"]) for each in entries]
    click.echo(format_table(("TIME", "WHAT", "PROCESS", "WHY"), rows))
