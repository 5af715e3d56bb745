"""`eomd demo`: the main job on simulated clusters, then a server to play with until Ctrl-C."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import Any

import click

from eomd.cli.client import Client
from eomd.cli.context import config_option
from eomd.cli.demo_world import FIRST_USER, USERS, DemoWorld
from eomd.cli.follow import follow
from eomd.cli.hand_in import describe_end
from eomd.cli.interruption import Interruption
from eomd.cli.progress import Meter

EIDS = (1001, 1002)
AMOUNT = 100
LINES_SHOWN = 5
#: the rate is measured up to the operation's end, so that is looked for often
POLL_S = 0.02
CHECK_S = 0.5


@click.command()
@click.option("--batch", type=click.IntRange(1, 50_000_000), default=100_000, show_default=True,
              metavar="USERS", help="How many users the main job has.")  # fmt: skip
@click.option("--once", is_flag=True, help="End after the main job instead of waiting for Ctrl-C.")
@config_option
def demo(batch: int, once: bool) -> int:
    """Show eomd in a throw-away world, which Ctrl-C removes without a trace."""
    interruption = Interruption()
    click.echo("starting simulated clusters and the server …")
    with DemoWorld(batch, interruption) as world:
        source = write_users(world.folder / "users.csv", batch)
        run_job(world.client, "query", {"eids": list(EIDS)}, source)
        run_job(world.client, "modify", {"eids": [EIDS[0]], "mode": "inc", "amount": AMOUNT}, source)
        if not once:
            _invite(world, source)
            _wait_for_end(world)
    return 0


def _wait_for_end(world: DemoWorld) -> None:
    """Return on Ctrl-C or SIGTERM: here that is the ordinary end."""
    try:
        while True:
            world.check()
            time.sleep(CHECK_S)
    except KeyboardInterrupt:
        click.echo("\nending …")


def write_users(path: Path, users: int) -> Path:
    """Write a source file of `users` lines and a header."""
    with path.open("w", encoding="ascii") as file:
        file.write("userid\n")
        file.writelines(f"{user}\n" for user in range(FIRST_USER, FIRST_USER + users))
    return path


def run_job(client: Client, model: str, fields: dict[str, Any], source: Path) -> None:
    """Hand the file in over HTTP, follow it, show the result's first lines and how long it took."""
    who = {"cluster": "fish", "operatorid": 1, "operatorname": "demo", "description": "demo"}
    click.echo(f"\n{model} {' '.join(f'{name}={value}' for name, value in fields.items())}")
    uploaded = time.monotonic()

    def on_bytes(done: int, total: int) -> None:
        nonlocal uploaded
        uploaded = time.monotonic()
        meter.update(done, total)

    with Meter("upload", "bytes") as meter:
        operation = client.hand_in(model, {**who, **fields}, source, on_bytes)
    operation = follow(client, operation, POLL_S)
    seconds = max(time.monotonic() - uploaded, 1e-3)
    _show_first_lines(client, operation, source.parent / f"{operation['id']}-result.csv")
    rate = operation["rows"]["done"] / seconds
    click.echo(describe_end(operation))
    click.echo(f"{seconds:.2f} s from the upload's end: {rate:,.0f} rows/s")


def _show_first_lines(client: Client, operation: dict[str, Any], result: Path) -> None:
    if not operation["resultname"]:
        return
    with result.open("wb") as out:
        client.download(operation["resultname"], out, lambda done, total: None)
    with result.open(encoding="utf-8") as file:
        for line in itertools.islice(file, LINES_SHOWN + 1):
            click.echo(f"  {line.rstrip()}")


def _invite(world: DemoWorld, source: Path) -> None:
    """Say where the server is and what to try on it, in lines to be copied."""
    config = '{"cluster": "fish", "eids": [1001], "operatorid": 1, "operatorname": "me"}'
    curl = 'curl -H "Authorization: Bearer $EOMD_TOKEN"'
    program = sys.argv[0] if Path(sys.argv[0]).name == "eomd" else "eomd"
    first, *others = USERS
    roles = ", ".join(f"{user.name} ({user.role})" for user in others)
    click.echo(f"\nThe server listens at {world.url}; Ctrl-C ends it without a trace.")
    click.echo(f"The console, as {first.name} ({first.role}), once and within ten minutes:")
    click.echo(f"  {world.link(first.name)}")
    click.echo(f"Others there are {roles}: eomd user link makes them a link.")
    click.echo("In another terminal:")
    click.echo(f"  export EOMD_URL={world.url}")
    click.echo(f"  export EOMD_TOKEN={world.token}")
    click.echo(f"  {program} operations list")
    click.echo(f"  {program} user link {others[0].name} -c {world.config}")
    click.echo(f"  {curl} $EOMD_URL/clusters")
    click.echo(f"  {curl} $EOMD_URL/query \\")
    click.echo(f"    -F file=@{source} \\")
    click.echo(f"    -F 'config={config}'")
