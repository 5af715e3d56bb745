"""The options that say which clusters and EIDs somebody may reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

ALL = "all"


def grants_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--clusters` and `--eids`; the command gets them as keywords for `grants_fields`."""
    clusters = click.option("--clusters", metavar="NAME,…", help="Only these clusters; or all.")
    eids = click.option("--eids", metavar="EID,…", help="Only these EIDs; or all.")
    return clusters(eids(command))


def grants_fields(clusters: str | None, eids: str | None) -> dict[str, list[str] | None]:
    """Return the fields of a request; what was not given is absent. The server judges them."""
    given = {"clusters": clusters, "eids": eids}
    return {
        name: None if text == ALL else [part.strip() for part in text.split(",") if part.strip()]
        for name, text in given.items()
        if text is not None
    }


def format_granted(granted: list[Any] | None) -> str:
    return ALL if granted is None else ",".join(map(str, granted)) or "none"
