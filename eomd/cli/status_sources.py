"""Where `eomd status` looks: the watchdog, the server, and the files that the watchdog leaves when it dies.

Each source may be away, silent or out of reach for this user; then it says so, and the others still speak.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eomd.cli.client import AnswerLostError, ApiError, Client, ServerAwayError, Target
from eomd.cli.context import Context
from eomd.cli.orders import WatchdogAwayError, give_order
from eomd.errors import ConfigurationError, EomdError
from eomd.free_space import FreeSpace, free_space
from eomd.model import Incident
from eomd.runtime import API_SOCKET, SERVER_PID, UP_PID, UP_SOCKET, find_socket, running_pid
from eomd.watchdog.diary import read_diary
from eomd.watchdog.files import read_json
from eomd.watchdog.good_copy import find_source
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.state_file import FILE as STATE_FILE

#: for the watchdog's answer, and for each of the server's
ANSWER_S_MAX = 5.0
#: entries of the restart diary that are looked at
DIARY_MAX = 500
INCIDENTS_MAX = 200
LATELY_MAX = 20


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration as this command reads it."""

    source: Path
    #: why it cannot be used; the rest is empty then
    problems: tuple[str, ...] = ()
    min_free_mb: int | None = None
    #: name → title, addresses of the nodes
    clusters: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """What the sources said."""

    #: a server elsewhere was asked, nobody and nothing on this machine
    is_remote: bool = False
    #: the watchdog's answer, else the last thing it wrote; empty: neither
    view: Mapping[str, Any] = field(default_factory=dict)
    #: `view` is the answer of one that runs
    answered: bool = False
    #: why the watchdog did not answer; "" where it did, or where none was asked
    watchdog_silence: str = ""
    watchdog_pid: int | None = None
    #: the server's, None: it did not answer, or was not asked
    health: Mapping[str, Any] | None = None
    server_silence: str = ""
    server_pid: int | None = None
    #: as the API shows them
    clusters: list[Any] = field(default_factory=list)
    #: open ones, oldest first, as the API shows them
    incidents: list[Any] = field(default_factory=list)
    #: those that are over, newest first
    lately: list[Any] = field(default_factory=list)
    #: oldest first
    diary: list[dict[str, Any]] = field(default_factory=list)
    #: of this machine
    configured: Configured | None = None
    #: under the data folder of this machine; None: `space_error` says why it is not known
    space: FreeSpace | None = None
    space_error: str = ""
    #: a part of the picture is not for this user
    forbidden: str = ""


def look_around(context: Context, environ: Mapping[str, str]) -> Findings:
    """Ask everybody on this machine. Raises ConfigurationError where the runtime folder has no name."""
    data_dir = context.data_dir
    found = Findings(configured=_read_configuration(context, environ))
    control = find_socket(data_dir, UP_SOCKET, environ)
    api = find_socket(data_dir, API_SOCKET, environ)
    found.watchdog_pid = running_pid(control.with_name(UP_PID))
    found.server_pid = running_pid(api.with_name(SERVER_PID))
    _ask_watchdog(control, found)
    _read_files(data_dir / "watchdog", found)
    try:
        found.space = free_space(data_dir)
    except OSError as error:
        found.space_error = f"{data_dir}: {error.strerror}"
    if _may_answer(found):
        _ask_server(Client(Target(socket=api), answer_s_max=ANSWER_S_MAX), found)
    return found


def look_from_afar(client: Client) -> Findings:
    """Ask a server elsewhere."""
    found = Findings(is_remote=True)
    _ask_server(client, found)
    if found.health is not None and "components" in found.health:
        try:
            found.incidents = client.get("/incidents", open=1, page_size=INCIDENTS_MAX)["items"][::-1]
            found.lately = client.get("/incidents", open=0, page_size=LATELY_MAX)["items"]
        except EomdError as error:
            found.server_silence = str(error)
    return found


def _read_configuration(context: Context, environ: Mapping[str, str]) -> Configured:
    source = find_source(context.config, environ)
    try:
        settings = context.settings
    except ConfigurationError as error:
        return Configured(source, error.problems)
    clusters = {
        name: (table.title, tuple(map(str, table.nodes))) for name, table in settings.clusters.items()
    }
    return Configured(source, (), settings.limits.min_free_mb, clusters)


def _ask_watchdog(control: Path, found: Findings) -> None:
    try:
        found.view = give_order(control, "status", answer_s_max=ANSWER_S_MAX)
        found.answered = True
    except WatchdogAwayError as error:
        found.watchdog_silence = "" if found.watchdog_pid is None else str(error)
    except EomdError as error:
        found.watchdog_silence = str(error)


def _read_files(folder: Path, found: Findings) -> None:
    if _is_closed(folder):
        found.forbidden = f"{folder} is for the user who runs eomd, and for root"
        return
    if not found.answered:
        found.view = read_json(folder / STATE_FILE)
    found.diary = read_diary(folder, DIARY_MAX)
    known = sorted(IncidentFiles(folder, folder).load(), key=_opened)
    found.incidents = [each.format() for each in known if each.closed is None]
    found.lately = [each.format() for each in known if each.closed is not None][: -LATELY_MAX - 1 : -1]


def _is_closed(folder: Path) -> bool:
    """Tell whether it is not for this user, whether it is there or not."""
    try:
        os.scandir(folder).close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _opened(incident: Incident) -> tuple[object, str]:
    return incident.opened, incident.id


def _may_answer(found: Findings) -> bool:
    """Tell whether it makes sense to wait for the server: behind a watchdog's socket it may never answer."""
    if not found.answered:
        return found.server_pid is not None
    return found.view["server"]["state"] in ("ready", "slow", "starved", "draining")


def _ask_server(client: Client, found: Findings) -> None:
    try:
        found.health = client.get("/health")
        if "components" in found.health:
            found.clusters = client.get("/clusters")
    except (ServerAwayError, AnswerLostError, ApiError) as error:
        found.server_silence = str(error)
