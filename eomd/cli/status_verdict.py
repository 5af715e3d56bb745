"""What is wrong in the picture that `eomd status` draws, and what a person should do about it. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from eomd.cli.status_sources import Findings
from eomd.watchdog.kinds import KINDS, Kind

#: incidents that are more than a notice, the gravest first
SEVERITIES = ("critical", "warning")
#: a server that was late once is no trouble yet
SLOW_S = 30.0

_LOOK_AGAIN = "Wait a moment and look again."
START_UP = "Start it: systemctl start eomd, or eomd up."
START_UP_AGAIN = f"{START_UP} Its log says why it ended: journalctl -u eomd."
#: by the server's state, where that is no incident
_SERVER = {
    "starting": ("the server is starting", _LOOK_AGAIN),
    "draining": ("the server is about to end", _LOOK_AGAIN),
    "stopped": (
        "no server runs",
        "Wait: it is started again by itself; the last entry below says why it ended.",
    ),
    "stuck": ("the server is stuck", "Wait: it is killed and started again by itself."),
    "starved": ("the server gets too little time", "Find out what else runs on this machine."),
    "slow": ("the server is slow: it comes late to everything", "Find out what else runs on this machine."),
    "silent": ("the server does not answer", "Wait a moment and look again; its log may say why."),
}
_INBOX_WELL = ("off", "starting", "watching", "not watched")
#: by the inbox's state, where that is no incident
_INBOX = {
    "polling": (
        "new files in the inbox are noticed late, every two seconds",
        "Raise fs.inotify.max_user_watches and max_user_instances: the kernel gives no more of them.",
    ),
    "held": ("files stay in the inbox", "Nothing: they are taken as soon as there is room for them."),
}

Picture = Mapping[str, Any]
Wrong = dict[str, Any]


def find_wrong(picture: Picture, found: Findings) -> list[Wrong]:
    """Return what is wrong, what matters most first; nothing where all is well."""
    wrong = [
        *_processes(picture, found),
        *_clusters(picture),
        *_incidents(picture),
        *_parts(picture),
        *_nodes(picture),
    ]
    health = picture["server"]["health"]
    if not wrong and health not in (None, "ok"):
        wrong = [_wrong(f"the server calls itself {health}", None, _LOOK_AGAIN)]
    return wrong


def _wrong(what: str, since: str | None, advice: str, incident: Mapping[str, Any] | None = None) -> Wrong:
    """`incident`: the one that it is; without one it is what is seen this moment."""
    kind, tried = (incident["kind"], incident["remedies"]) if incident else (None, [])
    return {"what": what, "kind": kind, "since": since, "tried": tried, "advice": advice}


# --- processes


def _processes(picture: Picture, found: Findings) -> Iterator[Wrong]:
    if found.forbidden:
        yield _wrong(found.forbidden, None, "Call eomd status as that user, or as root.")
        return
    watchdog, server = picture.get("watchdog"), picture["server"]
    if watchdog is not None:
        yield from _watchdog(watchdog, server)
    if server["stopped_by_person"]:
        yield _wrong("a person stopped the server", server["stopped_by_person"], "Start it: eomd start.")
    elif server["state"] in _SERVER and not _is_told(picture, Kind.SERVER_STARVED):
        if server["state"] == "slow" and _lasted_s(server, picture) < SLOW_S:
            return
        what, advice = _SERVER[server["state"]]
        yield _wrong(f"{what}: {server['error']}" if server["error"] else what, server["since"], advice)


def _lasted_s(part: Mapping[str, Any], picture: Picture) -> float:
    return (datetime.fromisoformat(picture["at"]) - datetime.fromisoformat(part["since"])).total_seconds()


def _watchdog(watchdog: Mapping[str, Any], server: Mapping[str, Any]) -> Iterator[Wrong]:
    """`since` of one that does not run is its last sign of life."""
    state, since, gone = watchdog["state"], watchdog["since"], server["state"] == "gone"
    if state == "silent":
        kill = f"kill -9 {watchdog['pid']}, and eomd up" if watchdog["pid"] else "kill it, and eomd up"
        advice = f"Wait: systemd starts it again. Without systemd: {kill}."
        yield _wrong(f"the watchdog does not answer: {watchdog['error']}", since, advice)
    elif state == "dead":
        also = ", and the server with it" if gone else ": nobody looks after the server"
        yield _wrong(f"the watchdog has died{also}", since, START_UP_AGAIN)
    elif state == "ended" and gone:
        yield _wrong("eomd was ended in order; nothing runs here", since, START_UP)
    elif state == "none" and gone:
        yield _wrong("nothing runs here", None, START_UP)


def _is_told(picture: Picture, *kinds: Kind) -> bool:
    """Tell whether an incident of one of these kinds is open."""
    return any(incident["kind"] in kinds for incident in picture["incidents"])


def _incidents(picture: Picture) -> Iterator[Wrong]:
    grave = [each for each in picture["incidents"] if each["severity"] in SEVERITIES]
    gone = picture["server"]["state"] == "gone"
    for each in sorted(grave, key=lambda each: SEVERITIES.index(each["severity"])):
        advice = KINDS[Kind(each["kind"])].advice if each["kind"] in set(Kind) else ""
        if gone and each["subject"] == "server":
            # nobody does by itself what it promises
            advice = ""
        yield _wrong(f"{each['subject']}: {each['summary']}", each["opened"], advice, each)


# --- what is no incident: it is too new for one, or nobody is there to open one


def _parts(picture: Picture) -> Iterator[Wrong]:
    configuration = picture.get("configuration", {"state": "good"})
    if configuration["state"] != "good" and not _is_told(picture, Kind.CONFIGURATION):
        said = "; ".join(configuration["problems"])
        yield _wrong(f"the configuration is wrong: {said}", None, KINDS[Kind.CONFIGURATION].advice)
    ledger = picture["ledger"]
    if ledger["state"] not in ("up", "unknown") and not _is_told(
        picture, Kind.LEDGER_DOWN, Kind.LEDGER_READ_ONLY
    ):
        said = f"the ledger is {ledger['state']}: {ledger['error']}"
        yield _wrong(said, ledger["since"], KINDS[Kind.LEDGER_DOWN].advice)
    disk = picture["disk"]
    if disk["state"] not in ("up", "unknown") and not _is_told(picture, Kind.DISK_LOW):
        said = f"the disk is {disk['state']}" + f": {disk['error']}" * bool(disk["error"])
        yield _wrong(said, disk["since"], KINDS[Kind.DISK_LOW].advice)
    inbox = picture.get("inbox", {"state": "off"})
    if inbox["state"] not in _INBOX_WELL and not _is_told(picture, Kind.INBOX_UNREADABLE, Kind.DISK_LOW):
        what, advice = _INBOX.get(
            inbox["state"], (f"the inbox is {inbox['state']}", KINDS[Kind.INBOX_UNREADABLE].advice)
        )
        yield _wrong(what + f": {inbox['reason']}" * bool(inbox["reason"]), inbox["since"], advice)


def _clusters(picture: Picture) -> Iterator[Wrong]:
    for cluster in picture["clusters"]:
        if cluster["state"] == "down":
            since = max((node["pool"]["since"] for node in cluster["nodes"]), default=None)
            what = f"{cluster['name']}: none of its nodes can be used; its operations wait"
            yield _wrong(what, since, "Its operations go on by themselves once one of its nodes is back.")


def _nodes(picture: Picture) -> Iterator[Wrong]:
    subjects = {incident["subject"] for incident in picture["incidents"]}
    for cluster in picture["clusters"]:
        for node in cluster["nodes"]:
            pool, subject = node["pool"], f"{cluster['name']} {node['address']}"
            if pool is None or pool["state"] == "up" or cluster["drained"] or subject in subjects:
                continue
            error = f": {pool['last_error']}" if pool["last_error"] else ""
            yield _wrong(f"{subject}: {pool['state']}{error}", pool["since"], KINDS[Kind.NODE_DOWN].advice)
