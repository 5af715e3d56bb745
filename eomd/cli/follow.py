"""Following an operation to its end, over a restart of the server too."""

from __future__ import annotations

import time
from typing import Any

from eomd.cli.client import PATIENCE_S, AnswerLostError, ApiError, Client, ServerAwayError
from eomd.cli.progress import Meter
from eomd.model import ENDED

POLL_S = 0.2
_ENDED = frozenset(state.value for state in ENDED)
_UNAVAILABLE = 503


def follow(client: Client, operation: dict[str, Any], poll_s: float = POLL_S) -> dict[str, Any]:
    """Show the operation's progress until it has ended; return it then.

    Raises ServerAwayError or AnswerLostError once the server has been away for PATIENCE_S.
    """
    number = operation["id"]
    with Meter(f"operation {number}", "rows") as meter:
        seen = time.monotonic()
        while operation["state"] not in _ENDED:
            time.sleep(poll_s)
            try:
                operation = client.get(f"/operations/{number}")
                seen = time.monotonic()
            except (ServerAwayError, AnswerLostError, ApiError) as error:
                if not _passing(error) or time.monotonic() - seen > PATIENCE_S:
                    raise
                meter.update(operation["rows"]["done"], operation["rows"]["total"], "the server is away")
            else:
                meter.update(operation["rows"]["done"], operation["rows"]["total"], _note(operation))
    return operation


def _passing(error: Exception) -> bool:
    return not isinstance(error, ApiError) or error.status == _UNAVAILABLE


def _note(operation: dict[str, Any]) -> str:
    if operation["state"] == "paused":
        return f"paused by {operation['paused_by']}"
    return "" if operation["state"] == "running" else str(operation["state"]).replace("_", " ")
