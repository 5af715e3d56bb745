"""`eomd commit`, `eomd retry`, `eomd undo`: what comes of an ended operation, followed to its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import Client
from eomd.cli.follow import follow
from eomd.cli.hand_in import describe_end, describe_new, exit_code, is_known, make_config, save, who_asks


def child_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all three have in common."""
    for option in (
        click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Where the result goes; else it is only named."),
        who_asks,
        click.option("--description", metavar="TEXT", help="What it is for [default: as it was]."),
        click.argument("id", type=int),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@child_options
@click.option(
    "--only-if-unchanged",
    is_flag=True,
    default=None,
    help="Leave values alone that moved since the plan [default: as the dry run says].",
)
@click.option("--confirm-repeat", is_flag=True, help="Do it although another one of late changed the same.")
@api_command
def commit(client: Client, id: int, output: Path | None, **fields: Any) -> int:
    """Carry out the plan of the dry run ID.

    Exit code 0: all rows OK, 3: some failed, 1: anything else.
    """
    plan = client.get(f"/operations/{id}/summary").get("plan")
    body = make_config(fields, known=is_known(client))
    if plan:
        click.echo(describe_plan(plan), err=True)
        body["hash"] = plan["hash"]
    return _derive(client, id, "commit", output, body)


@click.command()
@child_options
@api_command
def retry(client: Client, id: int, output: Path | None, **fields: Any) -> int:
    """Try the failed and unsent rows of operation ID again.

    Exit code 0: all rows OK, 3: some failed, 1: anything else.
    """
    return _derive(client, id, "retry", output, make_config(fields, known=is_known(client)))


@click.command()
@child_options
@click.option("--dry-run", is_flag=True, help="Modify nothing; make a plan that can be committed.")
@api_command
def undo(client: Client, id: int, output: Path | None, **fields: Any) -> int:
    """Give back what operation ID has changed.

    Exit code 0: all rows OK, 3: some failed, 1: anything else.
    """
    return _derive(client, id, "undo", output, make_config(fields, known=is_known(client)))


def _derive(client: Client, parent: int, kind: str, output: Path | None, body: dict[str, Any]) -> int:
    child = client.send("POST", f"/operations/{parent}/{kind}", body)
    number = child["id"]
    click.echo(describe_new(child), err=True)
    try:
        child = follow(client, child)
    except KeyboardInterrupt:
        click.echo(f"eomd: operation {number} goes on; see: eomd operations show {number}", err=True)
        raise
    if child["resultname"] and output is not None:
        save(partial(client.download, child["resultname"]), output)
    click.echo(describe_end(child), err=True)
    return exit_code(child)


def describe_plan(plan: dict[str, Any]) -> str:
    """Return a plan in a few lines."""
    rows = plan["rows"]
    lines = [f"plan: {rows['change']:,} rows change, {rows['same']:,} do not, {rows['fail']:,} would fail"]
    if plan["doubled_users"]:
        lines.append(f"  {plan['doubled_users']:,} users stand there more than once")
    for eid, change in plan["eids"].items():
        lines.append(f"  {eid}: +{change['up']:,} -{change['down']:,}")
        for row in change["largest"][:1]:
            lines.append(f"    largest: user {row['user']}, {row['before']:,} to {row['after']:,}")
    return "\n".join(lines)
