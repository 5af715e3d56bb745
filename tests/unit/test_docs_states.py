"""docs/states.md draws and lists the states and transitions that the code has, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from eomd.handover import Heartbeat, Sign
from eomd.model import ACTIONS, TRANSITIONS, NodeState, PausedBy, State
from eomd.watchdog.cluster_probe import NodeProbe
from eomd.watchdog.disk_probe import DiskProbe
from eomd.watchdog.ledger_probe import LedgerProbe
from eomd.watchdog.liveness import SLOW_S, Liveness, Look, Patience, ServerState, hear, look
from eomd.watchdog.porter import InboxState
from eomd.watchdog.server_probe import ServerProbe
from tests.pages import ROOT, fences, read, spans, table, tables

PAGE = read("docs/states.md")

Edges = set[tuple[str, str]]


def states(*head: str) -> list[str]:
    """Return the states of the table that begins so, in their order."""
    return [spans(row[1])[0] for row in table(PAGE, "no", "state", *head)]


def edges(rows: list[list[str]]) -> Edges:
    """Return (from, to) of a table's rows, which may name several states to go from."""
    return {(before, spans(row[2])[0]) for row in rows for before in spans(row[1])}


def drawn(picture: str) -> Edges:
    """Return the edges of a picture but those from nowhere and to nowhere."""
    return {(a, b) for a, b in re.findall(r"^ +(\S+) --> ([\w*\[\]]+)", picture, re.MULTILINE)
            if "[*]" not in (a, b)}  # fmt: skip


def numbered(picture: str) -> dict[tuple[str, str], str]:
    found = re.findall(r"^ +(\w+) --> (\w+): (\w+)$", picture, re.MULTILINE)
    return {(before, after): number for before, after, number in found}


def test_everything_is_numbered_in_order() -> None:
    numbers = [row[0] for head, rows in tables(PAGE) if head[0] == "no" for row in rows]
    series: dict[str, list[int]] = {}
    for number in numbers:
        letters, digits = re.fullmatch(r"([A-Z]+)(\d+)", number).groups()  # type: ignore[union-attr]
        series.setdefault(letters, []).append(int(digits))
    assert len(numbers) == len(set(numbers))
    assert {letters: list(range(1, len(found) + 1)) for letters, found in series.items()} == series


# --- an operation

OPERATION, SERVER = fences(PAGE, "mermaid")


def operation_rows() -> list[list[str]]:
    return table(PAGE, "no", "from", "to", "cause", "who")


def test_an_operations_states_are_those_of_the_model() -> None:
    listed = {spans(row[1])[0]: tuple(row[2:5]) for row in table(PAGE, "no", "state", "status")}
    numbers = {state: tuple(map(str, state.numbers)) for state in State if state is not State.FOREIGN}
    assert listed == {state.value: numbers.get(state, ("", "", "")) for state in State}


def test_an_operations_transitions_are_those_of_the_model() -> None:
    allowed = {(before.value, after.value) for before, afters in TRANSITIONS.items() for after in afters}
    rows = operation_rows()
    assert edges(rows) == allowed
    assert drawn(OPERATION) == allowed
    assert numbered(OPERATION) == {edge: row[0] for row in rows for edge in edges([row])}


def test_a_persons_actions_are_those_of_the_model() -> None:
    listed = {row[0]: set(spans(row[1])) for row in table(PAGE, "action", "in")}
    assert listed == {action: {state.value for state in allowed} for action, allowed in ACTIONS.items()}


def test_every_reason_to_be_paused_is_listed() -> None:
    assert [name for row in table(PAGE, "paused_by") for name in spans(row[0])] == [
        by.value for by in PausedBy
    ]


# --- the server


BEFORE_IT_SERVES = (Sign.WAITING, Sign.STARTING, Sign.REFUSED)


def explore(patience: Patience) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield (what it was seen by, edge) for all that signs and silence can make of a server."""
    beats = [Heartbeat(sign, lag_s=lag_s) for sign in Sign for lag_s in (0.0, SLOW_S)]
    looks = [Look(0.5), Look(0.5, kept_share=1.0), Look(0.5, stopped=True)]
    seen, waiting = set(), [Liveness()]
    while waiting:
        before = waiting.pop()
        key = before.state, before.heard, min(before.in_time, 3)
        if key in seen:
            continue
        seen.add(key)
        for beat in beats:
            if beat.sign in BEFORE_IT_SERVES and before.state is not ServerState.STARTING:
                continue
            after = hear(before, beat)
            yield "signs", (before.state.value, after.state.value)
            waiting.append(after)
        for seen_now in looks:
            now = before
            while now.state is not ServerState.STUCK:
                after = look(now, seen_now, patience)
                yield "silence", (now.state.value, after.state.value)
                waiting.append(after)
                now = after


def server_rows(by: str | None = None) -> list[list[str]]:
    rows = table(PAGE, "no", "from", "to", "seen by")
    return [row for row in rows if by is None or by in row[3].split(", ")]


def test_the_servers_states_are_those_of_the_watchdog() -> None:
    assert set(states("meaning", "callers")) == {state.value for state in ServerState}


def test_the_servers_transitions_are_those_that_signs_and_silence_make() -> None:
    found: dict[str, Edges] = {"signs": set(), "silence": set()}
    for patience in (Patience(0.5, 3.0), Patience(0.5, 1.0)):
        for by, edge in explore(patience):
            found[by].add(edge)
    for by, actual in found.items():
        assert edges(server_rows(by)) == {(a, b) for a, b in actual if a != b}, by


def test_the_supervisor_enters_only_the_states_that_the_page_says() -> None:
    source = (ROOT / "eomd/watchdog/supervisor.py").read_text(encoding="utf-8")
    entered = set(re.findall(r"_enter\(ServerState\.([A-Z]+)\)", source))
    assert {after.upper() for _, after in edges(server_rows("supervisor"))} == entered


def test_the_servers_picture_shows_what_the_table_says() -> None:
    rows = server_rows()
    assert drawn(SERVER) == edges(rows)
    assert numbered(SERVER) == {edge: row[0] for row in rows for edge in edges([row])}


# --- the small ones


def small_states(letter: str) -> set[str]:
    rows = [row for head, rows in tables(PAGE) for row in rows if re.fullmatch(rf"{letter}\d+", row[0])]
    return {spans(row[1])[0] for row in rows}


def test_the_states_of_nodes_and_inbox_are_those_of_the_code() -> None:
    assert small_states("N") == {state.value for state in NodeState}
    assert small_states("I") == {state.value for state in InboxState}


def test_what_a_probe_finds_is_the_incident_that_the_page_says() -> None:
    listed: dict[tuple[str, str], str] = {}
    for _, thing, found, incident in table(PAGE, "no", "thing"):
        for state in spans(found):
            listed[thing, state] = incident
    nodes, ledger, disk, server = (probe.kinds for probe in (NodeProbe, LedgerProbe, DiskProbe, ServerProbe))
    probes = {"a node": nodes, "the ledger": ledger, "the disk": disk, "the server's answers": server}
    actual = {(thing, state): f"`{kind}`" for thing, kinds in probes.items() for state, kind in kinds.items()}
    assert listed == {**actual, ("a node", "draining"): "none"}
