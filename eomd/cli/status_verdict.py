"""What is wrong in the picture that `eomd status` draws, and what a person should do about it. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eomd.cli.status_sources import Findings
from eomd.watchdog.kinds import KINDS, Kind

#: incidents that are more than a notice, the gravest first
SEVERITIES = ("critical", "warning")
_LEDGER = {Kind.LEDGER_DOWN, Kind.LEDGER_READ_ONLY}

START_UP = "Start it: systemctl start eomd, or eomd up."
START_UP_AGAIN = f"{START_UP} Its log says why it ended."
#: by the server's state, where that is no incident
_SERVER = {
    "starting": ("the server is starting", "Wait a moment and look again."),
    "draining": ("the server is about to end", "Wait a moment and look again."),
    "stopped": ("no server runs", "Wait a moment and look again."),
    "stuck": ("the server is stuck", "Wait: it is killed and started again."),
    "starved": ("the server gets too little time", "Find out what else runs on this machine."),
    "silent": ("the server does not answer", "Wait a moment and look again; its log may say why."),
}

Picture = Mapping[str, Any]
Wrong = dict[str, Any]


def find_wrong(picture: Picture, found: Findings) -> list[Wrong]:
    """Return what is wrong, what matters most first; nothing where all is well."""
    return [
        *_processes(picture, found),
        *_incidents(picture),
        *_parts(picture),
        *_nodes(picture),
    ]


def _wrong(what: str, since: str | None, advice: str, incident: Mapping[str, Any] | None = None) -> Wrong:
    """`incident`: the one that it is; without one it is what is seen this moment."""
    kind, tried = (incident["kind"], incident["remedies"]) if incident else (None, [])
    return {"what": what, "kind": kind, "since": since, "tried": tried, "advice": advice}


def _processes(picture: Picture, found: Findings) -> Iterator[Wrong]:
    if found.forbidden:
        yield _wrong(found.forbidden, None, "Call eomd status as that user, or as root.")
        return
    watchdog, server = picture.get("watchdog"), picture["server"]
    if watchdog is not None:
        yield from _watchdog(watchdog, server)
    if server["stopped_by_person"]:
        yield _wrong("a person stopped the server", server["stopped_by_person"], "Start it: eomd start.")
    elif server["state"] in _SERVER and not _told(picture, Kind.SERVER_STARVED):
        what, advice = _SERVER[server["state"]]
        yield _wrong(f"{what}: {server['error']}" if server["error"] else what, server["since"], advice)


def _watchdog(watchdog: Mapping[str, Any], server: Mapping[str, Any]) -> Iterator[Wrong]:
    state, since = watchdog["state"], watchdog["since"]
    if state == "silent":
        kill = f"kill -9 {watchdog['pid']}, and eomd up" if watchdog["pid"] else "kill it, and eomd up"
        yield _wrong(
            "the watchdog does not answer", None, f"systemd starts it again. Without systemd: {kill}."
        )
    elif state == "dead":
        yield _wrong("the watchdog is dead; it last wrote", since, START_UP_AGAIN)
    elif state in ("ended", "none") and server["state"] == "gone":
        yield _wrong("nothing runs here", since, START_UP)


def _told(picture: Picture, *kinds: Kind) -> bool:
    """Tell whether an incident of one of these kinds is open."""
    return any(incident["kind"] in kinds for incident in picture["incidents"])


def _incidents(picture: Picture) -> Iterator[Wrong]:
    grave = [each for each in picture["incidents"] if each["severity"] in SEVERITIES]
    for each in sorted(grave, key=lambda each: SEVERITIES.index(each["severity"])):
        advice = KINDS[Kind(each["kind"])].advice if each["kind"] in set(Kind) else ""
        yield _wrong(f"{each['subject']}: {each['summary']}", each["opened"], advice, each)


def _parts(picture: Picture) -> Iterator[Wrong]:
    """Yield what is no incident: it is too new for one, or nobody is there to open one."""
    configuration = picture.get("configuration", {"state": "good"})
    if configuration["state"] != "good" and not _told(picture, Kind.CONFIGURATION):
        said = "; ".join(configuration["problems"])
        yield _wrong(f"the configuration is wrong: {said}", None, KINDS[Kind.CONFIGURATION].advice)
    ledger = picture.get("ledger", {"state": "up"})
    if ledger["state"] not in ("up", "unknown") and not _told(picture, *_LEDGER):
        said = f"the ledger is {ledger['state']}: {ledger['error']}"
        yield _wrong(said, ledger["since"], KINDS[Kind.LEDGER_DOWN].advice)
    disk = picture.get("disk", {"state": "up"})
    if disk["state"] not in ("up", "unknown") and not _told(picture, Kind.DISK_LOW):
        yield _wrong(f"the disk is {disk['state']}", disk["since"], KINDS[Kind.DISK_LOW].advice)


def _nodes(picture: Picture) -> Iterator[Wrong]:
    subjects = {incident["subject"] for incident in picture["incidents"]}
    for cluster in picture["clusters"]:
        for node in cluster["nodes"]:
            pool, subject = node["pool"], f"{cluster['name']} {node['address']}"
            if pool is None or pool["state"] == "up" or cluster["drained"] or subject in subjects:
                continue
            error = f": {pool['last_error']}" if pool["last_error"] else ""
            yield _wrong(f"{subject}: {pool['state']}{error}", pool["since"], KINDS[Kind.NODE_DOWN].advice)
