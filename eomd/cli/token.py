"""`eomd token`: who may call the API."""

from __future__ import annotations

import json

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import Client
from eomd.cli.context import config_option
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
@api_command
def add(client: Client, name: str, role: str, expires_days: int | None) -> None:
    """Make a token and print it, this once, as the only thing on standard output."""
    request: dict[str, str | int] = {"name": name, "role": role}
    if expires_days is not None:
        request |= {"expires_days": expires_days}
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
    columns = ("id", "name", "role", "created", "expires", "revoked")
    click.echo(format_table([c.upper() for c in columns], [[one.get(c) for c in columns] for one in found]))


@token.command()
@click.argument("id")
@api_command
def revoke(client: Client, id: str) -> None:
    """Make a token useless from now on."""
    revoked = client.send("DELETE", f"/tokens/{id}")
    click.echo(f"token {revoked['id']} for {revoked['name']} is revoked")
