"""The picture that `eomd status` draws, as a page of 80 columns: what is wrong first, then every part."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from eomd.cli.table import format_table
from eomd.cli.times import format_clock, span_since

COLUMNS = 80
#: of what was tried, the newest
TRIED_SHOWN = 3
#: of a line about the past; the diary has the whole
REASON_CHARACTERS = 110
NAME_CHARACTERS, NODE_CHARACTERS = 14, 25
_TITLE = 15
#: a space at which no line is broken
_GLUE = "\N{NO-BREAK SPACE}"

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
    yield from _section("last starts, ends and orders", _restarts(picture["restarts"], now))
    if picture["as_of"]:
        said = (
            f"What only the watchdog knows is as it last wrote it down, {_since(picture, now, 'as_of')} ago."
        )
        yield from _section("", _wrap(said))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield from [title] if title else []
        yield from found


def _wrong(wrong: Picture, now: datetime) -> Iterator[str]:
    lasts = f"for {_since(wrong, now)}" if wrong["since"] else ""
    tail = ", ".join(word for word in (wrong["kind"], lasts) if word).replace(" ", _GLUE)
    yield from _wrap(f"! {wrong['what']}" + f" ({tail})" * bool(tail), "  ")
    for tried in wrong["tried"][-TRIED_SHOWN:]:
        when = format_clock(datetime.fromisoformat(tried["when"]), now)
        yield from _wrap(f"  tried {when}: {tried['what']}: {tried['outcome']}", "    ")
    if wrong["advice"]:
        yield from _wrap(f"  > {wrong['advice']}", "    ")


# --- the parts


def _parts(picture: Picture, now: datetime) -> Iterator[str]:
    for name, describe in _DESCRIBE.items():
        part = picture.get(name)
        if part is not None:
            lasts = f" for {_since(part, now)}" if part.get("since") else ""
            facts = (str(fact) for fact in describe(part) if fact not in (None, ""))
            yield from _wrap(f"{name:<{_TITLE}}{', '.join([part['state'] + lasts, *facts])}", " " * _TITLE)


def _watchdog(part: Picture) -> Iterator[object]:
    yield _process(part)
    if part["state"] == "none":
        yield "nothing here is started again by itself"
        return
    restarts, failures = part["restarts_today"], part["failures_today"]
    yield f"{restarts or 'no'} restart{'s' * (restarts > 1)} today"
    yield f"{failures} unasked for" if failures else ""


def _server(part: Picture) -> Iterator[object]:
    yield _process(part)
    if part["version"]:
        yield f"eomd {part['version']}" + f" ({part['commit'][:9]})" * bool(part["commit"])
    yield f"lag{_GLUE}{part['lag_s'] * 1000:.0f}{_GLUE}ms" if part["lag_s"] is not None else ""
    yield f"{part['rss_mb']}{_GLUE}MB" if part["rss_mb"] else ""
    if part["operations"]:
        counts = part["operations"]
        yield ", ".join(f"{count} operations {state}" for state, count in counts.items() if count)


def _process(part: Picture) -> str:
    return f"process{_GLUE}{part['pid']}" if part["pid"] else ""


def _configuration(part: Picture) -> Iterator[object]:
    yield part["source"]
    if part["needs_restart"]:
        yield f"waits for a restart (eomd reload says of what): {', '.join(part['needs_restart'])}"


def _ledger(part: Picture) -> Iterator[object]:
    yield _milliseconds(part)
    yield f"{part['spooled']} changes wait to be written" if part["spooled"] else ""
    yield part["error"] if part["state"] != "up" else ""
    probe = part["probe"]
    if probe and probe["state"] not in (part["state"], "unknown"):
        yield f"{probe['state']} for the watchdog" + f": {probe['error']}" * bool(probe["error"])


def _disk(part: Picture) -> Iterator[object]:
    if part["free_mb"] is not None:
        yield f"{part['free_mb']:,} MB free".replace(" ", _GLUE)
        yield f"limits.min_free_mb = {part['min_free_mb']}".replace(" ", _GLUE)
    yield part["error"]


def _inbox(part: Picture) -> Iterator[object]:
    if "waiting" in part:
        yield f"{part['waiting']} waiting"
        yield f"{part['claimed']} claimed"
        yield f"{part['claimed_ever']} since the start"
        yield part["reason"]
    yield part.get("path")


_DESCRIBE: Mapping[str, Callable[[Picture], Iterator[object]]] = {
    "watchdog": _watchdog,
    "server": _server,
    "configuration": _configuration,
    "ledger": _ledger,
    "disk": _disk,
    "inbox": _inbox,
}


# --- tables


def _nodes(clusters: Sequence[Picture], now: datetime) -> Iterator[str]:
    rows = [_node_row(cluster, node, now) for cluster in clusters for node in cluster["nodes"]]
    if rows:
        head = ("cluster", "node", "pool", "probe", "for", "latency", "open")
        yield from format_table(head, rows).splitlines()


def _node_row(cluster: Picture, node: Picture, now: datetime) -> Sequence[object]:
    pool, probe = node["pool"], node["probe"]
    seen = [each for each in (pool, probe) if each]
    return (
        _cut(cluster["name"], NAME_CHARACTERS),
        _cut(node["address"], NODE_CHARACTERS),
        "drained" if cluster["drained"] else pool["state"] if pool else "-",
        probe["state"] if probe else "-",
        _since(seen[0], now, short=True) if seen else "",
        next((_milliseconds(each, " ") for each in seen if each["latency_ms"] is not None), ""),
        f"{pool['connections']}/{pool['budget']}" if pool else "",
    )


def _restarts(entries: Sequence[Picture], now: datetime) -> Iterator[str]:
    for entry in reversed(entries):
        head = f"  {format_clock(datetime.fromisoformat(entry['at']), now):<17}{entry['what']:<10}"
        yield from _wrap(head + _cut(entry["why"], REASON_CHARACTERS), " " * len(head))


# --- words


def _since(part: Picture, now: datetime, key: str = "since", *, short: bool = False) -> str:
    """Return how long ago that was; short: in its largest unit alone."""
    span = span_since(part[key], now)
    return " ".join(span.split()[:2]) if short else span.replace(" ", _GLUE)


def _milliseconds(part: Picture, space: str = _GLUE) -> str:
    return "" if part["latency_ms"] is None else f"{part['latency_ms']:.1f}{space}ms"


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _wrap(text: str, indent: str = "") -> Iterator[str]:
    """Yield the text in lines of at most COLUMNS, those after the first indented."""
    printable = "".join(c if c.isprintable() or c == _GLUE else "�" for c in text)
    for line in textwrap.wrap(printable, COLUMNS, subsequent_indent=indent, break_on_hyphens=False):
        yield line.replace(_GLUE, " ")
