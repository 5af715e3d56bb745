"""`eomd operations`: look at operations, act on them, decide about them, and make what comes of them."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.children import commit, retry, undo
from eomd.cli.client import ApiError, Client
from eomd.cli.context import config_option
from eomd.cli.hand_in import name_operator, save
from eomd.cli.table import format_table
from eomd.model import Model, State

_FIELDS = ("state", "model", "mode", "cluster", "eids", "note", "description", "operatorname", "operatorid",
           "rows_per_s", "eta_s", "paused_by", "message", "sourcename", "resultname", "logname",
           "create_time", "last_modify_time")  # fmt: skip


@click.group()
@config_option
def operations() -> None:
    """List and show operations, act on them and on what comes of them, fetch their evidence."""


@operations.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--cluster", metavar="NAME")
@click.option("--model", type=click.Choice([model.value for model in Model]))
@click.option(
    "--operatorid",
    type=click.IntRange(min=0),
    metavar="ID",
    help="Of this operator [default: everybody; your user id where your role sees no others].",
)
@click.option("--from", "from_", metavar="TIME", help="Handed in at or after it (RFC 3339).")
@click.option("--to", metavar="TIME", help="Handed in before it.")
@click.option("-q", "--search", "q", metavar="TEXT", help="In description, note or file name.")
@click.option("--page", type=click.IntRange(min=1), default=1)
@click.option("--page-size", type=click.IntRange(1, 200), default=20)
@click.option("--json", "as_json", is_flag=True)
@api_command
def list_(client: Client, as_json: bool, from_: str | None, **filters: Any) -> None:
    """List operations, newest first."""
    answer = _ask(client, {**filters, "from": from_})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    head = ("ID", "STATE", "CLUSTER", "WHAT", "ROWS", "FAILED", "OPERATOR", "TIME", "DESCRIPTION")
    click.echo(format_table(head, [_row(item) for item in answer["items"]]))
    shown = len(answer["items"])
    if shown < answer["total"]:
        click.echo(f"{shown} of {answer['total']}, page {answer['page']}", err=True)


def _ask(client: Client, filters: dict[str, Any]) -> Any:
    """Return a page of everybody's operations; with a role that may not see them, of our own."""
    path = "/queryoperationsbyoperatorid"
    try:
        return client.get(path, **filters)
    except ApiError as error:
        if error.code != "FORBIDDEN" or filters["operatorid"] is not None:
            raise
    own = os.getuid()
    told = f"only what operatorid {own} has handed in; another's: --operatorid ID, everybody's: role approver"
    click.echo(told, err=True)
    return client.get(path, **{**filters, "operatorid": own})


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    rows = item["rows"]
    what = item["note"] or f"{item['model']} {','.join(map(str, item['eids']))}"
    done = f"{rows['done']}/{rows['total']}"
    lost = rows["failed"] + rows["uncertain"]
    time = item["create_time"][:19].replace("T", " ")
    who = item["operatorname"] or item["operatorid"]
    return item["id"], item["state"], item["cluster"], what, done, lost, who, time, item["description"]


@operations.command()
@click.argument("id", type=int)
@click.option("--json", "as_json", is_flag=True)
@api_command
def show(client: Client, id: int, as_json: bool) -> None:
    """Show one operation."""
    _show(client.get(f"/operations/{id}"), as_json)


def _show(operation: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(operation, ensure_ascii=False, indent=2))
        return
    rows = ", ".join(f"{count} {name}" for name, count in operation["rows"].items())
    lines = [("id", operation["id"]), ("rows", rows)]
    for name in _FIELDS:
        value = operation.get(name)
        if value not in (None, "", []):
            lines.append((name, ",".join(map(str, value)) if isinstance(value, list) else value))
    click.echo(format_table(("", ""), lines).lstrip())


def _action(name: str, summary: str) -> None:
    @operations.command(name, help=summary)
    @click.argument("id", type=int)
    @click.option("--json", "as_json", is_flag=True)
    @api_command
    def act(client: Client, id: int, as_json: bool) -> None:
        operation = client.send("POST", f"/operations/{id}/{name}")
        if as_json:
            _show(operation, as_json)
        else:
            click.echo(f"operation {id} is {operation['state']}")


_action("cancel", "End an operation; what is in flight is awaited.")
_action("pause", "Stop an operation until it is resumed.")
_action("resume", "Let a paused operation go on.")
for child in (commit, retry, undo):
    operations.add_command(child)


def _decision(name: str, summary: str) -> None:
    @operations.command(name, help=summary)
    @click.argument("id", type=int)
    @click.option("--reason", required=True, metavar="TEXT", help="Kept in the audit.")
    @click.option("--operatorid", type=click.IntRange(min=0), metavar="ID",
                  help="Who decides [default: your user id, on the machine itself].")  # fmt: skip
    @click.option("--operatorname", metavar="NAME", help="Likewise [default: your login name].")
    @click.option("--json", "as_json", is_flag=True)
    @api_command
    def decide(client: Client, id: int, as_json: bool, **said: Any) -> None:
        if client.is_local:
            said = name_operator(said)
        given = {field: value for field, value in said.items() if value is not None}
        operation = client.send("POST", f"/operations/{id}/{name}", given)
        if as_json:
            _show(operation, as_json)
        else:
            click.echo(f"operation {id} is {operation['state']}")


_decision("approve", "Let an operation run that waits for a second person.")
_decision("reject", "End an operation that waits for a second person.")


@operations.command()
@click.argument("id", type=int)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where the zip goes [default: operation-ID-evidence.zip beside you].")  # fmt: skip
@api_command
def evidence(client: Client, id: int, output: Path | None) -> None:
    """Fetch everything there is of an ended operation, as one zip."""
    output = output or Path(f"operation-{id}-evidence.zip")
    save(partial(client.fetch, f"/operations/{id}/evidence"), output)
    click.echo(f"evidence: {output}", err=True)
