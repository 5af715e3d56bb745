"""`eomd token`: who may call the API."""

from __future__ import annotations

import json
from typing import Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import Client
from eomd.cli.context import config_option
from eomd.cli.grants import format_granted, grants_fields, grants_options
from eomd.cli.table import format_table
from eomd.model import Role


@click.group()
@config_option
def token() -> None:
    """Add, list and revoke API tokens."""


@token.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice([role.format() for role in Role]))
@click.option("--expires-days", type=click.IntRange(min=1), metavar="DAYS", help="[default: never]")
@click.option("--operator", "operatorid", type=int, metavar="ID", help="The person whose token it is.")
@click.option("--operator-name", "operatorname", metavar="TEXT", help="How operations show that person.")
@grants_options
@api_command
def add(
    client: Client, name: str, role: str, clusters: str | None, eids: str | None, **optional: Any
) -> None:
    """Make a token and print it, this once, as the only thing on standard output.

    Without --operator it is a service's, which names the operator it acts for in each request.
    """
    given = {key: value for key, value in optional.items() if value is not None}
    request = {"name": name, "role": role, **given, **grants_fields(clusters, eids)}
    made = client.send("POST", "/tokens", request)
    until = f" until {made['expires']}" if made.get("expires") else ""
    click.echo(
        f"token {made['id']} for {made['name']}, role {made['role']}{until}; it is shown only now", err=True
    )
    click.echo(made["token"])


@token.command("list")
@click.option("--json", "as_json", is_flag=True)
@api_command
def list_(client: Client, as_json: bool) -> None:
    """List tokens; their secrets are not kept."""
    found = client.get("/tokens")
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    columns = ("id", "name", "role", "operatorid", "clusters", "eids", "created", "expires", "revoked")
    rows = [
        [format_granted(one[c]) if c in ("clusters", "eids") else one[c] for c in columns] for one in found
    ]
    click.echo(format_table([c.upper() for c in columns], rows))


@token.command()
@click.argument("id")
@api_command
def revoke(client: Client, id: str) -> None:
    """Make a token useless from now on."""
    revoked = client.send("DELETE", f"/tokens/{id}")
    click.echo(f"token {revoked['id']} for {revoked['name']} is revoked")
