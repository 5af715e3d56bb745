"""What can be done about an incident by asking the server or its supervisor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from eomd.model import Incident
from eomd.watchdog.cluster_probe import cluster_of
from eomd.watchdog.decisions import RECYCLE, RELOAD, RESTART
from eomd.watchdog.dispatcher import Dispatcher
from eomd.watchdog.server_link import ServerAwayError, ServerLink

ASK_S_MAX = 10.0
#: draining takes its time, and so does the start after it
RESTART_S_MAX = 90.0
OK = 200

Restart = Callable[[str], Awaitable[str]]


def register_remedies(dispatcher: Dispatcher, link: ServerLink, restart: Restart) -> None:
    """Let the dispatcher do what `decisions.py` names. `restart`: by the supervisor; takes why."""

    async def recycle(incident: Incident) -> str:
        cluster = cluster_of(incident.subject)
        await _ask(link, "/internal/recycle", {"cluster": cluster})
        return f"the connections of cluster {cluster} are being replaced"

    async def reload(incident: Incident) -> str:
        await _ask(link, "/internal/reload", None)
        return "the server has read its configuration again"

    async def restart_server(incident: Incident) -> str:
        return await restart(f"{incident.kind}: {incident.summary}")

    dispatcher.register(RECYCLE, recycle, ASK_S_MAX)
    dispatcher.register(RELOAD, reload, ASK_S_MAX)
    dispatcher.register(RESTART, restart_server, RESTART_S_MAX)


async def _ask(link: ServerLink, path: str, body: object) -> None:
    """Raises ServerAwayError where the server did not do it."""
    status, answer = await link.call("POST", path, body, timeout_s=ASK_S_MAX)
    if status != OK:
        raise ServerAwayError(f"{path} answers with status {status}: {answer}")
