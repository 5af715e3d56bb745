"""The picture that `eomd status` draws, as a page of 80 columns: what is wrong first, then every part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from eomd.cli.table import format_table
from eomd.cli.text import GLUE, cut, wrap
from eomd.cli.times import format_clock, span_since

COLUMNS = 80
#: of what was tried, the newest
TRIED_SHOWN = 3
#: of a line about the past; the diary and `eomd incidents` have the whole
PAST_COLUMNS = 2 * COLUMNS - 40
CLUSTER_COLUMNS, NODE_COLUMNS = 18, 25
_TITLE = 15

Picture = Mapping[str, Any]


def format_page(picture: Picture) -> Iterator[str]:
    """Yield the lines of the page."""
    now = datetime.fromisoformat(picture["at"])
    yield f"eomd is {picture['status']}   {now.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    for wrong in picture["wrong"]:
        yield ""
        yield from _wrong(wrong, now)
    yield from _section("", _parts(picture, now))
    yield from _section("", _nodes(picture["clusters"], now))
    yield from _section("incidents that are over", _lately(picture["lately"], now))
    yield from _section("last starts, ends and orders", _restarts(picture["restarts"], now))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield from [title] if title else []
        yield from found


def _wrong(wrong: Picture, now: datetime) -> Iterator[str]:
    lasts = f"for {_since(wrong, now)}" if wrong["since"] else ""
    tail = ", ".join(word for word in (wrong["kind"], lasts) if word).replace(" ", GLUE)
    yield from wrap(f"! {wrong['what']}" + f" ({tail})" * bool(tail), COLUMNS, "  ")
    for tried in wrong["tried"][-TRIED_SHOWN:]:
        when = _clock(tried["when"], now)
        yield from wrap(f"  tried {when}: {tried['what']}: {tried['outcome']}", COLUMNS, "    ")
    if wrong["advice"]:
        yield from wrap(f"  > {wrong['advice']}", COLUMNS, "    ")


# --- the parts


def _parts(picture: Picture, now: datetime) -> Iterator[str]:
    for name, describe in _DESCRIBE.items():
        part = picture.get(name)
        if part is not None:
            facts = (str(fact) for fact in describe(part, now) if fact not in (None, ""))
            head = f"{name:<{_TITLE}}{_state(part, now)}"
            yield from wrap(", ".join([head, *facts]), COLUMNS, " " * _TITLE)


def _state(part: Picture, now: datetime) -> str:
    """Return how it stands and for how long; of what nobody looks at any more, when it stood so."""
    if part.get("as_of"):
        return f"{part['state']} at {_clock(part['as_of'], now)}, not looked at since"
    return f"{part['state']}" + (f" for {_since(part, now)}" if part.get("since") else "")


def _watchdog(part: Picture, now: datetime) -> Iterator[object]:
    yield _process(part)
    if part["state"] in ("none", "absent"):
        yield "nothing is started again by itself"
    if part["starts_today"] is not None:
        starts, failures = part["starts_today"], part["failures_today"]
        yield f"server started {_times(starts)} today" + f", failed {_times(failures)}" * bool(failures)


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _server(part: Picture, now: datetime) -> Iterator[object]:
    yield _process(part)
    if part["version"]:
        yield f"eomd {part['version']}" + f" ({part['commit'][:9]})" * bool(part["commit"])
    yield f"loop {part['lag_s'] * 1000:.0f} ms late".replace(" ", GLUE) if part["lag_s"] is not None else ""
    yield f"{part['rss_mb']} MB of memory".replace(" ", GLUE) if part["rss_mb"] else ""
    for state, count in (part["operations"] or {}).items():
        yield f"{count} operation{'s' * (count > 1)} {state}" if count else ""
    yield f"last end: {part['last_end']}" if part["state"] == "stopped" and part["last_end"] else ""


def _process(part: Picture) -> str:
    return f"process{GLUE}{part['pid']}" if part["pid"] else ""


def _configuration(part: Picture, now: datetime) -> Iterator[object]:
    yield part["source"]
    if part["needs_restart"]:
        yield f"waits for a restart (eomd reload says of what): {', '.join(part['needs_restart'])}"


def _ledger(part: Picture, now: datetime) -> Iterator[object]:
    yield _milliseconds(part)
    yield f"{part['spooled']} changes wait to be written" if part["spooled"] else ""
    yield part["error"] if part["state"] != "up" else ""
    probe = part["probe"]
    if probe and not probe["as_of"] and probe["state"] not in (part["state"], "unknown"):
        yield f"{probe['state']} for the watchdog" + f": {probe['error']}" * bool(probe["error"])


def _disk(part: Picture, now: datetime) -> Iterator[object]:
    if part["free_mb"] is not None:
        yield f"{part['free_mb']:,} MB free".replace(" ", GLUE)
    if part["min_free_mb"] is not None:
        yield f"limits.min_free_mb = {part['min_free_mb']}".replace(" ", GLUE)
    yield part["error"]


def _inbox(part: Picture, now: datetime) -> Iterator[object]:
    if "waiting" in part:
        yield f"{part['waiting']} files waiting".replace(" ", GLUE)
        yield f"{part['claimed']} being handed in".replace(" ", GLUE)
        yield f"{part['claimed_ever']} taken so far".replace(" ", GLUE)
        yield part["reason"]
    yield part.get("path")


def _set_clock(part: Picture, now: datetime) -> Iterator[object]:
    if part["jump_s"]:
        way = "forward" if part["jump_s"] > 0 else "back"
        yield f"set {way} by {abs(part['jump_s'])} s before that"


_DESCRIBE: Mapping[str, Callable[[Picture, datetime], Iterator[object]]] = {
    "watchdog": _watchdog,
    "server": _server,
    "configuration": _configuration,
    "ledger": _ledger,
    "disk": _disk,
    "inbox": _inbox,
    "clock": _set_clock,
}


# --- tables


def _nodes(clusters: Sequence[Picture], now: datetime) -> Iterator[str]:
    rows = [_node_row(cluster, node, now) for cluster in clusters for node in cluster["nodes"]]
    if rows:
        head = ("cluster", "node", "pool", "probe", "for", "latency", "open")
        yield from format_table(head, rows).splitlines()
    if any(node["probe"] and node["probe"]["as_of"] for cluster in clusters for node in cluster["nodes"]):
        yield "In brackets: as the watchdog saw it last; nobody looks now."


def _node_row(cluster: Picture, node: Picture, now: datetime) -> Sequence[object]:
    pool, probe = node["pool"], node["probe"]
    old = probe is not None and probe["as_of"]
    seen = [each for each in (pool, None if old else probe) if each]
    return (
        cut(" ".join(filter(None, (cluster["name"], cluster["title"]))), CLUSTER_COLUMNS),
        cut(node["address"], NODE_COLUMNS),
        "drained" if cluster["drained"] else pool["state"] if pool else "-",
        "-" if probe is None else f"({probe['state']})" if old else probe["state"],
        _since(seen[0], now, short=True) if seen else "",
        next((_milliseconds(each, " ") for each in seen if each["latency_ms"] is not None), ""),
        f"{pool['connections']}/{pool['budget']}" if pool else "",
    )


def _lately(incidents: Sequence[Picture], now: datetime) -> Iterator[str]:
    for each in incidents:
        lasted = span_since(each["opened"], datetime.fromisoformat(each["closed"]))
        said = cut(f"{each['subject']}: {each['summary']}", PAST_COLUMNS)
        yield from _past(each["opened"], "", f"{said} ({each['kind']}, for {lasted})", now)


def _restarts(entries: Sequence[Picture], now: datetime) -> Iterator[str]:
    for entry in reversed(entries):
        yield from _past(entry["at"], entry["what"], cut(entry["why"], PAST_COLUMNS), now)


def _past(moment: str, what: str, said: str, now: datetime) -> Iterator[str]:
    head = f"  {_clock(moment, now):<10}" + (f"{what:<10}" if what else "")
    yield from wrap(head + said, COLUMNS, " " * len(head))


# --- words


def _clock(moment: str, now: datetime) -> str:
    return format_clock(datetime.fromisoformat(moment), now)


def _since(part: Picture, now: datetime, *, short: bool = False) -> str:
    """Return how long that lasts; short: in its largest unit alone."""
    span = span_since(part["since"], now)
    return " ".join(span.split()[:2]) if short else span.replace(" ", GLUE)


def _milliseconds(part: Picture, space: str = GLUE) -> str:
    return "" if part["latency_ms"] is None else f"{part['latency_ms']:.1f}{space}ms"
