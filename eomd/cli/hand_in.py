"""`eomd query` and `eomd modify`: hand a file in, follow it, fetch the result."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import ApiError, Client, OnBytes
from eomd.cli.follow import follow
from eomd.cli.progress import Meter

EXIT_SOME_FAILED = 3

#: config fields that are sent only where they were given
_OPTIONAL = ("description", "amount", "duplicates", "only_if_unchanged", "canary_rows", "verify")


def who_asks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the operator."""
    for option in (
        click.option("--operatorname", metavar="NAME", help="Who asks [default: your login name]."),
        click.option("--operatorid", type=click.IntRange(min=0), metavar="ID",
                     help="Who asks [default: your user id]."),
    ):  # fmt: skip
        command = option(command)
    return command


def hand_in_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what query and modify have in common."""
    source = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
    for option in (
        click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Where the result goes; else standard output, or on a terminal a file beside you."),
        who_asks,
        click.option("--description", metavar="TEXT", help="What it is for."),
        click.option("--eids", required=True, metavar="EID,…", help="The counters, in the result's order."),
        click.option("--cluster", required=True, metavar="NAME"),
        click.argument("file", type=source),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@hand_in_options
@api_command
def query(client: Client, file: Path, output: Path | None, **fields: Any) -> int:
    """Read counters for the users of FILE.

    Exit code 0: all rows OK, 3: some failed, 1: anything else.
    """
    return _hand_in(client, "query", file, output, fields)


@click.command()
@hand_in_options
@click.option("--mode", required=True, type=click.Choice(["inc", "dec", "set"]))
@click.option("--amount", type=int, help="One amount for all; the file may then hold users alone.")
@click.option(
    "--duplicates", type=click.Choice(["refuse", "allow", "last"]), help="A user twice in the file."
)
@click.option("--dry-run", is_flag=True, help="Modify nothing; the result shows before and would-be after.")
@click.option(
    "--only-if-unchanged",
    is_flag=True,
    default=None,
    help="With --dry-run: the plan's commit leaves values alone that moved meanwhile.",
)
@click.option("--confirm-repeat", is_flag=True, help="Do it although another one of late changed the same.")
@click.option(
    "--canary-rows", type=click.IntRange(min=1), metavar="N", help="Send so many first, read them back."
)
@click.option("--canary-wait", is_flag=True, help="Then wait for a person to resume it.")
@click.option("--verify", type=click.Choice(["none", "sample", "all"]), help="Read back once it is through.")
@api_command
def modify(client: Client, file: Path, output: Path | None, **fields: Any) -> int:
    """Change counters for the users of FILE.

    Exit code 0: all rows OK, 3: some failed, 1: anything else.
    """
    return _hand_in(client, "modify", file, output, fields)


def _hand_in(client: Client, model: str, source: Path, output: Path | None, fields: dict[str, Any]) -> int:
    config = make_config(fields, known=is_known(client))
    with Meter("upload", "bytes") as meter:
        operation = client.hand_in(model, config, source, meter.update)
    number = operation["id"]
    click.echo(describe_new(operation), err=True)
    try:
        operation = follow(client, operation)
        _fetch(client, operation, output, source)
    except KeyboardInterrupt:
        click.echo(f"eomd: operation {number} goes on; see: eomd operations show {number}", err=True)
        raise
    click.echo(describe_end(operation), err=True)
    return exit_code(operation)


def is_known(client: Client) -> bool:
    """Tell whether the server knows as which operator we hand in: by a token that is a person's."""
    if not client.is_local:
        # it answers nobody who has no token, from a MIS's network say
        with suppress(ApiError):
            return client.get("/session")["operatorid"] is not None
    return False


def make_config(fields: dict[str, Any], *, known: bool = False) -> dict[str, Any]:
    """Return a hand-in's config from the options given; `known`: the server fills in who we are."""
    config = {name: value for name, value in fields.items() if name not in _OPTIONAL or value is not None}
    if known:
        who = ("operatorid", "operatorname")
        return {name: value for name, value in config.items() if name not in who or value is not None}
    return name_operator(config)


def name_operator(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with ourselves as the operator where none is named."""
    operatorid = fields.get("operatorid")
    name = fields.get("operatorname") or _login_name()
    return {**fields, "operatorid": os.getuid() if operatorid is None else operatorid, "operatorname": name}


def _login_name() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())


def describe_new(operation: dict[str, Any]) -> str:
    """Return what has just been handed in, and who did the same before, a line each."""
    lines = [f"operation {operation['id']}"]
    for each in operation["earlier"]:
        at = datetime.fromisoformat(each["create_time"]).astimezone()
        who = f"{each['operatorname']} ({each['operatorid']}), {at:%Y-%m-%d %H:%M:%S}"
        lines.append(f"  operation {each['id']} changed exactly this before: {who}")
    return "\n".join(lines)


def describe_end(operation: dict[str, Any]) -> str:
    """Return an ended operation in a line."""
    rows = operation["rows"]
    parts = [f"{rows['ok']:,} of {rows['total']:,} rows OK"]
    parts += [f"{rows[name]:,} {name}" for name in ("failed", "uncertain") if rows[name]]
    message = f": {operation['message']}" if operation["message"] else ""
    return f"operation {operation['id']} {operation['state']}, {', '.join(parts)}{message}"


def exit_code(operation: dict[str, Any]) -> int:
    """Return 0 for all rows OK, 3 for some failed, 1 for an operation that did not go to its end."""
    return {"succeeded": 0, "partial": EXIT_SOME_FAILED}.get(operation["state"], 1)


def _fetch(client: Client, operation: dict[str, Any], output: Path | None, source: Path) -> None:
    name = operation["resultname"]
    if not name:
        return
    if output is None and not sys.stdout.isatty():
        with Meter("download", "bytes") as meter:
            client.download(name, sys.stdout.buffer, meter.update)
        sys.stdout.buffer.flush()
        return
    output = output or Path(f"{source.stem}-{operation['id']}-result.csv")
    save(partial(client.download, name), output)
    click.echo(f"result: {output}", err=True)


def save(fetch: Callable[[IO[bytes], OnBytes], None], output: Path) -> None:
    """Write what is fetched beside its place, then rename: what stands at `output` is whole."""
    if output.exists() and not output.is_file():
        with Meter("download", "bytes") as meter, output.open("wb") as out:
            fetch(out, meter.update)
        return
    beside = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with Meter("download", "bytes") as meter, beside.open("wb") as out:
            fetch(out, meter.update)
        beside.replace(output)
    finally:
        beside.unlink(missing_ok=True)
