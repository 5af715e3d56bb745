"""What `eomd status` has found, as one picture ready for JSON: every part, and how it stands. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from eomd.cli.status_sources import Findings
from eomd.cli.status_verdict import find_wrong
from eomd.watchdog.disk_probe import LOW, UNREACHABLE, judge
from eomd.watchdog.sight import UNKNOWN, UP

#: of the diary: a server was started; one ended that nobody had told to
STARTED, FAILURES = "started", ("ended", "killed")
#: entries of the diary, and incidents that are over, in the picture
RESTARTS_SHOWN, LATELY_SHOWN, LATELY = 5, 5, timedelta(days=1)

Part = dict[str, Any]


def draw(found: Findings, now: datetime) -> dict[str, Any]:
    """Return the picture. `status` is ok, degraded, down where no server answers; unknown to a stranger.

    A part with `as_of` is not as it stands now: it is what the watchdog wrote down then.
    """
    picture = {
        "at": now.isoformat(timespec="seconds"),
        **{name: part for name, part in _parts(found, now).items() if part is not None},
        "clusters": _clusters(found),
        "incidents": found.incidents,
        "lately": [each for each in found.lately if _age(each["closed"], now) < LATELY][:LATELY_SHOWN],
        "restarts": found.diary[-RESTARTS_SHOWN:],
    }
    wrong = find_wrong(picture, found)
    return {"status": _status(wrong, found), "wrong": wrong, **picture}


def _status(wrong: Sequence[Part], found: Findings) -> str:
    if not wrong:
        return "ok"
    if found.health is not None:
        return "degraded"
    return UNKNOWN if found.forbidden else "down"


def _age(moment: str, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(moment)


def _parts(found: Findings, now: datetime) -> dict[str, Part | None]:
    components = (found.health or {}).get("components", {})
    probes = found.view.get("probes", {})
    return {
        "watchdog": _watchdog(found, components.get("watchdog"), now),
        "server": _server(found),
        "configuration": _configuration(found),
        "ledger": _ledger(found, components.get("ledger"), probes.get("ledger")),
        "disk": _disk(found, components.get("disk"), probes.get("disk")),
        "inbox": _inbox(found) or components.get("inbox"),
        "clock": _dated(found, probes.get("clock")),
    }


def _dated(found: Findings, part: Part | None) -> Part | None:
    """Return a part of the watchdog's, with the time when it was written down where that is not now."""
    return part and {**part, "as_of": None if found.answered else found.view["at"]}


def _watchdog(found: Findings, heard: Part | None, now: datetime) -> Part | None:
    """States: running; silent: it lives and does not answer; ended, in order; dead; none: never run.

    Of one elsewhere, as the server there hears of it: present, absent. `since` is the last sign of one that
    does not run.
    """
    if found.is_remote:
        return heard and {**_NO_WATCHDOG, "state": heard["state"]}
    own = found.view.get("watchdog", {})
    today = Counter(entry["what"] for entry in found.diary if _is_of_today(entry, now))
    part = {
        **_NO_WATCHDOG,
        "state": "running",
        "since": own.get("since"),
        "pid": found.watchdog_pid or own.get("pid"),
        "version": own.get("version"),
        "starts_today": today[STARTED],
        "failures_today": sum(today[what] for what in FAILURES),
    }
    if found.answered:
        return part
    if found.forbidden:
        return {**_NO_WATCHDOG, "state": UNKNOWN}
    part["since"] = found.view.get("at")
    if found.watchdog_silence:
        return part | {"state": "silent", "error": found.watchdog_silence}
    if not found.view:
        return part | {"state": "none"}
    return part | {"state": "ended" if found.view.get("ended") else "dead", "pid": None}


_NO_WATCHDOG: Part = dict.fromkeys(
    ("state", "since", "pid", "version", "starts_today", "failures_today", "error")
)


def _is_of_today(entry: Mapping[str, Any], now: datetime) -> bool:
    return datetime.fromisoformat(entry["at"]).astimezone().date() == now.astimezone().date()


def _server(found: Findings) -> Part:
    """States: the watchdog's words for it; without a watchdog its own; silent: it does not answer; gone."""
    seen = found.view.get("server", {}) if found.answered else {}
    health = found.health or {}
    components = health.get("components", {})
    part = {
        "state": "silent" if found.server_pid or found.is_remote else "gone",
        "since": health.get("started"),
        "pid": found.server_pid,
        "version": health.get("version"),
        "commit": health.get("commit"),
        "health": health.get("status"),
        "operations": components.get("operations"),
        "error": found.server_silence or None,
        "stopped_by_person": None,
        "last_end": None,
        "lag_s": None,
        "rss_mb": None,
    }
    if found.forbidden:
        part["state"] = UNKNOWN
    if health:
        part["state"] = components.get("server", {}).get("state", "ready")
    return part | {name: value for name, value in seen.items() if name in part and value is not None}


def _configuration(found: Findings) -> Part | None:
    """As the watchdog in force sees it, else as it stands on the disk."""
    if found.answered:
        return _dated(found, found.view.get("configuration"))
    if found.configured is None or found.forbidden:
        # a stranger may not read all that belongs to it
        return None
    return {
        "state": "wrong" if found.configured.problems else "good",
        "since": None,
        "source": str(found.configured.source),
        "problems": list(found.configured.problems),
        "needs_restart": [],
        "as_of": None,
    }


def _ledger(found: Findings, server: Part | None, probe: Part | None) -> Part:
    """As the server sees it, else as the probe does."""
    probe = _dated(found, probe)
    if server is None:
        unknown = {"state": UNKNOWN, "since": None, "latency_ms": None, "error": None, "as_of": None}
        return {**(probe or unknown), "spooled": None, "probe": probe}
    return {
        "state": server["state"],
        "since": server["since"],
        "latency_ms": server["latency_ms"],
        "error": server["last_error"],
        "spooled": server["spooled"],
        "probe": probe,
        "as_of": None,
    }


def _disk(found: Findings, server: Part | None, probe: Part | None) -> Part | None:
    """As the probe sees it while it looks, else as this command or the server does."""
    configured = found.configured.min_free_mb if found.configured else None
    min_free_mb = server["min_free_mb"] if server else configured
    if found.space is not None:
        free_mb, state = round(found.space.mb), judge(found.space, min_free_mb or 0)
    elif server is not None:
        free_mb, state = server["free_mb"], LOW if server["free_mb"] < 2 * server["min_free_mb"] else UP
    else:
        free_mb, state = None, UNREACHABLE if found.space_error else UNKNOWN
    part = {"state": state, "since": None, "error": found.space_error or None}
    if probe and found.answered and probe["state"] != UNKNOWN:
        part = {name: probe[name] for name in part}
    return {**part, "free_mb": free_mb, "min_free_mb": min_free_mb}


def _inbox(found: Findings) -> Part | None:
    if found.view.get("ended"):
        # its last word was that it has let go
        return {"state": "not watched", "since": found.view["at"], "reason": None}
    return _dated(found, found.view.get("inbox"))


# --- the clusters


def _clusters(found: Findings) -> list[Part]:
    """Return every node as its pool and as its probe see it; None: not known."""
    nodes: Sequence[Part] = found.view.get("probes", {}).get("nodes", [])
    probes = {(node["cluster"], node["address"]): _dated(found, node) for node in nodes}
    if found.clusters:
        return [_served(cluster, probes) for cluster in found.clusters]
    if found.configured and found.configured.clusters:
        known = found.configured.clusters
    else:
        names = dict.fromkeys(name for name, _ in probes)
        known = {name: ("", tuple(at for of, at in probes if of == name)) for name in names}
    return [
        {
            "name": name,
            "title": title,
            "state": UNKNOWN,
            "drained": None,
            "nodes": [{"address": at, "pool": None, "probe": probes.get((name, at))} for at in addresses],
        }
        for name, (title, addresses) in known.items()
    ]


def _served(cluster: Part, probes: Mapping[tuple[str, str], Part | None]) -> Part:
    """Return a cluster of the server's."""
    name = cluster["name"]
    return {
        "name": name,
        "title": cluster["title"],
        "state": cluster["state"],
        "drained": cluster["drain"],
        "nodes": [
            {
                "address": node["address"],
                "pool": node,
                "probe": probes.get((name, node["address"]), node["probe"]),
            }
            for node in cluster["nodes"]
        ],
    }
