"""What `eomd status` has found, as one picture ready for JSON: every part, and how it stands. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from eomd.cli.status_sources import Findings
from eomd.cli.status_verdict import find_wrong

#: of the diary: a server ended that nobody had told to; one left that was told to
FAILURES, ORDERED = ("ended", "killed"), "stopped"
#: entries of the diary in the picture
RESTARTS_SHOWN = 5

Part = dict[str, Any]


def draw(found: Findings, now: datetime) -> dict[str, Any]:
    """Return the picture. `status` is ok, degraded, or down where no server answers."""
    picture = {
        "at": now.isoformat(timespec="seconds"),
        #: when the watchdog wrote down what is known from it, where it does not answer
        "as_of": None if found.answered else found.view.get("at"),
        **{name: part for name, part in _parts(found, now).items() if part is not None},
        "clusters": _clusters(found),
        "incidents": found.incidents,
        "restarts": found.diary[-RESTARTS_SHOWN:],
    }
    wrong = find_wrong(picture, found)
    status = "ok" if not wrong else "degraded" if found.health is not None else "down"
    return {"status": status, "wrong": wrong, **picture}


def _parts(found: Findings, now: datetime) -> dict[str, Part | None]:
    components = (found.health or {}).get("components", {})
    probes = found.view.get("probes", {})
    return {
        "watchdog": None if found.is_remote else _watchdog(found, now),
        "server": _server(found),
        "configuration": found.view.get("configuration"),
        "ledger": _ledger(components.get("ledger"), probes.get("ledger")),
        "disk": _disk(components.get("disk"), probes.get("disk")),
        "inbox": found.view.get("inbox") or components.get("inbox"),
    }


def _watchdog(found: Findings, now: datetime) -> Part:
    """States: running; silent: it lives and does not answer; ended, in order; dead; none: never run."""
    own = found.view.get("watchdog", {})
    today = [entry for entry in found.diary if _is_of_today(entry, now)]
    failures = sum(entry["what"] in FAILURES for entry in today)
    part = {
        "state": "running",
        "since": own.get("since"),
        "pid": own.get("pid") or found.watchdog_pid,
        "restarts_today": failures + sum(entry["what"] == ORDERED for entry in today),
        "failures_today": failures,
        "error": None,
    }
    if found.answered:
        return part
    if found.watchdog_silence:
        return part | {"state": "silent", "error": found.watchdog_silence}
    if not found.view:
        return part | {"state": "none"}
    return part | {"state": "ended" if found.view.get("ended") else "dead", "since": found.view["at"]}


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
        "operations": components.get("operations"),
        "error": found.server_silence or None,
        "stopped_by_person": None,
        "lag_s": None,
        "rss_mb": None,
    }
    if health:
        part["state"] = components.get("server", {}).get("state", "ready")
    return part | {name: value for name, value in seen.items() if name in part and value is not None}


def _ledger(server: Part | None, probe: Part | None) -> Part | None:
    """As the server sees it, else as the probe does."""
    if server is None:
        return probe and {**probe, "spooled": None, "probe": probe}
    return {
        "state": server["state"],
        "since": server["since"],
        "latency_ms": server["latency_ms"],
        "error": server["last_error"],
        "spooled": server["spooled"],
        "probe": probe,
    }


def _disk(server: Part | None, probe: Part | None) -> Part | None:
    if server is None and probe is None:
        return None
    space = server or {"free_mb": None, "min_free_mb": None}
    short = server is not None and server["free_mb"] < 2 * server["min_free_mb"]
    return {
        "state": probe["state"] if probe else "low" if short else "up",
        "since": probe["since"] if probe else None,
        "error": probe["error"] if probe else None,
        "free_mb": space["free_mb"],
        "min_free_mb": space["min_free_mb"],
    }


def _clusters(found: Findings) -> list[Part]:
    """Return every node as its pool and as its probe see it; None: not known."""
    nodes: Sequence[Part] = found.view.get("probes", {}).get("nodes", [])
    probes = {(node["cluster"], node["address"]): node for node in nodes}
    if not found.clusters:
        names = dict.fromkeys(node["cluster"] for node in nodes)
        return [_cluster(name, [n for n in nodes if n["cluster"] == name]) for name in names]
    return [
        {
            "name": cluster["name"],
            "title": cluster["title"],
            "drained": cluster["drain"],
            "nodes": [
                {
                    "address": node["address"],
                    "pool": node,
                    "probe": probes.get((cluster["name"], node["address"]), node["probe"]),
                }
                for node in cluster["nodes"]
            ],
        }
        for cluster in found.clusters
    ]


def _cluster(name: str, probes: Sequence[Part]) -> Part:
    """Return a cluster that only the probes tell of."""
    nodes = [{"address": probe["address"], "pool": None, "probe": probe} for probe in probes]
    return {"name": name, "title": None, "drained": None, "nodes": nodes}
