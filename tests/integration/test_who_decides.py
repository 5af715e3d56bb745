"""Who decides is known to eomd itself: nobody agrees to their own operation under another name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eomd.model import Role
from tests.integration.http_site import CONFIG, Answer, Site, open_site
from tests.integration.test_sessions import Browser, add_user

NOWHERE = {"fish": "127.0.0.1:1:1"}
APPROVAL = {"clusters": ["fish"]}
MODIFY = {**CONFIG, "mode": "inc", "amount": 5, "wait_s": 0}
OTHER = {"operatorid": 8, "operatorname": "王"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), NOWHERE, approval=APPROVAL) as opened:
        yield opened


def waiting(site: Site, **more: Any) -> int:
    """Return an operation of operator 7 that waits for somebody else."""
    made = site.hand_in(MODIFY, **more).data
    assert (made["state"], made["operatorid"]) == ("awaiting_approval", 7)
    return int(made["id"])


def decide(site: Site, operation: int, headers: Mapping[str, str], action: str, **said: Any) -> Answer:
    path = f"/operations/{operation}/{action}"
    return site.request("POST", path, None, headers, role=None, json_body={"reason": "seen", **said})


def stays(site: Site, operation: int, answer: Answer) -> None:
    assert (answer.status, answer.error) == (403, "FORBIDDEN")
    assert site.get(f"/operations/{operation}").data["state"] == "awaiting_approval"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_two_tokens_of_one_person_are_one_person(site: Site, action: str) -> None:
    first, second = (site.make_person(7, Role.ADMIN, "李") for _ in range(2))
    operation = waiting(site, headers=first, role=None)
    for said in ({}, {"operatorid": 7, "operatorname": "somebody else"}, OTHER):
        stays(site, operation, decide(site, operation, second, action, **said))
    stays(site, operation, decide(site, operation, {**second, "X-Operator-Id": "8"}, action))


@pytest.mark.parametrize("action", ["approve", "reject"])
@pytest.mark.parametrize("role", [Role.APPROVER, Role.ADMIN], ids=Role.format)
def test_a_token_of_nobody_decides_for_nobody(site: Site, role: Role, action: str) -> None:
    operation, service = waiting(site), bearer(site.tokens[role])
    for said in ({}, OTHER):
        stays(site, operation, decide(site, operation, service, action, **said))


def test_a_mis_hands_in_for_somebody_and_decides_for_nobody(site: Site) -> None:
    mis = {**bearer(site.make_token("approver")), "X-Operator-Id": "7", "X-Operator-Name": "Li"}
    operation = waiting(site, headers=mis, role=None)
    stays(site, operation, decide(site, operation, {**mis, "X-Operator-Id": "8"}, "approve"))
    stays(site, operation, decide(site, operation, mis, "approve"))
    # the person whom it acted for is the one who may not decide; others may
    stays(site, operation, decide(site, operation, site.make_person(7), "approve"))
    assert decide(site, operation, site.make_person(8), "approve").status == 200


def test_a_session_is_a_person(site: Site) -> None:
    for name, operatorid in (("li", 7), ("wang", 8)):
        assert add_user(site, name, operatorid, "approver").status == 201
    operation = waiting(site)
    for name, status in (("li", 403), ("wang", 200)):
        browser = Browser(site)
        assert browser.log_in(name).status == 201
        headers = {"Cookie": f"eomd_session={browser.cookie}", "X-XSRF-Token": browser.word}
        assert decide(site, operation, headers, "approve").status == status


def test_the_machine_s_own_socket_names_who_decides(site: Site) -> None:
    operation = waiting(site)

    def say(**said: Any) -> Answer:
        path, said = f"/operations/{operation}/approve", {"reason": "seen", **said}
        return site.request("POST", path, role=None, json_body=said, unix=True)

    assert say().error == "INVALID_CONFIG"
    stays(site, operation, say(operatorid=7, operatorname="李"))
    assert say(**OTHER).data["approval"]["decision"]["operatorid"] == 8
    question = "SELECT who FROM eom_audit WHERE action = 'approve' AND subject = ?"
    with closing(sqlite3.connect(site.data.path / "eomd.db")) as ledger:
        [(who,)] = ledger.execute(question, (f"operation {operation}",)).fetchall()
    assert who == f"uid {os.getuid()} for operator 8 (王)"


def test_without_auth_whoever_asks_names_who_decides(tmp_path: Path) -> None:
    with open_site(tmp_path, NOWHERE, approval=APPROVAL, auth={"enabled": False}) as site:
        operation = waiting(site)
        assert decide(site, operation, {}, "approve").error == "INVALID_CONFIG"
        stays(site, operation, decide(site, operation, {}, "approve", operatorid=7, operatorname="李"))
        assert decide(site, operation, {}, "approve", **OTHER).status == 200


def test_a_person_whom_nobody_named_is_called_by_number(site: Site) -> None:
    nameless = bearer(site.make_token("operator", operatorid=12))
    config = {name: value for name, value in MODIFY.items() if not name.startswith("operator")}
    made = site.hand_in(config, headers=nameless, role=None).data
    assert (made["operatorid"], made["operatorname"]) == (12, "12")
    path = f"/operations/{made['id']}"
    assert site.request("POST", f"{path}/cancel", None, nameless, role=None).status == 200
    again = site.request("POST", f"{path}/retry", None, nameless, role=None)
    assert (again.status, again.data["operatorname"]) == (201, "12")
    named = site.hand_in({**config, "operatorname": "Zhao"}, headers=nameless, role=None).data
    assert named["operatorname"] == "Zhao"
