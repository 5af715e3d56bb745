"""`eomd settle`: look at uncertain rows, and decide about them."""

from __future__ import annotations

import json
from typing import Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import Client
from eomd.cli.follow import follow
from eomd.cli.hand_in import describe_end, exit_code, is_known, make_config, who_asks
from eomd.cli.table import format_table

PAGE = 1000


@click.command()
@click.argument("id", type=int)
@click.option(
    "--as",
    "as_",
    type=click.Choice(["applied", "not-applied", "send-again"]),
    help="What to hold them for; without it they are shown.",
)
@click.option("--row", "rows", type=click.IntRange(min=0), multiple=True, metavar="N", help="This row alone.")
@who_asks
@click.option("--json", "as_json", is_flag=True)
@api_command
def settle(client: Client, id: int, as_: str | None, rows: tuple[int, ...], as_json: bool, **who: Any) -> int:
    """Show the uncertain rows of operation ID beside what the cluster has now, or decide about them.

    Exit code of --as send-again: 0 all rows OK, 3 some failed, 1 anything else.
    """
    if as_ is None:
        return _show(client, id, as_json)
    body = make_config(who, known=is_known(client)) | {
        "rows": list(rows) or "all",
        "as": as_.replace("-", "_"),
    }
    settled = client.send("POST", f"/operations/{id}/settle", body)
    if as_ == "send-again":
        click.echo(f"operation {settled['id']}", err=True)
        settled = follow(client, settled)
    click.echo(json.dumps(settled, ensure_ascii=False, indent=2) if as_json else describe_end(settled))
    return exit_code(settled) if as_ == "send-again" else 0


def _show(client: Client, operation: int, as_json: bool) -> int:
    answer = client.get(f"/operations/{operation}/settle", limit=PAGE)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return 0
    head = ("ROW", "USER", "AMOUNT", "BEFORE", "AFTER", "NOW", "SETTLED")
    click.echo(format_table(head, [_row(item) for item in answer["items"]]))
    shown = len(answer["items"])
    more = f", the first {shown} are shown" if shown < answer["total"] else ""
    click.echo(f"{answer['total']} uncertain rows, {answer['open']} open{more}", err=True)
    return 0


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    values = (item[name] for name in ("amounts", "before", "after", "now"))
    cells = ("?" if each is None else ",".join(map(str, each)) for each in values)
    failed = item["now_status"] not in (None, "OK")
    amount, before, after, now = cells
    found = item["now_status"] if failed else now
    return item["row"], item["user"], amount, before, after, found, item["settled"] or ""
