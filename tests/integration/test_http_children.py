"""What comes of an operation, over HTTP and on the command line."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Role
from tests.integration.http_site import CONFIG, Answer, Site, open_site


@pytest.fixture(scope="module")
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings(fill=1)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def site(fish: SimulatedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), {"fish": fish}) as opened:
        yield opened


def modified(site: Site, **config: Any) -> int:
    answer = site.hand_in({**CONFIG, "mode": "inc", "amount": 5, **config})
    assert answer.status == 201, answer.body
    return int(answer.data["id"])


def ask(site: Site, operation: int, kind: str, body: Any = None, role: Role = Role.OPERATOR) -> Answer:
    return site.request("POST", f"/operations/{operation}/{kind}", role=role, json_body=body)


def test_the_first_call_makes_the_child_and_later_ones_find_it(site: Site) -> None:
    parent = modified(site, description="gift")
    first = ask(site, parent, "undo")
    assert first.status == 201
    assert (first.data["parent"], first.data["mode"], first.data["note"]) == (parent, "dec", "dec_1001,1002")
    assert first.data["description"] == "gift"
    second = ask(site, parent, "undo", {"description": "again"})
    assert (second.status, second.data["id"]) == (200, first.data["id"])
    assert site.ended(first.data["id"])["state"] == "succeeded"


def test_the_timeline_tells_the_plan_of_an_undo_from_the_undo(site: Site) -> None:
    parent = modified(site)
    plan = ask(site, parent, "undo", {"dry_run": True}).data["id"]
    assert site.ended(plan)["state"] == "succeeded"
    undo = ask(site, plan, "commit").data["id"]
    assert (site.ended(undo)["parent"], site.ended(undo)["plan"]) == (parent, plan)

    def came(operation: int) -> list[tuple[str, int]]:
        items = site.get(f"/operations/{operation}/timeline").data["items"]
        return [(item["what"], item["related"]) for item in items if item["related"]]

    assert came(parent) == [("undo-plan", plan), ("undo", undo)]
    assert came(plan) == [("hand_in", parent), ("commit", undo)]


def test_a_plan_is_seen_and_committed_under_its_hash(site: Site, fish: SimulatedCluster) -> None:
    before = fish.values([1001, 1002], [1, 2, 3]).tolist()
    parent = modified(site, dry_run=True)
    plan = site.get(f"/operations/{parent}/summary").data["plan"]
    assert plan["rows"] == {"change": 3, "same": 0, "fail": 0, "superseded": 0}
    assert ask(site, parent, "commit", {"hash": "0" * 64}).error == "WRONG_STATE"
    body = {"hash": plan["hash"], "only_if_unchanged": True, "operatorid": 9, "operatorname": "王"}
    answer = ask(site, parent, "commit", body)
    assert answer.status == 201
    view = site.ended(answer.data["id"])
    assert (view["state"], view["operatorid"], view["operatorname"]) == ("succeeded", 9, "王")
    assert (view["mode"], view["dry_run"], view["plan"]) == ("inc", False, parent)
    assert fish.values([1001, 1002], [1, 2, 3]).tolist() == [[a + 5, b + 5] for a, b in before]


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("undo", {"only_if_unchanged": True}, "only_if_unchanged"),
        ("retry", {"hash": "0" * 64}, "hash"),
        ("commit", {"hash": "x"}, "hash"),
        ("commit", {"only_if_unchanged": "yes"}, "only_if_unchanged"),
        ("undo", {"operatorid": 9}, "operatorid"),
        ("undo", {"description": ""}, "description"),
    ],
)
def test_fields_that_are_wrong_or_of_another_kind_are_refused(
    site: Site, kind: str, body: Any, field: str
) -> None:
    answer = ask(site, 1, kind, body)
    assert answer.error == "INVALID_CONFIG"
    assert field in answer.json["msg"]


def test_refusals_say_why(site: Site) -> None:
    parent = modified(site)
    answer = ask(site, parent, "retry")
    assert (answer.status, answer.error) == (409, "WRONG_STATE")
    assert "no row failed" in answer.json["msg"]
    assert answer.data == {"operation": parent, "state": "succeeded", "action": "retry"}
    assert ask(site, parent, "commit").error == "WRONG_STATE"
    assert ask(site, 999, "undo").error == "NOT_FOUND"
    assert ask(site, parent, "undo", role=Role.VIEWER).error == "FORBIDDEN"


def test_who_did_it_stands_in_the_audit(site: Site) -> None:
    parent = modified(site)
    ask(site, parent, "undo")
    entries = site.rooms.data.path / "eomd.db"
    query = "SELECT who, detail FROM eom_audit WHERE action = 'undo' AND subject = ?"
    with sqlite3.connect(entries) as ledger:
        [(who, detail)] = ledger.execute(query, (f"operation {parent}",)).fetchall()
    assert "operator" in who
    assert '"rows": 3' in detail


# --- the commands


def command(site: Site, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    token = token or site.tokens[Role.OPERATOR]
    where = ["--url", f"http://127.0.0.1:{site.port}", "--token", token]
    line = [sys.executable, "-m", "eomd", *arguments, *where]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_follow_the_child_to_its_end(site: Site, tmp_path: Path) -> None:
    planned = modified(site, dry_run=True)
    done = command(site, "commit", str(planned), "--only-if-unchanged", "-o", str(tmp_path / "result.csv"))
    assert done.returncode == 0, done.stderr
    assert "plan: 3 rows change, 0 do not, 0 would fail\n  1001: +15 -0\n" in done.stderr
    assert "3 of 3 rows OK" in done.stderr
    assert len((tmp_path / "result.csv").read_text().splitlines()) == 4
    child = int(done.stderr.partition("operation ")[2].split()[0])
    assert site.get(f"/operations/{child}").data["operatorid"] == os.getuid()
    undone = command(site, "operations", "undo", str(child))
    assert undone.returncode == 0, undone.stderr
    refused = command(site, "retry", str(child))
    assert refused.returncode == 1
    assert "no row failed" in refused.stderr


# --- uncertain rows


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Site]:
    """A site whose cluster loses answers and knows no tokens."""
    faults = Faults(no_idempotent=True, close_after=3)
    with (
        SimulatedCluster(SimulatorSettings(max_rows=10, faults=faults)) as fish,
        open_site(tmp_path, {"fish": fish}) as opened,
    ):
        yield opened


def test_uncertain_rows_are_seen_by_operators_and_settled_by_approvers(forgetful: Site) -> None:
    content = b"".join(b"%d\n" % user for user in range(1, 101))
    answer = forgetful.hand_in({**CONFIG, "mode": "inc", "amount": 5}, content)
    parent, uncertain = answer.data["id"], answer.data["rows"]["uncertain"]
    assert uncertain
    seen = forgetful.get(f"/operations/{parent}/settle?limit=1").data
    assert (seen["total"], seen["open"], len(seen["items"])) == (uncertain, uncertain, 1)
    row = seen["items"][0]["row"]
    body: dict[str, Any] = {"rows": [row], "as": "applied"}
    assert ask(forgetful, parent, "settle", body).error == "FORBIDDEN"
    # a service is nobody who could know
    assert ask(forgetful, parent, "settle", body, Role.APPROVER).error == "FORBIDDEN"
    wang = forgetful.make_person(8)

    def decide(body: Any) -> Answer:
        return forgetful.request("POST", f"/operations/{parent}/settle", headers=wang, json_body=body)

    done = decide(body)
    assert (done.status, done.data["id"], done.data["rows"]["uncertain"]) == (200, parent, uncertain - 1)
    for wrong in ({"rows": [], "as": "applied"}, {"rows": "all"}, {"rows": [-1], "as": "applied"}):
        assert decide(wrong).error == "INVALID_CONFIG"
    again = decide({"rows": "all", "as": "send_again"})
    assert (again.status, again.data["parent"], again.data["rows"]["total"]) == (201, parent, uncertain - 1)
    assert decide(body).status == 200


def test_the_command_shows_and_settles(forgetful: Site) -> None:
    content = b"".join(b"%d\n" % user for user in range(1, 101))
    answer = forgetful.hand_in({**CONFIG, "mode": "set", "amount": 5}, content)
    parent, uncertain = str(answer.data["id"]), answer.data["rows"]["uncertain"]
    shown = command(forgetful, "settle", parent)
    assert shown.returncode == 0, shown.stderr
    assert f"{uncertain} uncertain rows, {uncertain} open" in shown.stderr
    assert len(shown.stdout.splitlines()) == uncertain + 1
    row = shown.stdout.splitlines()[1].split()
    assert (row[2], row[3], row[4]) == ("5,5", "?", "5,5")
    assert command(forgetful, "settle", parent, "--as", "applied").returncode == 1
    line = ("settle", parent, "--as", "send-again", "--row", row[0])
    wang = forgetful.make_token("approver", operatorid=8, operatorname="王")
    done = command(forgetful, *line, token=wang)
    assert "of 1 rows" in done.stdout, done.stderr
