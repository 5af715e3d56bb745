"""`eomd user`: who may log in."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from eomd.cli.api_options import api_command, find_target
from eomd.cli.client import Client
from eomd.cli.context import Context, config_option
from eomd.cli.grants import format_granted, grants_fields, grants_options
from eomd.cli.links import find_base, format_link, make_link
from eomd.cli.table import format_table
from eomd.model import Role

_ROLES = click.Choice([role.format() for role in Role])
COLUMNS = ("name", "operatorid", "operatorname", "role", "clusters", "eids", "created", "disabled")


@click.group()
@config_option
def user() -> None:
    """Add, list, change and disable the people who may log in."""


@user.command()
@click.argument("name")
@click.option("--role", required=True, type=_ROLES)
@click.option(
    "--operator", "operatorid", required=True, type=int, metavar="ID", help="Who they are in operations."
)
@click.option("--operator-name", required=True, metavar="TEXT", help="How operations show them.")
@grants_options
@api_command
def add(client: Client, name: str, role: str, operatorid: int, operator_name: str, **grants: Any) -> None:
    """Add a user. The password is asked for, or read as a line from standard input."""
    made = client.send(
        "POST",
        "/users",
        {
            "name": name,
            "role": role,
            "operatorid": operatorid,
            "operatorname": operator_name,
            "password": _ask_password(),
            **grants_fields(**grants),
        },
    )
    click.echo(f"user {made['name']}, operator {made['operatorid']}, role {made['role']}")


@user.command()
@click.argument("name")
@api_command
def passwd(client: Client, name: str) -> None:
    """Give a user another password; they have to log in again. It ends a lock."""
    _change(client, name, {"password": _ask_password()})
    click.echo(f"user {name} has another password")


@user.command()
@click.argument("name")
@click.option("--role", type=_ROLES)
@click.option("--operator-name", metavar="TEXT", help="How operations show them.")
@grants_options
@api_command
def change(client: Client, name: str, role: str | None, operator_name: str | None, **grants: Any) -> None:
    """Change a user's role, name, or what they may reach."""
    fields = {"role": role, "operatorname": operator_name}
    changes = {key: value for key, value in fields.items() if value is not None} | grants_fields(**grants)
    if not changes:
        raise click.UsageError("nothing to change was named")
    changed = _change(client, name, changes)
    click.echo(
        f"user {name}: role {changed['role']}, clusters {format_granted(changed['clusters'])},"
        f" EIDs {format_granted(changed['eids'])}"
    )


@user.command()
@click.argument("name")
@api_command
def disable(client: Client, name: str) -> None:
    """Log a user out and let them in no more."""
    _change(client, name, {"disabled": True})
    click.echo(f"user {name} is disabled")


@user.command()
@click.argument("name")
@api_command
def enable(client: Client, name: str) -> None:
    """Let a user in again: one that was disabled, or locked after wrong passwords."""
    _change(client, name, {"disabled": False, "locked": False})
    click.echo(f"user {name} may log in")


@user.command()
@click.argument("name")
@click.option("--at", metavar="URL", help="How browsers reach the server. [default: where it listens]")
@config_option
@click.pass_obj
def link(context: Context, name: str, at: str | None) -> None:
    """Print a link that logs this user in, once, within ten minutes. On the server's own machine alone."""
    base = at or find_base(context.settings)
    code = make_link(Client(find_target(context, None, None)), name)
    click.echo(format_link(base, code))


@user.command("list")
@click.option("--json", "as_json", is_flag=True)
@api_command
def list_(client: Client, as_json: bool) -> None:
    """List users; their passwords are not kept."""
    found = client.get("/users")
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    rows = [
        [format_granted(one[c]) if c in ("clusters", "eids") else one[c] for c in COLUMNS] for one in found
    ]
    click.echo(format_table([c.upper() for c in COLUMNS], rows))


def _change(client: Client, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    from urllib.parse import quote

    changed: dict[str, Any] = client.send("PATCH", f"/users/{quote(name, safe='')}", changes)
    return changed


def _ask_password() -> str:
    """Return a password: typed twice on a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")
