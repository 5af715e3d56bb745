"""`eomd status`: the server and its parts in one look."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import AnswerLostError, ApiError, Client, ServerAwayError
from eomd.cli.table import format_table

EXIT_NOT_WELL = 1


@click.command()
@click.option("--json", "as_json", is_flag=True)
@api_command
def status(client: Client, as_json: bool) -> int:
    """Show how the server and its parts are.

    Exit code 0 only when all is well.
    """
    health = ask(client)
    if as_json:
        click.echo(json.dumps(health, ensure_ascii=False, indent=2))
    else:
        for line in describe(health):
            click.echo(line)
    return os.EX_OK if health["status"] == "ok" else EXIT_NOT_WELL


def ask(client: Client) -> dict[str, Any]:
    """Return the server's health, with its clusters where we may see them; `down` without an answer."""
    try:
        health: dict[str, Any] = client.get("/health")
        if "components" in health:
            health["clusters"] = client.get("/clusters")
    except (ServerAwayError, AnswerLostError, ApiError) as error:
        return {"status": "down", "reason": str(error)}
    return health


def describe(health: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    yield f"eomd is {health['status']}"
    if "reason" in health:
        yield f"  {health['reason']}"
        return
    commit = health["commit"] or "unknown"
    yield f"  version   {health['version']} (commit {commit}), since {health['started']}"
    for name, part in health.get("components", {}).items():
        if name != "clusters":
            yield f"  {name:<9} {_describe_part(part)}"
    nodes = [_node_row(cluster, node) for cluster in health.get("clusters", []) for node in cluster["nodes"]]
    if nodes:
        yield ""
        yield format_table(("CLUSTER", "NODE", "STATE", "LATENCY", "CONNECTIONS", "LAST ERROR"), nodes)


def _describe_part(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    state = [str(part["state"])] if "state" in part else []
    facts = (
        f"{name} {value}" for name, value in part.items() if name != "state" and value not in (None, "", {})
    )
    return ", ".join([*state, *facts])


def _node_row(cluster: dict[str, Any], node: dict[str, Any]) -> tuple[object, ...]:
    latency = node["latency_ms"]
    shown = "" if latency is None else f"{latency:.1f} ms"
    connections = f"{node['connections']}/{node['budget']}"
    return cluster["name"], node["address"], node["state"], shown, connections, node["last_error"]
