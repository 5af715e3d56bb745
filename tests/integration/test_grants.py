"""Who is granted some clusters and EIDs reaches nothing else; who acts for somebody is told apart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings
from eomd.model import Role
from tests.integration.http_site import Answer, Site, multipart, open_site
from tests.integration.test_sessions import Browser, add_user

CONFIG = {"cluster": "fish", "eids": [1001], "operatorid": 7, "operatorname": "Li", "wait_s": 20}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = SimulatorSettings(counters=(Counter(1001), Counter(1002)), fill=1)
    with (
        SimulatedCluster(settings) as fish,
        SimulatedCluster(replace(settings, cluster="label")) as label,
        open_site(tmp_path_factory.mktemp("site"), {"fish": fish, "label": label}) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def operations(site: Site) -> dict[str, dict[str, Any]]:
    """Ended operations: within the grants, of another cluster, of another EID."""
    wanted = {"own": {}, "label": {"cluster": "label"}, "eid": {"eids": [1001, 1002]}}
    return {name: site.hand_in({**CONFIG, **change}).data for name, change in wanted.items()}


class Holder:
    """Calls with a token that is granted fish and 1001."""

    def __init__(self, site: Site, role: str = "operator", **fields: Any) -> None:
        self.site = site
        self.token = site.make_token(role, **({"clusters": ["fish"], "eids": [1001]} | fields))

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        own = {"Authorization": f"Bearer {self.token}", **headers}
        return self.site.request(method, path, json_body=body, headers=own, role=None)

    def hand_in(self, config: dict[str, Any], **headers: str) -> Answer:
        kind, body = multipart({"config": json.dumps(config).encode(), "file": (b"a.csv", b"1\n2\n")})
        own = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, **headers}
        return self.site.request("POST", "/query", body, own, role=None)


@pytest.fixture(scope="module")
def holder(site: Site) -> Holder:
    return Holder(site)


PATHS = ["", "/rows", "/summary", "/events"]


@pytest.mark.parametrize("path", PATHS)
def test_an_operation_is_seen_only_with_its_cluster_and_all_its_eids(
    holder: Holder, operations: dict[str, dict[str, Any]], path: str
) -> None:
    assert holder.request("GET", f"/operations/{operations['own']['id']}{path}").status == 200
    for other in ("label", "eid"):
        answer = holder.request("GET", f"/operations/{operations[other]['id']}{path}")
        assert (answer.status, answer.error) == (403, "FORBIDDEN")


@pytest.mark.parametrize("name", ["sourcename", "resultname", "logname"])
def test_no_file_of_another_operation_is_fetched(
    holder: Holder, operations: dict[str, dict[str, Any]], name: str
) -> None:
    assert holder.request("GET", f"/download?name={operations['own'][name]}").status == 200
    for other in ("label", "eid"):
        assert holder.request("GET", f"/download?name={operations[other][name]}").status == 403


def test_no_report_of_another_operation_s_read_back_is_fetched(site: Site, holder: Holder) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 1, "verify": "all"}
    own = site.hand_in({**modify, "eids": [1001]}).data["verifyname"]
    other = site.hand_in({**modify, "eids": [1001, 1002]}).data["verifyname"]
    assert holder.request("GET", f"/download?name={own}").status == 200
    assert holder.request("GET", f"/download?name={other}").status == 403


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "commit", "retry", "undo"])
def test_nobody_acts_on_another_operation(
    holder: Holder, operations: dict[str, dict[str, Any]], action: str
) -> None:
    own = holder.request("POST", f"/operations/{operations['own']['id']}/{action}")
    assert own.error == "WRONG_STATE"
    assert holder.request("POST", f"/operations/{operations['eid']['id']}/{action}").error == "FORBIDDEN"


def test_lists_hold_what_is_granted(
    site: Site, holder: Holder, operations: dict[str, dict[str, Any]]
) -> None:
    listed = holder.request("GET", "/queryoperationsbyoperatorid?operatorid=7&page_size=200").data
    ids = {item["id"] for item in listed["items"]}
    assert operations["own"]["id"] in ids
    assert not ids & {operations["label"]["id"], operations["eid"]["id"]}
    assert [cluster["name"] for cluster in holder.request("GET", "/clusters").data] == ["fish"]
    definitions = {
        "clusters": [{"name": "fish", "title": "鱼"}, {"name": "label", "title": "标签"}],
        "eids": [{"cluster": c, "eid": e} for c in ("fish", "label") for e in (1001, 1002)],
    }
    assert site.request("PUT", "/nosdata", json_body=definitions, role=Role.ADMIN).status == 200
    seen = holder.request("GET", "/nosdata").data
    assert [title["name"] for title in seen["clusters"]] == ["fish"]
    assert [(eid["cluster"], eid["eid"]) for eid in seen["eids"]] == [("fish", 1001)]


@pytest.mark.parametrize("change", [{"cluster": "label"}, {"eids": [1002]}, {"eids": [1001, 1002]}])
def test_nothing_else_is_handed_in(site: Site, holder: Holder, change: dict[str, Any]) -> None:
    assert holder.hand_in({**CONFIG, **change}).error == "FORBIDDEN"
    kind, body = multipart({"file": (b"a.csv", b"1\n")})
    own = {"Authorization": f"Bearer {holder.token}", "Content-Type": kind}
    kept = site.request("POST", "/upload", body, own, role=None).data["sourcename"]
    request = {"config": {**CONFIG, **change}, "sourcename": kept}
    assert holder.request("POST", "/query", request).error == "FORBIDDEN"
    assert holder.request("POST", "/query", {"config": CONFIG, "sourcename": kept}).status == 201


def test_an_admin_of_some_clusters_is_none_of_all(site: Site) -> None:
    admin = Holder(site, "admin")
    assert admin.request("PATCH", "/clusters/fish", {"drain": False}).status == 200
    assert admin.request("PATCH", "/clusters/label", {"drain": False}).status == 403
    for method, path in (("GET", "/tokens"), ("POST", "/tokens"), ("GET", "/users"), ("POST", "/users"),
                         ("PATCH", "/users/li"), ("PUT", "/nosdata")):  # fmt: skip
        body = {} if method != "GET" else None
        assert admin.request(method, path, body).status == 403


def test_the_overview_s_stream_holds_what_is_granted(site: Site, holder: Holder) -> None:
    connection = site.connect()
    connection.request("GET", "/events", headers={"Authorization": f"Bearer {holder.token}"})
    stream = connection.getresponse()
    try:
        assert holder.hand_in(CONFIG).status == 201
        other = site.hand_in({**CONFIG, "cluster": "label"}).data["id"]
        own = holder.hand_in(CONFIG).data["id"]
        seen: list[dict[str, Any]] = []
        event = ""
        while not any(view["id"] == own for view in seen):
            line = stream.readline().decode()
            if line.startswith("event:"):
                event = line.split()[1]
            elif line.startswith("data:") and event == "clusters":
                assert [cluster["name"] for cluster in json.loads(line[5:])] == ["fish"]
            elif line.startswith("data:") and event == "operation":
                seen.append(json.loads(line[5:]))
        assert other not in {view["id"] for view in seen}
    finally:
        connection.close()


def test_a_session_hands_in_as_its_user(site: Site) -> None:
    assert add_user(site, "wang", 4711, clusters=["fish"]).status == 201
    browser = Browser(site)
    browser.log_in("wang")
    config = {"cluster": "fish", "eids": [1001], "wait_s": 20}
    kind, body = multipart({"config": json.dumps(config).encode(), "file": (b"a.csv", b"1\n")})
    headers = {"Content-Type": kind, "Cookie": f"eomd_session={browser.cookie}", "X-XSRF-Token": browser.word}
    made = site.request("POST", "/query", body, headers, role=None)
    assert (made.data["operatorid"], made.data["operatorname"]) == (4711, "Wang")
    listed = browser.request("GET", "/queryoperationsbyoperatorid").data
    assert [item["id"] for item in listed["items"]] == [made.data["id"]]
    config |= {"operatorid": 7, "operatorname": "Li"}
    kind, body = multipart({"config": json.dumps(config).encode(), "file": (b"a.csv", b"1\n")})
    assert site.request("POST", "/query", body, headers, role=None).error == "FORBIDDEN"


def test_a_person_s_token_hands_in_as_that_person_alone(site: Site) -> None:
    person = Holder(site, operatorid=7, operatorname="Li")
    assert person.hand_in({**CONFIG, "operatorname": "Somebody"}).data["operatorname"] == "Li"
    assert person.hand_in({**CONFIG, "operatorid": 8}).error == "FORBIDDEN"
    assert person.request("GET", "/session").data["operatorid"] == 7
    assert person.hand_in(CONFIG, **{"X-Operator-Id": "8"}).error == "FORBIDDEN"


def test_the_audit_shows_the_service_and_whom_it_acts_for(site: Site) -> None:
    service = Holder(site, clusters=None, eids=None, name="mis")
    made = service.hand_in({**CONFIG, "operatorid": 8, "operatorname": "李"}).data
    named = {"X-Operator-Id": "9", "X-Operator-Name": "%E7%8E%8B"}
    held = site.hand_in({**CONFIG, "wait_s": 0}).data["id"]
    site.ended(held)
    with closing(sqlite3.connect(site.data.path / "eomd.db")) as ledger:
        query = "SELECT who FROM eom_audit WHERE subject = ?"
        assert ledger.execute(query, (f"operation {made['id']}",)).fetchall() == [
            ("token mis for operator 8 (李)",)
        ]
    site.request("PATCH", "/clusters/label", json_body={"drain": True}, role=Role.ADMIN)
    try:
        waiting = site.hand_in({**CONFIG, "cluster": "label", "wait_s": 0}).data["id"]
        assert service.request("POST", f"/operations/{waiting}/cancel", **named).status == 200
    finally:
        site.request("PATCH", "/clusters/label", json_body={"drain": False}, role=Role.ADMIN)
    with closing(sqlite3.connect(site.data.path / "eomd.db")) as ledger:
        query = "SELECT who FROM eom_audit WHERE subject = ? AND action = 'cancel'"
        assert ledger.execute(query, (f"operation {waiting}",)).fetchall() == [
            ("token mis for operator 9 (王)",)
        ]
