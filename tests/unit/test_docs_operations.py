"""The operator's manual: every state and incident stands in both languages, and both say the same."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from eomd.cli import status_picture
from eomd.model import NodeState, PausedBy, State
from eomd.storage.engine import LedgerSettings, zone_of
from eomd.storage.schema import VERSION_TABLE, make_schema
from eomd.watchdog.disk_probe import DiskProbe
from eomd.watchdog.kinds import KINDS
from eomd.watchdog.ledger_probe import LedgerProbe
from eomd.watchdog.liveness import ServerState
from eomd.watchdog.porter import InboxState
from tests.pages import fences, prose, read, spans, tables

ENGLISH, CHINESE = read("docs/operations.md"), read("docs/运维手册.md")
PAGES = pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])


def section(page: str, number: str) -> str:
    """Return what stands under the heading of this number, up to the next heading."""
    (found,) = re.findall(rf"^#+ {re.escape(number)}\.? .*\n((?:(?!^##).*\n)*)", page, re.MULTILINE)
    return str(found)


def rows(page: str, number: str) -> list[list[str]]:
    """Return the rows of the last table under a heading."""
    *_, (_, found) = tables(section(page, number))
    return found


def named(page: str, number: str, column: int = 0) -> list[str]:
    return [name for row in rows(page, number) for name in spans(row[column])]


# --- nothing is left out


@PAGES
def test_every_kind_of_incident_says_what_it_means_what_eomd_does_and_what_to_do(page: str) -> None:
    listed = rows(page, "5")
    assert [(spans(row[0])[0], row[1]) for row in listed] == [
        (kind.value, facts.severity.value) for kind, facts in KINDS.items()
    ]
    assert [row[0] for row in listed if not all(row[1:])] == []


@PAGES
def test_every_reason_to_be_paused_is_described(page: str) -> None:
    assert named(page, "4.3") == [by.value for by in PausedBy]


@PAGES
def test_every_state_is_described(page: str) -> None:
    assert named(page, "4.2") == [state.value for state in State]
    assert named(page, "4.4") == [*(state.value for state in ServerState), "silent", "gone"]
    assert named(page, "4.6") == [*(state.value for state in NodeState), "unknown"]
    parts: dict[str, set[str]] = {}
    for row in rows(page, "4.7"):
        parts.setdefault(row[0], set()).update(spans(row[1]))
    assert list(parts.values()) == [
        {"up", *LedgerProbe.kinds},
        {"up", *DiskProbe.kinds},
        {*(state.value for state in InboxState), "not watched"},
        {"good", "wrong"},
        {"steady"},
    ]


@PAGES
def test_the_words_of_eomd_status_are_described(page: str) -> None:
    assert set(named(page, "4.1")) >= {"ok", "degraded", "down"}
    said = status_picture._watchdog.__doc__
    assert said is not None
    assert set(named(page, "4.5")) >= set(
        re.findall(r"\b(running|silent|ended|dead|none|present|absent)\b", said)
    )


@PAGES
def test_a_backup_has_every_table(page: str) -> None:
    settings = LedgerSettings("sqlite://")
    schema = make_schema("define_optgroup", zone_of(settings))
    assert {VERSION_TABLE, *schema.optgroup.metadata.tables} <= set(spans(section(page, "6")))


# --- both say the same


def headings(page: str) -> list[str]:
    return re.findall(r"^(#+ (?:[\d.]+ )?)", prose(page), re.MULTILINE)


def test_both_have_the_same_sections() -> None:
    assert headings(ENGLISH) == headings(CHINESE)
    assert len(headings(ENGLISH)) > 15


def test_both_have_the_same_tables() -> None:
    shapes = [
        [(len(head), [len(row) for row in found]) for head, found in tables(page)]
        for page in (ENGLISH, CHINESE)
    ]
    assert shapes[0] == shapes[1]


def numbers(page: str) -> list[str]:
    return [number.split()[-1].rstrip(".") for number in headings(page)[1:]]


@pytest.mark.parametrize("number", numbers(ENGLISH))
def test_both_name_the_same_words_commands_and_numbers(number: str) -> None:
    english, chinese = section(ENGLISH, number), section(CHINESE, number)
    assert Counter(spans(prose(english))) == Counter(spans(prose(chinese)))
    assert digits(english) == digits(chinese)
    assert [bare(block) for block in fences(english)] == [bare(block) for block in fences(chinese)]
    assert len(re.findall(r"\]\(", english)) == len(re.findall(r"\]\(", chinese))


def digits(text: str) -> Counter[str]:
    """Count the numbers of a text, those in links aside."""
    return Counter(re.findall(r"\d+(?:[.,:]\d+)*", re.sub(r"\]\([^)]*\)", "]", prose(text))))


def bare(block: str) -> str:
    """Return a block of code without its comments."""
    return re.sub(r"\s+# .*", "", block)
