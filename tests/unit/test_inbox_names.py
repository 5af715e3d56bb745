"""Names of dropped files: what they ask for, what they become, and what they can hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.inbox_layout import (
    DROPPED_BYTES_MAX,
    NAME_BYTES_MAX,
    PROBLEMS,
    byte_length,
    format_taken,
    hand_in_of,
    is_unfinished,
    parse_taken,
    parse_taken_time,
    shorten,
    stem_of,
)
from eomd.watchdog.charge import InboxCharge
from eomd.watchdog.inbox_names import HandIn, NameProblemError, read_name, read_recipe

INBOX = InboxCharge(Path("/inbox"), True, 5, "night", 5.0, {})
DROPPER = {"operatorid": 5, "operatorname": "night"}
NOON_NS = 1_772_366_400_123_456_789
ORIGIN = bytes(range(16))

#: any name a Linux folder can hold, as Python sees it
NAMES = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b".."))
    .map(lambda name: name.decode("utf-8", "surrogateescape"))
)


def query(eids: str = "1001,1002", **config: Any) -> HandIn:
    return HandIn("query", {**DROPPER, "cluster": "fish", "eids": eids, **config})


def modify(mode: str, eids: str = "1001,1002", **config: Any) -> HandIn:
    return HandIn("modify", {**DROPPER, "cluster": "fish", "mode": mode, "eids": eids, **config})


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("query_fish_1001,1002_anything.csv", query()),
        ("query_fish_1001,1002.csv", query()),
        ("QUERY_Fish_1001,1002_Anything.CSV", query()),
        ("query_fish_1001,1002.TXT", query()),
        ("query_fish_1001,1002_op7.txt", query(operatorid=7)),
        ("query_fish_1001,1002_OP7_a_b.c.csv", query(operatorid=7)),
        ("query_fish_1001,1002_op7x.csv", query()),
        ("query_fish_1001,1002_x_op7.csv", query()),
        ("query_fish_1001,1002_.csv", query()),
        ("query_fish_1001,1002_玩家\n名单.csv", query()),
        ("query_fish_1001,1002_\udcff.csv", query()),
        ("modify_fish_inc_1001,1002_op7_anything.csv", modify("inc", operatorid=7)),
        ("modify_fish_DEC_1001.csv", modify("dec", "1001")),
        ("modify_fish_set_1001.csv", modify("set", "1001")),
    ],
)
def test_a_name_says_what_to_do(name: str, wanted: HandIn) -> None:
    assert read_name(name, INBOX) == wanted


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("players.csv", "neither query_ nor modify_"),
        ("undo_fish_1001.csv", "neither query_ nor modify_"),
        ("query_fish_1001.xlsx", "neither .csv nor .txt"),
        ("query_fish_1001", "neither .csv nor .txt"),
        ("query.csv", "a cluster must follow query_"),
        ("query__1001.csv", "a cluster must follow query_"),
        ("query_1001.csv", "a cluster must follow query_"),
        ("query_fish.csv", "EIDs such as 1001,1002 must follow the cluster"),
        ("query_fish_1001,.csv", "EIDs such as 1001,1002 must follow the cluster"),
        ("query_fish_1001，1002.csv", "EIDs such as 1001,1002 must follow the cluster"),
        ("query_fish_inc_1001.csv", "EIDs such as 1001,1002 must follow the cluster"),
        ("modify_fish_1001.csv", "inc, dec or set must follow the cluster"),
        ("modify_fish_restore_1001.csv", "inc, dec or set must follow the cluster"),
        ("modify_fish_inc_x.csv", "EIDs such as 1001,1002 must follow the mode"),
        ("modify_fish_inc.csv", "EIDs such as 1001,1002 must follow the mode"),
    ],
)
def test_a_name_that_says_too_little_is_told_why(name: str, reason: str) -> None:
    with pytest.raises(NameProblemError, match=reason):
        read_name(name, INBOX)


@given(NAMES)
def test_any_name_is_understood_or_refused(name: str) -> None:
    try:
        wanted = read_name(name, INBOX)
    except NameProblemError:
        return
    assert wanted.model in ("query", "modify")


def test_a_recipe_takes_every_field_of_a_hand_in() -> None:
    recipe = {
        "cluster": "fish",
        "model": "modify",
        "mode": "set",
        "eids": [1001],
        "amount": 0,
        "duplicates": "last",
        "dry_run": True,
        "confirm_repeat": True,
        "canary_rows": 10,
        "canary_wait": True,
        "verify": "all",
        "description": "every night",
        "operatorid": 9,
        "operatorname": "job",
    }
    wanted = read_recipe(recipe, INBOX)
    assert (wanted.model, wanted.confirm_repeat) == ("modify", True)
    assert wanted.config == {k: v for k, v in recipe.items() if k not in ("model", "confirm_repeat")}


def test_who_dropped_it_is_the_inboxs_operator_where_a_recipe_does_not_say() -> None:
    wanted = read_recipe({"cluster": "fish", "model": "query", "eids": [1]}, INBOX)
    assert wanted == HandIn("query", {**DROPPER, "cluster": "fish", "eids": [1]})


@pytest.mark.parametrize("name", ["a.part", "a.csv.PART", "a.tmp", ".a.csv", ".tmp", "a.csv.Tmp"])
def test_an_unfinished_name_is_left_alone(name: str) -> None:
    assert is_unfinished(name)


@pytest.mark.parametrize("name", ["a.csv", "part", "a.partial", "tmp.csv", "a.part.csv"])
def test_other_names_are_not(name: str) -> None:
    assert not is_unfinished(name)


def test_a_taken_name_begins_with_its_time() -> None:
    taken = format_taken(NOON_NS, "query_fish_1.csv")
    assert taken == "20260301T120000.123456789Z-query_fish_1.csv"
    assert parse_taken(taken) == "query_fish_1.csv"
    assert parse_taken_time(taken) == datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@given(NAMES)
def test_a_taken_name_leaves_room_for_what_is_put_around_it(name: str) -> None:
    taken = format_taken(NOON_NS, name)
    assert byte_length(f".{taken}{PROBLEMS}.new") <= NAME_BYTES_MAX
    kept = parse_taken(taken)
    assert kept == shorten(name)
    assert json.loads(json.dumps(taken)) == taken


@given(NAMES)
def test_a_name_is_shortened_only_where_it_must_be(name: str) -> None:
    short = shorten(name)
    assert byte_length(short) <= DROPPED_BYTES_MAX
    if byte_length(name) <= DROPPED_BYTES_MAX:
        assert short == name
    elif name.lower().endswith(".csv"):
        assert short.lower().endswith(".csv")
        assert stem_of(name).startswith(stem_of(short))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.csv", "a"),
        ("a.b.csv", "a.b"),
        ("a", "a"),
        ("a.", "a."),
        (".csv", ".csv"),
        ("..csv", "."),
        ("", ""),
    ],
)
def test_a_stem_is_a_name_without_its_extension(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@pytest.mark.parametrize(
    "name", ["", "x", "20260301T120000Z-a", "20260301T120000.123456789Z-", "20260301T120000.123456789Z-a/b"]
)
def test_what_is_no_taken_name_is_not_taken_for_one(name: str) -> None:
    assert parse_taken(name) is None
    assert parse_taken(f"../{name}") is None


def test_a_hand_in_has_one_uuid_for_each_taken_name_and_installation() -> None:
    taken = format_taken(NOON_NS, "\udcff.csv")
    others = [(ORIGIN, format_taken(NOON_NS + 1, "\udcff.csv")), (bytes(16), taken)]
    uuids = {hand_in_of(*which) for which in [(ORIGIN, taken), (ORIGIN, taken), *others]}
    assert len(uuids) == 3
