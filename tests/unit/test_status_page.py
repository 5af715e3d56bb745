"""`eomd status`: what it says, from whatever could be found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eomd.cli.status_page import format_page
from eomd.cli.status_picture import draw
from eomd.cli.status_sources import Configured, Findings
from eomd.cli.text import width
from eomd.free_space import FreeSpace
from eomd.watchdog.kinds import KINDS, Kind

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
HOUR_AGO, MINUTE_AGO = "2026-11-21T11:00:00+00:00", "2026-11-21T11:59:00+00:00"
UP = {"state": "up", "since": HOUR_AGO, "latency_ms": 0.5, "error": None}
NODE = "127.0.0.1:30717"

Change = Callable[[Findings], object]


def incident(
    kind: Kind, subject: str, summary: str, *remedies: str, closed: str | None = None
) -> dict[str, Any]:
    return {
        "id": "1",
        "kind": kind.value,
        "subject": subject,
        "severity": KINDS[kind].severity.value,
        "opened": MINUTE_AGO,
        "closed": closed,
        "summary": summary,
        "remedies": [{"what": what, "when": MINUTE_AGO, "outcome": "no use"} for what in remedies],
    }


def pool(**differing: Any) -> dict[str, Any]:
    facts = {
        "address": NODE,
        "state": "up",
        "since": HOUR_AGO,
        "latency_ms": 0.4,
        "connections": 4,
        "budget": 4,
    }
    return {**facts, "last_error": None, "probe": None, **differing}


def well() -> Findings:
    """Return what is found where all is well; each test makes something of it worse."""
    inbox = {"state": "watching", "since": HOUR_AGO, "path": "/data/inbox", "reason": None}
    view = {
        "watchdog": {"pid": 7, "since": HOUR_AGO, "version": "1.0"},
        "server": {"state": "ready", "since": HOUR_AGO, "pid": 8, "lag_s": 0.001, "rss_mb": 123},
        "inbox": {**inbox, "waiting": 0, "claimed": 0, "claimed_ever": 5},
        "configuration": {
            "state": "good",
            "since": HOUR_AGO,
            "source": "/etc/eomd/eomd.toml",
            "problems": [],
            "needs_restart": [],
        },
        "probes": {
            "ledger": UP,
            "disk": UP,
            "health": UP,
            "clock": {"state": "steady", "since": HOUR_AGO, "jump_s": 0.0},
            "nodes": [{"cluster": "fish", **UP, "address": NODE}],
        },
    }
    components = {
        "server": {"state": "ready"},
        "ledger": {
            "state": "up",
            "since": HOUR_AGO,
            "latency_ms": 0.7,
            "last_error": None,
            "spooled": 0,
            "probe": "up",
        },
        "operations": {"queued": 0, "running": 2},
        "disk": {"free_mb": 9000, "min_free_mb": 512},
    }
    health = {"status": "ok", "version": "1.0", "commit": "0123456789abcdef", "started": HOUR_AGO}
    cluster = {"name": "fish", "title": "捕鱼集群", "state": "up", "drain": False, "nodes": [pool()]}
    return Findings(
        view=view,
        answered=True,
        watchdog_pid=7,
        server_pid=8,
        health={**health, "components": components},
        clusters=[cluster],
        diary=[{"at": HOUR_AGO, "what": "started", "why": "no server runs"}],
        configured=Configured(Path("/etc/eomd/eomd.toml"), (), 512, {"fish": ("捕鱼集群", (NODE,))}),
        space=FreeSpace(9000.4, 10**6),
    )


# --- what is worse


def server_gone(found: Findings) -> None:
    found.health, found.server_pid, found.clusters = None, None, []


def watchdog_died(found: Findings) -> None:
    found.answered, found.watchdog_pid = False, None
    found.view = {**found.view, "at": MINUTE_AGO}


def ended(found: Findings) -> None:
    watchdog_died(found)
    server_gone(found)
    found.view = {**found.view, "ended": True, "probes": {"nodes": []}, "inbox": {"state": "off"}}


def set_server(**facts: Any) -> Change:
    def change(found: Findings) -> None:
        found.view = {**found.view, "server": {**found.view["server"], **facts}}

    return change


def stopped_by_person(found: Findings) -> None:
    server_gone(found)
    set_server(state="stopped", pid=None, stopped_by_person=MINUTE_AGO)(found)


def set_probe(name: str, **facts: Any) -> Change:
    def change(found: Findings) -> None:
        probes = found.view["probes"]
        found.view = {**found.view, "probes": {**probes, name: {**probes[name], **facts}}}

    return change


def set_part(name: str, **facts: Any) -> Change:
    def change(found: Findings) -> None:
        found.view = {**found.view, name: {**found.view[name], **facts}}

    return change


def set_component(name: str, **facts: Any) -> Change:
    def change(found: Findings) -> None:
        assert found.health is not None
        found.health["components"][name].update(facts)

    return change


def set_node(**facts: Any) -> Change:
    def change(found: Findings) -> None:
        found.clusters[0]["nodes"] = [pool(**facts)]

    return change


def put(name: str, value: Any) -> Change:
    return lambda found: setattr(found, name, value)


def opened(kind: Kind, subject: str, summary: str, *remedies: str) -> Change:
    return lambda found: found.incidents.append(incident(kind, subject, summary, *remedies))


def all_of(*changes: Change) -> Change:
    return lambda found: [change(found) for change in changes]


def picture_of(*changes: Change) -> dict[str, Any]:
    found = well()
    for change in changes:
        change(found)
    return draw(found, NOW)


def page_of(*changes: Change) -> list[str]:
    lines = list(format_page(picture_of(*changes)))
    assert max(map(width, lines)) <= 80
    return lines


def said_of(*changes: Change) -> str:
    """Return the page as one line, without its breaks."""
    return " ".join(" ".join(page_of(*changes)).split())


# --- all is well


def test_a_page_where_all_is_well() -> None:
    lines = page_of()
    assert lines[0].startswith("eomd is ok   2026-11-21 ")
    assert lines[1:] == [
        "",
        "watchdog       running for 1 h 0 min, process 7, server started once today",
        "server         ready for 1 h 0 min, process 8, eomd 1.0 (012345678),",
        "               loop 1 ms late, 123 MB of memory, 2 operations running",
        "configuration  good for 1 h 0 min, /etc/eomd/eomd.toml",
        "ledger         up for 1 h 0 min, 0.7 ms",
        "disk           up for 1 h 0 min, 9,000 MB free, limits.min_free_mb = 512",
        "inbox          watching for 1 h 0 min, 0 files waiting, 0 being handed in,",
        "               5 taken so far, /data/inbox",
        "clock          steady for 1 h 0 min",
        "",
        "cluster        node             pool  probe  for  latency  open",
        "fish 捕鱼集群  127.0.0.1:30717  up    up     1 h  0.4 ms   4/4",
        "",
        "last starts, ends and orders",
        f"  {datetime.fromisoformat(HOUR_AGO).astimezone():%H:%M:%S}  started   no server runs",
    ]


def test_the_picture_is_json() -> None:
    picture = picture_of()
    assert (picture["status"], picture["wrong"]) == ("ok", [])
    assert json.loads(json.dumps(picture)) == picture


# --- something is wrong

LEDGER_AWAY = all_of(
    set_component("ledger", state="down", since=MINUTE_AGO, last_error="refused", spooled=3),
    set_probe("ledger", state="down", error="connection refused"),
)
NODE_DOWN = all_of(
    set_node(state="down", since=MINUTE_AGO, last_error="connection refused", connections=0),
    lambda found: found.clusters[0].update(state="down"),
)
WRONG_FILE = "/etc/eomd/eomd.toml line 7: [server] lisen: unknown key; did you mean listen?"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (
            stopped_by_person,
            "down",
            ["! a person stopped the server (for 1 min) > Start it: eomd start.", "server stopped for 1 h"],
        ),
        (
            all_of(server_gone, set_server(state="starting", pid=9, since=MINUTE_AGO)),
            "down",
            ["! the server is starting (for 1 min) > Wait a moment and look again."],
        ),
        (
            all_of(server_gone, set_server(state="stopped", pid=None, last_end="ended with exit code 1")),
            "down",
            ["! no server runs (for 1 h 0 min) > Wait: it is started again", "last end: ended with exit"],
        ),
        (
            all_of(
                put("health", None),
                set_server(state="stuck", since=MINUTE_AGO),
            ),
            "down",
            ["! the server is stuck (for 1 min) > Wait: it is killed and started again by itself."],
        ),
        (set_server(state="slow", since=MINUTE_AGO), "degraded", ["! the server is slow: it comes late"]),
        (set_server(state="starved"), "degraded", ["! the server gets too little time"]),
        (
            watchdog_died,
            "degraded",
            [
                "! the watchdog has died: nobody looks after the server (for 1 min) > Start it:",
                "watchdog dead for 1 min",
                "server ready for 1 h",
            ],
        ),
        (
            all_of(watchdog_died, put("watchdog_silence", "timed out")),
            "degraded",
            ["! the watchdog does not answer: timed out (for 1 min) > Wait: systemd starts it again."],
        ),
        (
            all_of(watchdog_died, server_gone),
            "down",
            [
                "! the watchdog has died, and the server with it (for 1 min)",
                "server gone",
                "ledger up at ",
                "not looked at since",
                "127.0.0.1:30717 - (up)",
                "In brackets: as the watchdog saw it last; nobody looks now.",
                "disk up, 9,000 MB free",
            ],
        ),
        (
            ended,
            "down",
            [
                "! eomd was ended in order; nothing runs here (for 1 min) > Start it: systemctl",
                "ledger unknown",
                "inbox not watched for 1 min",
                "fish 捕鱼集群 127.0.0.1:30717 - -",
            ],
        ),
        (
            all_of(ended, put("view", {})),
            "down",
            ["! nothing runs here > Start it", "watchdog none, nothing is started again by itself"],
        ),
        (
            LEDGER_AWAY,
            "degraded",
            [
                "! the ledger is down: refused (for 1 min) > Start the database again;",
                "ledger down for 1 min, 0.7 ms, 3 changes wait to be written, refused",
            ],
        ),
        (
            all_of(LEDGER_AWAY, opened(Kind.LEDGER_DOWN, "ledger", "connection refused")),
            "degraded",
            ["! ledger: connection refused (ledger_down, for 1 min) > Start the database again;"],
        ),
        (
            NODE_DOWN,
            "degraded",
            [
                "! fish: none of its nodes can be used; its operations wait (for 1 min) > Its",
                f"! fish {NODE}: down: connection refused (for 1 min) > Start the node again;",
                f"fish 捕鱼集群 {NODE} down up 1 min 0.4 ms 0/4",
            ],
        ),
        (
            opened(Kind.POOL_DISAGREES, f"fish {NODE}", "pool down, probe up", "recycle", "reload"),
            "degraded",
            [
                f"! fish {NODE}: pool down, probe up (pool_disagrees, for 1 min)",
                "recycle: no use tried ",
                "reload: no use > If it stays, look for a firewall",
            ],
        ),
        (
            all_of(
                set_part("configuration", state="wrong", problems=[WRONG_FILE]),
                opened(Kind.CONFIGURATION, "configuration", WRONG_FILE, "last good configuration"),
            ),
            "degraded",
            [
                f"! configuration: {WRONG_FILE} (configuration, for 1 min) tried",
                "> Correct the file at the line named;",
                "configuration wrong for 1 h",
            ],
        ),
        (
            all_of(
                watchdog_died,
                server_gone,
                put("configured", Configured(Path("/x.toml"), (WRONG_FILE,))),
            ),
            "down",
            [f"! the configuration is wrong: {WRONG_FILE} > Correct", "configuration wrong, /x.toml"],
        ),
        (
            all_of(
                set_probe("disk", state="low", error="600 MB free under /data"),
                set_component("disk", free_mb=600),
            ),
            "degraded",
            ["! the disk is low: 600 MB free under /data (for 1 h 0 min) > Free space"],
        ),
        (
            all_of(ended, put("space", FreeSpace(100.0, None))),
            "down",
            ["! the disk is short > Free space", "disk short, 100 MB free"],
        ),
        (
            all_of(
                ended,
                put("space", None),
                put("space_error", "/data: No such file or directory"),
            ),
            "down",
            ["! the disk is unreachable: /data: No such file or directory >"],
        ),
        (
            set_part("inbox", state="unreadable"),
            "degraded",
            ["! the inbox is unreadable (for 1 h 0 min) > Give the inbox back"],
        ),
        (
            set_part("inbox", state="held", reason="the disk is short", waiting=4),
            "degraded",
            ["! files stay in the inbox: the disk is short", "4 files waiting"],
        ),
        (
            set_part("inbox", state="polling"),
            "degraded",
            ["noticed late", "> Raise fs.inotify.max_user_watches"],
        ),
        (
            all_of(
                watchdog_died,
                server_gone,
                put("view", {}),
                put("forbidden", "/data/watchdog is for the user who runs eomd"),
            ),
            "unknown",
            [
                "! /data/watchdog is for the user who runs eomd > Call eomd status as that user, or as root.",
                "watchdog unknown server unknown",
            ],
        ),
        (
            lambda found: found.health.update(status="degraded"),  # type: ignore[union-attr]
            "degraded",
            ["! the server calls itself degraded > Wait a moment and look again."],
        ),
    ],
)
def test_what_is_wrong_is_said_since_when_and_what_to_do(
    change: Change, status: str, says: list[str]
) -> None:
    assert picture_of(change)["status"] == status
    page = said_of(change)
    assert page.startswith(f"eomd is {status} ")
    assert [part for part in says if part not in page] == []


@pytest.mark.parametrize(
    "change",
    [
        set_server(state="slow", since=NOW.isoformat()),
        opened(Kind.CLOCK_JUMPED, "clock", "set forward by 5.0 s"),
        lambda found: found.clusters[0].update(drain=True, state="drained", nodes=[pool(state="down")]),
        set_probe("clock", jump_s=5.0),
        set_part("configuration", needs_restart=["server.listen"]),
        set_part("inbox", state="off"),
    ],
)
def test_what_needs_nobody_is_not_wrong(change: Change) -> None:
    assert picture_of(change)["status"] == "ok"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_incident_is_told_with_what_to_do(kind: Kind) -> None:
    facts = KINDS[kind]
    page = said_of(opened(kind, "something", "it has happened", "restart"))
    told = f"! something: it has happened ({kind}, for 1 min) tried "
    assert (told in page) == (facts.severity.value != "notice")
    assert told not in page or f"restart: no use > {facts.advice}" in page


def test_the_gravest_comes_first() -> None:
    page = said_of(
        opened(Kind.NODE_DOWN, "a", "warning"),
        opened(Kind.LEDGER_DOWN, "b", "critical"),
        set_server(state="draining"),
    )
    places = [page.index(part) for part in ("! the server is about to end", "! b:", "! a:", "watchdog")]
    assert places == sorted(places)


def test_what_nobody_does_any_more_is_not_promised() -> None:
    page = said_of(ended, opened(Kind.SERVER_CRASHED, "server", "exit code 1"))
    assert "! server: exit code 1 (server_crashed, for 1 min)" in page
    assert "started again by itself" not in page


def test_a_change_that_waits_for_a_restart_is_told() -> None:
    page = said_of(set_part("configuration", needs_restart=["server.listen", "ledger.url"]))
    assert "waits for a restart (eomd reload says of what): server.listen, ledger.url" in page


def test_a_clock_that_was_set_is_told() -> None:
    page = said_of(set_probe("clock", since=MINUTE_AGO, jump_s=-90.5))
    assert "clock steady for 1 min, set back by 90.5 s before that" in page


def test_incidents_that_are_over_are_told_for_a_day() -> None:
    over = incident(Kind.NODE_DOWN, "fish", "捕" * 100, closed=NOW.isoformat())
    page = said_of(lambda found: found.lately.append(over))
    assert "incidents that are over" in page
    assert "… (node_down, for 1 min)" in page
    old = {**over, "opened": "2026-11-01T00:00:00+00:00", "closed": "2026-11-01T00:00:00+00:00"}
    assert "incidents that are over" not in said_of(lambda found: found.lately.append(old))


def test_how_often_the_server_was_started_and_failed_is_counted_for_today() -> None:
    entries = [
        {"at": (NOW.replace(day=20)).isoformat(), "what": "started", "why": ""},
        *({"at": MINUTE_AGO, "what": what, "why": "x"} for what in ("started", "ended", "started", "killed")),
    ]
    page = said_of(put("diary", entries))
    assert "server started twice today, failed twice" in page


def test_a_server_elsewhere_is_told_of_without_this_machine() -> None:
    found = replace(well(), is_remote=True, view={}, answered=False, configured=None, space=None, diary=[])
    assert found.health is not None
    found.health["components"]["watchdog"] = {"state": "present", "incidents_open": 0, "server": None}
    picture = draw(found, NOW)
    assert picture["status"] == "ok"
    assert picture["watchdog"]["state"] == "present"
    assert "configuration" not in picture
    assert "disk           up, 9,000 MB free" in "\n".join(format_page(picture))
    found.health["components"]["disk"]["free_mb"] = 100
    assert draw(found, NOW)["wrong"][0]["what"] == "the disk is low"


def test_a_server_elsewhere_that_is_silent_is_down() -> None:
    found = Findings(is_remote=True, server_silence="connection refused")
    picture = draw(found, NOW)
    assert picture["status"] == "down"
    assert picture["wrong"][0]["what"] == "the server does not answer: connection refused"
    assert next(format_page(picture)).startswith("eomd is down")
