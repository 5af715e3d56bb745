"""The HTTP API of a whole server: every error of the table, hand-ins, lists, actions, tokens, definitions."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings, UserRange
from eomd.model import Role
from tests.integration.http_site import CONFIG, Site, multipart, open_site, wait_until

NOWHERE = "127.0.0.1:1:1"


@pytest.fixture(scope="module")
def fish() -> Iterator[SimulatedCluster]:
    settings = SimulatorSettings(counters=(Counter(1001), Counter(1002)), locked=(UserRange(5, 5),), fill=1)
    with SimulatedCluster(settings) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def site(fish: SimulatedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), {"fish": fish, "label": NOWHERE}) as opened:
        yield opened


def held(site: Site, **config: Any) -> int:
    """Hand in an operation that cannot run because its cluster is away."""
    answer = site.hand_in({**CONFIG, "cluster": "label", "wait_s": 0, **config})
    assert answer.status == 201, answer.body
    return int(answer.data["id"])


# --- the table of errors, each met once


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status", "error"),
    [
        ("POST", "/query", b"x", "text/plain", 400, "BAD_REQUEST"),
        ("POST", "/query", b"", "multipart/form-data", 400, "BAD_REQUEST"),
        ("POST", "/query", b"nonsense", "multipart/form-data; boundary=b", 400, "BAD_REQUEST"),
        ("POST", "/query", b"{", "application/json", 400, "BAD_REQUEST"),
        ("POST", "/query", b"{}", "application/json", 400, "INVALID_CONFIG"),
        ("POST", "/upload", b"{}", "application/json", 400, "BAD_REQUEST"),
        ("POST", "/queryoperationsbyoperatorid", b"[" * 99, "application/json", 400, "BAD_REQUEST"),
        ("POST", "/queryoperationsbyoperatorid", b'{"x": 1}', "application/json", 400, "INVALID_CONFIG"),
        ("POST", "/queryoperationsbyoperatorid", b" " * 2**20 + b"{}", "text/plain", 413, "TOO_LARGE"),
        ("GET", "/queryoperationsbyoperatorid?x=1", None, "", 400, "INVALID_CONFIG"),
        ("GET", "/queryoperationsbyoperatorid", None, "", 403, "FORBIDDEN"),
        ("GET", "/operations/1?bigint=yes", None, "", 400, "INVALID_CONFIG"),
        ("GET", "/operations/999", None, "", 404, "NOT_FOUND"),
        ("GET", "/operations/0", None, "", 404, "NOT_FOUND"),
        ("GET", "/operations/abc", None, "", 404, "NOT_FOUND"),
        ("GET", "/operations/99999999999999999999", None, "", 404, "NOT_FOUND"),
        ("GET", "/operations/%FF", None, "", 400, "BAD_REQUEST"),
        ("GET", "/operations/999/events", None, "", 404, "NOT_FOUND"),
        ("GET", "/operations/999/rows", None, "", 404, "NOT_FOUND"),
        ("GET", "/operations/999/summary", None, "", 404, "NOT_FOUND"),
        ("POST", "/operations/999/cancel", b"", "", 404, "NOT_FOUND"),
        ("GET", "/download?name=999-result.csv", None, "", 404, "NOT_FOUND"),
        ("GET", "/download?name=../eomd.db", None, "", 404, "NOT_FOUND"),
        ("GET", "/download?name=/etc/passwd", None, "", 404, "NOT_FOUND"),
        ("GET", "/download?name=x%00y", None, "", 404, "NOT_FOUND"),
        ("GET", "/download", None, "", 400, "INVALID_CONFIG"),
        ("GET", "/download?name=1-source.csv&rows=failed", None, "", 400, "INVALID_CONFIG"),
        ("GET", "/nowhere", None, "", 404, "NOT_FOUND"),
        ("POST", "/nowhere", b"x" * 100_000, "", 404, "NOT_FOUND"),
        ("POST", "/operations/1/undo", b"", "", 404, "NOT_FOUND"),
        ("POST", "/operations/1/approve", b"{}", "", 403, "FORBIDDEN"),
        ("GET", "/operations/1/evidence", None, "", 403, "FORBIDDEN"),
        ("DELETE", "/query", None, "", 405, "METHOD_NOT_ALLOWED"),
        ("BREW", "/query", None, "", 405, "METHOD_NOT_ALLOWED"),
        ("HEAD", "/query", None, "", 405, ""),
        ("PATCH", "/clusters/fish", b"{}", "application/json", 403, "FORBIDDEN"),
        ("PUT", "/nosdata", b"{}", "application/json", 403, "FORBIDDEN"),
        ("GET", "/tokens", None, "", 403, "FORBIDDEN"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_a_wrong_request_is_told_so_in_json(
    site: Site,
    prefix: str,
    method: str,
    path: str,
    body: bytes | None,
    content_type: str,
    status: int,
    error: str,
) -> None:
    answer = site.request(method, prefix + path, body, {"Content-Type": content_type} if content_type else {})
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    if error:
        assert (answer.error, answer.json["code"] // 100) == (error, status)
    if status == 405:
        assert "POST" in answer.headers["Allow"]


def test_a_bad_file_names_its_problems_and_leaves_nothing(site: Site) -> None:
    before = site.get("/queryoperationsbyoperatorid?operatorid=7").data["total"]
    answer = site.hand_in(CONFIG, b"userid\n1\nx\n1.00E+08\n")
    assert (answer.status, answer.error) == (400, "INVALID_FILE")
    assert [problem["line"] for problem in answer.data["problems"]] == [3, 4]
    assert answer.data["total_problems"] == 2
    assert site.get("/queryoperationsbyoperatorid?operatorid=7").data["total"] == before
    wait_until(site.nothing_staged, "the receiving folder is empty")


def test_all_problems_of_a_config_are_told(site: Site) -> None:
    answer = site.hand_in({"mode": "add", "verify": "some", "eids": []})
    assert (answer.status, answer.error) == (400, "INVALID_CONFIG")
    fields = {problem["field"] for problem in answer.data["problems"]}
    assert fields == {"mode", "verify", "eids", "cluster", "operatorid", "operatorname"}


def test_an_unknown_cluster_is_a_problem_of_its_field(site: Site) -> None:
    answer = site.hand_in({**CONFIG, "cluster": "nowhere"})
    assert (answer.status, answer.data["problems"][0]["field"]) == (400, "cluster")


def test_more_than_sixteen_eids_are_too_large(site: Site) -> None:
    answer = site.hand_in({**CONFIG, "eids": list(range(1, 18))})
    assert (answer.status, answer.data) == (413, {"limit": "eids", "value": 16})


def test_a_key_with_other_content_is_refused(site: Site) -> None:
    key = {"Idempotency-Key": "key-reused"}
    first = site.hand_in(CONFIG, headers=key)
    again = site.hand_in(CONFIG, headers=key)
    other = site.hand_in(CONFIG, b"4\n", headers=key)
    assert (first.status, again.status, other.status) == (201, 200, 409)
    assert first.data["id"] == again.data["id"]
    assert other.error == "KEY_REUSED"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_a_wrong_length_is_refused(site: Site, key: str) -> None:
    answer = site.hand_in(CONFIG, headers={"Idempotency-Key": key})
    assert (answer.status, answer.error) == (400, "BAD_REQUEST")


def test_an_ended_operation_cannot_be_cancelled(site: Site) -> None:
    operation = site.hand_in(CONFIG).data["id"]
    answer = site.request("POST", f"/operations/{operation}/cancel")
    assert (answer.status, answer.error) == (409, "WRONG_STATE")
    assert answer.data["state"] == "succeeded"


def test_an_inner_error_gives_a_reference_that_the_log_has(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(site.rooms.desk), "clusters", lambda _: broken())
    answer = site.get("/clusters")
    monkeypatch.undo()
    assert (answer.status, answer.error) == (500, "INTERNAL")
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    assert answer.data["reference"] in caplog.text
    caplog.clear()


# --- hand in and look


def test_a_query_runs_to_its_result(site: Site, fish: SimulatedCluster) -> None:
    view = site.hand_in(CONFIG, b"userid,note\n1,a\n2,b\n99999999999,c\n").data
    assert (view["state"], view["status"], view["executed"], view["handleres"]) == ("partial", 11, 1, 11)
    assert view["rows"] == {"total": 3, "done": 3, "ok": 2, "failed": 1, "uncertain": 0}
    values = fish.values([1001, 1002], [1, 2]).tolist()
    rows = site.get(f"/operations/{view['id']}/rows").data
    assert rows["columns"] == ["userid", "note", "status", "detail", "1001", "1002"]
    assert rows["rows"][0] == ["1", "a", "OK", "", str(values[0][0]), str(values[0][1])]
    failed = site.get(f"/operations/{view['id']}/rows?status=NO_SUCH_USER").data
    assert [row[0] for row in failed["rows"]] == ["99999999999"]
    summary = site.get(f"/operations/{view['id']}/summary").data
    assert summary["statuses"] == {"OK": 2, "NO_SUCH_USER": 1}


def test_a_modify_changes_and_a_dry_run_does_not(site: Site, fish: SimulatedCluster) -> None:
    before = fish.values([1001], [11]).tolist()[0][0]
    modify = {**CONFIG, "eids": "1001", "mode": "inc", "amount": 5}
    dry = site.hand_in({**modify, "dry_run": True}, b"11\n").data
    assert (dry["state"], dry["dry_run"], dry["note"]) == ("succeeded", True, "inc_1001")
    assert fish.values([1001], [11]).tolist() == [[before]]
    assert site.hand_in(modify, b"11\n").data["state"] == "succeeded"
    assert fish.values([1001], [11]).tolist() == [[before + 5]]


@pytest.mark.parametrize("order", [("config", "file"), ("file", "config")])
def test_parts_come_in_either_order(site: Site, order: tuple[str, str]) -> None:
    parts: dict[str, Any] = {"config": json.dumps(CONFIG).encode(), "file": (b"x.csv", b"1\n2\n")}
    kind, body = multipart({name: parts[name] for name in order})
    assert site.request("POST", "/query", body, {"Content-Type": kind}).status == 201


def test_an_upload_may_be_handed_in_several_times(site: Site) -> None:
    kind, body = multipart({"file": ("玩家.csv".encode("gbk"), "用户,备注\n1,a\n2,b\n".encode("gbk"))})
    upload = site.request("POST", "/upload", body, {"Content-Type": kind})
    assert upload.status == 201
    assert (upload.data["rows"], upload.data["columns"], upload.data["total_problems"]) == (
        2,
        ["用户", "备注"],
        0,
    )
    for _ in range(2):
        request = {"config": CONFIG, "sourcename": upload.data["sourcename"]}
        answer = site.request("POST", "/query", json_body=request)
        assert (answer.status, answer.data["rows"]["ok"]) == (201, 2)
    name = site.get(f"/download?name={answer.data['resultname']}").headers["Content-Disposition"]
    assert name.endswith("filename*=UTF-8''%E7%8E%A9%E5%AE%B6-result.csv")
    request["sourcename"] = "upload-00000000-0000-0000-0000-000000000000.csv"
    assert site.request("POST", "/query", json_body=request).status == 404


def test_bigints_come_as_they_are_or_as_strings(site: Site) -> None:
    operatorid = 2**63 - 1
    operation = site.hand_in({**CONFIG, "operatorid": operatorid}).data["id"]
    assert site.get(f"/operations/{operation}").data["operatorid"] == operatorid
    view = site.get(f"/operations/{operation}?bigint=string").data
    assert (view["operatorid"], view["id"]) == (str(operatorid), operation)
    listed = site.get(f"/queryoperationsbyoperatorid?operatorid={operatorid}").data
    assert [item["id"] for item in listed["items"]] == [operation]


def test_the_list_is_filtered_and_paged(site: Site) -> None:
    ids = [
        site.hand_in({**CONFIG, "operatorid": 4711, "description": f"第{n}次"}).data["id"] for n in range(3)
    ]
    page = site.get("/queryoperationsbyoperatorid?operatorid=4711&page_size=2").data
    assert (page["total"], page["page"], page["page_size"]) == (3, 1, 2)
    assert [item["id"] for item in page["items"]] == ids[:0:-1]
    fields = {"operatorid": 4711, "q": "第1次", "state": "succeeded", "model": "query", "cluster": "fish"}
    posted = site.request("POST", "/queryoperationsbyoperatorid", json_body=fields).data
    assert [item["id"] for item in posted["items"]] == [ids[1]]
    created = posted["items"][0]["create_time"].replace("+", "%2B")
    since = site.get(f"/queryoperationsbyoperatorid?operatorid=4711&from={created}").data
    assert [item["id"] for item in since["items"]] == ids[:0:-1]
    everybody = site.get("/queryoperationsbyoperatorid", role=Role.APPROVER).data
    assert everybody["total"] > 3


def test_wait_s_ends_with_its_time(site: Site) -> None:
    answer = site.hand_in({**CONFIG, "cluster": "label", "wait_s": 0.2})
    assert answer.status == 201
    assert answer.data["state"] in ("queued", "running", "paused")
    assert site.request("POST", f"/operations/{answer.data['id']}/cancel").data["state"] == "cancelled"


def test_pause_resume_and_cancel(site: Site) -> None:
    operation = held(site)
    paused = site.request("POST", f"/operations/{operation}/pause")
    # a cluster away may have paused it first: then only resume and cancel are left
    assert paused.status in (200, 409)
    cancelled = site.request("POST", f"/operations/{operation}/cancel", json_body={})
    assert (cancelled.status, cancelled.data["state"]) == (200, "cancelled")
    refused = site.request("POST", f"/operations/{operation}/resume", json_body={"why": "x"})
    assert (refused.status, refused.error) == (400, "INVALID_CONFIG")


# --- who may do what


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("POST", "/query", Role.OPERATOR),
        ("POST", "/modify", Role.OPERATOR),
        ("POST", "/upload", Role.OPERATOR),
        ("GET", "/queryoperationsbyoperatorid?operatorid=1", Role.VIEWER),
        ("GET", "/queryoperationsbyoperatorid", Role.APPROVER),
        ("GET", "/operations/1", Role.VIEWER),
        ("POST", "/operations/1/pause", Role.OPERATOR),
        ("POST", "/operations/1/approve", Role.APPROVER),
        ("POST", "/operations/1/reject", Role.APPROVER),
        ("GET", "/operations/1/evidence", Role.APPROVER),
        ("GET", "/clusters", Role.VIEWER),
        ("PATCH", "/clusters/fish", Role.ADMIN),
        ("GET", "/nosdata", Role.VIEWER),
        ("PUT", "/nosdata", Role.ADMIN),
        ("GET", "/tokens", Role.ADMIN),
        ("DELETE", "/tokens/x", Role.ADMIN),
    ],
)
def test_a_role_may_do_what_it_may(site: Site, method: str, path: str, least: Role) -> None:
    assert site.request(method, path, role=None).status == 401
    for role in Role:
        forbidden = site.request(method, path, role=role).status == 403
        assert forbidden == (role < least), role


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic eDp5", "Bearer eomd_" + "x" * 5000, ""])
def test_a_wrong_token_is_unauthenticated(site: Site, header: str) -> None:
    answer = site.request("GET", "/clusters", headers={"Authorization": header}, role=None)
    assert (answer.status, answer.error) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_is_shown_once_and_kept_as_a_hash(site: Site) -> None:
    made = site.request("POST", "/tokens", json_body={"name": "night job", "role": "viewer"}, unix=True)
    token = made.data["token"]
    assert made.status == 201
    assert len(token) == len("eomd_") + 43
    assert token not in site.get("/tokens", role=Role.ADMIN).body.decode()
    assert token.encode() not in (site.data.path / "eomd.db").read_bytes()
    headers = {"Authorization": f"bearer {token}"}
    assert site.request("GET", "/clusters", headers=headers, role=None).status == 200
    revoked = site.request("DELETE", f"/tokens/{made.data['id']}", unix=True)
    assert revoked.data["revoked"]
    assert site.request("GET", "/clusters", headers=headers, role=None).status == 401
    assert site.request("DELETE", f"/tokens/{made.data['id']}", unix=True).status == 404


def test_the_machines_own_socket_is_an_admins(site: Site) -> None:
    assert os.stat(site.api).st_mode & 0o777 == 0o600
    assert site.request("GET", "/tokens", unix=True, role=None).status == 200


def test_metrics_are_for_this_machine(site: Site) -> None:
    text = site.get("/metrics", role=None).body.decode()
    for name in (
        "eomd_rows_total", "eomd_cluster_request_seconds", "eomd_cluster_connections", "eomd_operations",
        "eomd_loop_lag_seconds", "eomd_ledger_roundtrip_seconds", "eomd_http_requests_total",
    ):  # fmt: skip
        assert name in text
    away = {"X-Forwarded-For": "192.0.2.1"}
    assert site.request("GET", "/metrics", headers=away, role=None).status == 401
    assert site.request("GET", "/metrics", headers=away).status == 200


# --- clusters, definitions, health


def test_clusters_show_their_nodes(site: Site) -> None:
    clusters = {cluster["name"]: cluster for cluster in site.get("/clusters").data}
    assert set(clusters) == {"fish", "label"}
    node = clusters["fish"]["nodes"][0]
    assert (node["state"], node["budget"], node["capabilities"]) == ("up", 2, ["IDEMPOTENT", "RESTORE"])
    assert clusters["label"]["nodes"][0]["state"] in ("down", "connecting")


def test_a_clusters_pace_and_drain_can_be_set(site: Site) -> None:
    changed = site.request(
        "PATCH", "/clusters/label", json_body={"rows_per_s": 5, "drain": True}, role=Role.ADMIN
    )
    assert (changed.data["rows_per_s"], changed.data["drain"]) == (5, True)
    back = site.request(
        "PATCH", "/clusters/label", json_body={"rows_per_s": 0, "drain": False}, role=Role.ADMIN
    )
    assert (back.data["rows_per_s"], back.data["drain"]) == (0, False)
    nobody = site.request("PATCH", "/clusters/nobody", json_body={"drain": True}, role=Role.ADMIN)
    assert nobody.status == 404
    assert site.request("PATCH", "/clusters/label", json_body={}, role=Role.ADMIN).status == 400


def test_definitions_are_replaced_and_bind_hand_ins(site: Site) -> None:
    eid = {
        "cluster": "label",
        "eid": 5,
        "name": "分",
        "unit": "",
        "minimum": -(2**63),
        "maximum": 9,
        "editable": True,
    }
    wanted = {"clusters": [{"name": "label", "title": "标签集群"}], "eids": [eid]}
    put = site.request("PUT", "/nosdata", json_body=wanted, role=Role.ADMIN)
    assert (put.status, put.data) == (200, wanted)
    assert site.get("/nosdata").data == wanted
    refused = site.hand_in({**CONFIG, "cluster": "label"})
    assert (refused.status, refused.data["problems"][0]["field"]) == (400, "eids")
    site.request("PUT", "/nosdata", json_body={"clusters": [], "eids": []}, role=Role.ADMIN)


def test_health_tells_parts_to_those_with_a_token(site: Site) -> None:
    stranger = site.get("/health", role=None).data
    assert set(stranger) == {"status", "version", "commit", "started"}
    assert stranger["status"] == "degraded"
    known = site.get("/health").data
    assert known["components"]["ledger"]["state"] == "up"
    assert known["components"]["clusters"]["label"] == "down"
    assert site.request("HEAD", "/health").body == b""


def test_the_description_and_the_root_are_for_everybody(site: Site) -> None:
    assert site.get("/openapi.json", role=None).json["openapi"].startswith("3.1")
    assert site.get("/api/v1/", role=None).data["openapi"] == "/api/v1/openapi.json"
    assert site.get("/api/v1", role=None).status == 200
    assert site.request("HEAD", "/", role=None).status == 200


def test_an_unknown_path_is_refused_by_name(site: Site) -> None:
    answer = site.request("POST", "/operations/1/forget")
    assert (answer.status, answer.error) == (404, "NOT_FOUND")
    assert "/operations/1/forget" in answer.json["msg"]


def test_answers_are_not_sniffed_framed_or_kept(site: Site) -> None:
    headers = site.get("/clusters").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers
    assert "Access-Control-Allow-Origin" not in headers


# --- events


def read_events(
    site: Site, path: str, stop: threading.Event, **headers: str
) -> Iterator[tuple[str, Any, str | None]]:
    connection = site.connect()
    connection.request(
        "GET", path, headers={"Authorization": f"Bearer {site.tokens[Role.VIEWER]}", **headers}
    )
    response = connection.getresponse()
    assert response.status == 200
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["Content-Type"].startswith("text/event-stream")
    fields: dict[str, str] = {}
    while not stop.is_set() and (line := response.readline().decode()):
        name, _, value = line.rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id")
            fields = {}
        else:
            fields = {}
    connection.close()


def test_events_of_an_operation_go_to_its_end(site: Site) -> None:
    operation = held(site)
    stop = threading.Event()
    events = read_events(site, f"/operations/{operation}/events", stop)
    name, view, _ = next(events)
    assert (name, view["id"]) == ("progress", operation)
    site.request("POST", f"/operations/{operation}/cancel")
    rest = list(events)
    assert [name for name, _, _ in rest].count("end") == 1
    name, view, event_id = rest[-1]
    assert (name, view["state"]) == ("end", "cancelled")
    again = site.request("GET", f"/operations/{operation}/events", headers={"Last-Event-ID": str(event_id)})
    assert (again.status, again.body) == (204, b"")
    late = list(read_events(site, f"/operations/{operation}/events", stop))
    assert [name for name, _, _ in late] == ["end"]


def test_the_overview_tells_of_every_operation(site: Site) -> None:
    stop = threading.Event()
    events = read_events(site, "/events", stop)
    first = {next(events)[0] for _ in range(5)}
    assert first == {"operations", "clusters", "ledger", "health", "incidents"}
    operation = site.hand_in({**CONFIG, "wait_s": 0}).data["id"]
    for name, view, _ in events:
        if name == "operation" and view["id"] == operation and view["state"] == "succeeded":
            break
    else:
        raise AssertionError("the stream ended")
    stop.set()


def test_who_hangs_up_leaves_no_request_behind(site: Site) -> None:
    operation = held(site)
    stop = threading.Event()
    events = read_events(site, f"/operations/{operation}/events", stop)
    next(events)
    active = site.get("/health").data["components"]["server"]["requests"]
    events.close()
    del events
    wait_until(
        lambda: site.get("/health").data["components"]["server"]["requests"] < active, "the stream ends"
    )
    site.request("POST", f"/operations/{operation}/cancel")


# --- a server's beginnings and ends


def test_trusted_proxies_and_mis_networks(fish: SimulatedCluster, tmp_path: Path) -> None:
    with open_site(tmp_path, {"fish": fish}, auth={"mis_networks": ["192.0.2.0/24"]}) as site:

        def ask(method: str, path: str, forwarded: str) -> int:
            return int(site.request(method, path, role=None, headers={"X-Forwarded-For": forwarded}).status)

        assert ask("GET", "/queryoperationsbyoperatorid?operatorid=1", "192.0.2.7") == 200
        assert ask("GET", "/queryoperationsbyoperatorid", "192.0.2.7") == 403
        assert ask("GET", "/download?name=1-log.txt", "192.0.2.7") == 404
        assert ask("GET", "/operations/1", "192.0.2.7") == 401
        assert ask("GET", "/queryoperationsbyoperatorid?operatorid=1", "198.51.100.1") == 401
        # only the last address is the proxy's word
        assert ask("GET", "/queryoperationsbyoperatorid?operatorid=1", "192.0.2.7, 198.51.100.1") == 401
        assert ask("GET", "/queryoperationsbyoperatorid?operatorid=1", "nonsense") == 401
        assert ask("GET", "/queryoperationsbyoperatorid?operatorid=1", "x, 192.0.2.7, 127.0.0.1") == 200


def test_without_auth_everybody_is_admin(tmp_path: Path) -> None:
    with open_site(tmp_path, {"fish": NOWHERE}, auth={"enabled": False}) as site:
        assert site.get("/tokens", role=None).status == 200


def test_the_server_starts_while_the_ledger_is_away(tmp_path: Path) -> None:
    ledger = {"url": "mysql+pymysql://nobody@127.0.0.1:1/none"}
    site = Site(tmp_path, {"fish": NOWHERE}, ledger=ledger).start(tokens=False)
    try:
        assert site.get("/health", role=None).data["status"] == "down"
        answer = site.request("GET", "/clusters", headers={"Authorization": "Bearer x"}, role=None)
        assert (answer.status, answer.error) == (503, "LEDGER_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        kind, body = multipart({"config": json.dumps(CONFIG).encode(), "file": (b"x.csv", b"1\n")})
        refused = site.request("POST", "/query", body, {"Content-Type": kind}, unix=True, role=None)
        assert (refused.status, refused.error) == (503, "LEDGER_UNAVAILABLE")
        assert site.staged() == []
    finally:
        assert site.stop() == 0


def test_a_full_queue_and_a_full_disk_refuse_hand_ins(tmp_path: Path) -> None:
    with open_site(tmp_path / "a", {"label": NOWHERE}, limits={"queued_operations": 1}) as site:
        answers = [site.hand_in({**CONFIG, "cluster": "label", "wait_s": 0}) for _ in range(30)]
        full = answers[-1]
        assert (full.status, full.error) == (429, "QUEUE_FULL")
        assert int(full.headers["Retry-After"]) > 0
    with open_site(tmp_path / "b", {"label": NOWHERE}, limits={"min_free_mb": 10**9}) as site:
        short = site.hand_in({**CONFIG, "cluster": "label"})
        assert (short.status, short.error) == (507, "DISK_FULL")


def test_draining_refuses_hand_ins_and_ends_streams(tmp_path: Path) -> None:
    site = Site(tmp_path, {"label": NOWHERE}).start()
    operation = held(site)
    events = read_events(site, f"/operations/{operation}/events", threading.Event())
    next(events)
    site.call(site.rooms.context.enter)
    kept = site.connect()
    kept.request("GET", "/health")
    kept.getresponse().read()
    site.begin_stop()
    list(events)
    refused = site.hand_in({**CONFIG, "cluster": "label"})
    assert (refused.status, refused.error) == (503, "DRAINING")
    kept.request("GET", "/health")
    answer = kept.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    answer.read()
    site.call(site.rooms.context.leave)
    assert site.wait() == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", site.port), timeout=1)


def test_a_waiting_hand_in_is_answered_when_the_server_drains(tmp_path: Path) -> None:
    site = Site(tmp_path, {"label": NOWHERE}).start()
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(site.hand_in({**CONFIG, "cluster": "label", "wait_s": 60}))
    )
    waiting.start()
    listing = "/queryoperationsbyoperatorid?operatorid=7"
    wait_until(lambda: site.get(listing).data["total"], "the operation is admitted")
    site.begin_stop()
    waiting.join(20)
    assert answers[0].status == 201
    assert site.wait() == 0


def test_tls_where_it_is_configured(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-days",
        "1",
    ]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = {"tls_cert": str(certificate), "tls_key": str(key)}
    with open_site(tmp_path / "site", {"label": NOWHERE}, server=server) as site:
        trust = ssl.create_default_context(cafile=str(certificate))
        secure = http.client.HTTPSConnection("localhost", site.port, context=trust, timeout=20)
        body = b"x" * 5_000_000
        secure.request("POST", "/upload", body, {"Content-Type": "multipart/form-data; boundary=b"})
        assert secure.getresponse().status == 401
        secure.close()
        secure.request("GET", "/health")
        assert secure.getresponse().status == 200
        secure.close()
        for limit, ciphers, agreed in (
            (ssl.TLSVersion.TLSv1_3, "ALL", "TLSv1.3"),
            (ssl.TLSVersion.TLSv1_2, "ALL", "TLSv1.2"),
            (ssl.TLSVersion.TLSv1_2, "AES256-SHA", None),
            (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-SHA384", None),
        ):
            assert shake_hands(site.port, certificate, limit, ciphers) == agreed, ciphers


def shake_hands(port: int, certificate: Path, limit: ssl.TLSVersion, ciphers: str) -> str | None:
    """Return the version that the server agrees to; None where it agrees to none of what is offered."""
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.maximum_version = limit
    trust.set_ciphers(ciphers)
    with socket.create_connection(("localhost", port), timeout=20) as plain:
        try:
            with trust.wrap_socket(plain, server_hostname="localhost") as secure:
                return secure.version()
        except (ssl.SSLError, ConnectionError):
            return None
