"""People log in, change what they may, and go; guessing their passwords gets nobody far."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from eomd.model import Role
from eomd.operations.links import LINK_LIFE
from eomd.operations.passwords import hash_password
from eomd.operations.throttle import FORGET_S, FREE_TRIES, TRIES_MAX, Throttle
from tests.integration.http_site import DEADLINE_S, Answer, Site, open_site

PASSWORD = "kite rain 7 lantern"
OTHER = "window 3 harbour salt"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), {"fish": "127.0.0.1:1:1"}) as opened:
        yield opened


class Browser:
    """Keeps cookies, and says the page's word with every change."""

    def __init__(self, site: Site) -> None:
        self.site, self.cookie, self.word = site, "", ""

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        own = {"X-XSRF-Token": self.word} if self.word else {}
        if self.cookie:
            own["Cookie"] = f"eomd_session={self.cookie}"
        answer = self.site.request(method, path, json_body=body, headers=own | headers, role=None)
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookie = SimpleCookie(line)["eomd_session"].value
        return answer

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        answer = self.request("POST", "/session", {"name": name, "password": password})
        if answer.status == 201:
            self.word = answer.data["xsrf_token"]
        return answer


def add_user(site: Site, name: str, operatorid: int, role: str = "operator", **fields: Any) -> Answer:
    user = {"name": name, "operatorid": operatorid, "operatorname": name.title(), "role": role}
    return site.request("POST", "/users", json_body={"password": PASSWORD, **user, **fields}, role=Role.ADMIN)


def change(site: Site, name: str, **fields: Any) -> Answer:
    return site.request("PATCH", f"/users/{name}", json_body=fields, role=Role.ADMIN)


@pytest.fixture
def user(site: Site, request: pytest.FixtureRequest) -> str:
    """A user of the test's own."""
    number = sum(map(ord, request.node.name)) * 1000 + len(
        site.request("GET", "/users", role=Role.ADMIN).data
    )
    answer = add_user(site, f"u{number}", number)
    assert answer.status == 201, answer.body
    return f"u{number}"


@pytest.fixture
def stopped_clock(site: Site) -> Iterator[list[float]]:
    """Seconds of the counting of passwords, as the test says."""
    people, now_s = site.rooms.context.access.people, [1e6]
    people._throttle, people._clock_s = Throttle(), lambda: now_s[0]
    yield now_s
    people._throttle, people._clock_s = Throttle(), time.monotonic


def audited(site: Site, subject: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(site.data.path / "eomd.db")) as ledger:
        query = "SELECT who, action FROM eom_audit WHERE subject = ? ORDER BY id"
        return ledger.execute(query, (subject,)).fetchall()


def test_who_has_logged_in_is_known_until_they_log_out(site: Site, user: str) -> None:
    browser = Browser(site)
    answer = browser.log_in(user)
    assert answer.status == 201, answer.body
    cookie = answer.headers["Set-Cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/", "max-age=43200"))
    assert "secure" not in cookie
    session = browser.request("GET", "/session").data
    assert (session["name"], session["role"]) == (f"user {user}", "operator")
    assert session["xsrf_token"] == browser.word
    held = browser.cookie
    assert browser.request("DELETE", "/session").status == 200
    browser.cookie = held
    assert browser.request("GET", "/session").status == 401
    assert [action for _, action in audited(site, f"user {user}")] == ["add_user", "log_in", "log_out"]


def test_who_logs_out_everywhere_is_out_of_every_browser(site: Site, user: str) -> None:
    browsers = [Browser(site) for _ in range(3)]
    for browser in browsers:
        assert browser.log_in(user).status == 201
    code, _ = site.rooms.context.access.people.make_link(user)
    assert browsers[0].request("DELETE", "/session").status == 200
    assert browsers[1].request("GET", "/session").status == 200
    assert browsers[1].request("DELETE", "/session?everywhere=maybe").status == 400
    assert browsers[1].request("DELETE", "/session?everywhere=1").status == 200
    assert browsers[2].request("GET", "/session").status == 401
    assert Browser(site).request("POST", "/session", {"link": code}).status == 401
    assert browsers[2].log_in(user).status == 201


def test_neither_password_nor_session_is_kept_in_clear(site: Site, user: str) -> None:
    browser = Browser(site)
    browser.log_in(user)
    kept = b"".join(path.read_bytes() for path in site.data.path.glob("eomd.db*"))
    assert PASSWORD.encode() not in kept
    assert browser.cookie.encode() not in kept
    assert PASSWORD not in json.dumps(site.request("GET", "/users", role=Role.ADMIN).json)


def test_behind_tls_the_cookie_is_for_tls_alone(site: Site, user: str) -> None:
    body = json.dumps({"name": user, "password": PASSWORD}).encode()
    headers = {"Content-Type": "application/json", "X-Forwarded-Proto": "https"}
    answer = site.request("POST", "/session", body, headers, role=None)
    assert "secure" in answer.headers["Set-Cookie"].lower()


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_another_site_logs_nobody_in(site: Site, user: str, content_type: str) -> None:
    body = json.dumps({"name": user, "password": PASSWORD}).encode()
    answer = site.request("POST", "/session", body, {"Content-Type": content_type}, role=None)
    assert (answer.status, answer.error) == (400, "BAD_REQUEST")


def test_what_is_wrong_is_not_told(site: Site, user: str) -> None:
    assert change(site, user, disabled=True).status == 200
    answers = [Browser(site).log_in(user), Browser(site).log_in(user, OTHER), Browser(site).log_in("nobody")]
    assert {(answer.status, answer.json["msg"]) for answer in answers} == {
        (401, "the name or the password is wrong")
    }


def test_a_change_without_the_page_s_word_is_refused(site: Site, user: str) -> None:
    browser = Browser(site)
    browser.log_in(user)
    for word in ("", "0" * 64):
        answer = browser.request("DELETE", "/session", **{"X-XSRF-Token": word})
        assert (answer.status, answer.error) == (403, "FORBIDDEN")
    assert browser.request("GET", "/session").status == 200


def test_guessing_has_to_wait_and_an_admin_ends_that(
    site: Site, user: str, stopped_clock: list[float]
) -> None:
    for _ in range(FREE_TRIES):
        assert Browser(site).log_in(user, "wrong").status == 401
    waiting = Browser(site).log_in(user)
    assert (waiting.status, waiting.error, waiting.headers["Retry-After"]) == (429, "TOO_MANY_ATTEMPTS", "1")
    stopped_clock[0] += 1.0
    assert Browser(site).log_in(user, "wrong").status == 401
    assert Browser(site).log_in(user).headers["Retry-After"] == "2"
    assert change(site, user, locked=False).status == 200
    assert Browser(site).log_in(user).status == 201


def test_a_lock_is_in_the_ledger(site: Site, user: str, stopped_clock: list[float]) -> None:
    for _ in range(TRIES_MAX):
        assert Browser(site).log_in(user, "wrong").status == 401
        stopped_clock[0] += 100.0
    # what was counted is forgotten, as it is by another life of the server
    stopped_clock[0] += FORGET_S
    locked = Browser(site).log_in(user)
    assert (locked.status, locked.error) == (429, "TOO_MANY_ATTEMPTS")
    [view] = [one for one in site.request("GET", "/users", role=Role.ADMIN).data if one["name"] == user]
    assert view["locked_until"] is not None
    assert change(site, user, password=OTHER).data["locked_until"] is None
    assert Browser(site).log_in(user, OTHER).status == 201


def test_another_password_ends_all_sessions(site: Site, user: str) -> None:
    here, there = Browser(site), Browser(site)
    here.log_in(user)
    there.log_in(user)
    wrong = here.request("PUT", "/session/password", {"old": OTHER, "new": OTHER})
    assert (wrong.status, wrong.error) == (401, "UNAUTHENTICATED")
    weak = here.request("PUT", "/session/password", {"old": PASSWORD, "new": "password1234"})
    assert weak.data["problems"][0]["field"] == "password"
    assert here.request("PUT", "/session/password", {"old": PASSWORD, "new": OTHER}).status == 200
    assert there.request("GET", "/session").status == 401
    assert Browser(site).log_in(user).status == 401
    assert Browser(site).log_in(user, OTHER).status == 201


def kept_hash(site: Site, user: str, new: str | None = None) -> str:
    """Return what is kept of a user's password; `new` is written in its place first."""
    with closing(sqlite3.connect(site.data.path / "eomd.db", timeout=DEADLINE_S)) as ledger, ledger:
        if new is not None:
            ledger.execute("UPDATE eom_users SET password = ? WHERE name = ?", (new, user))
        query = "SELECT password FROM eom_users WHERE name = ?"
        return str(ledger.execute(query, (user,)).fetchone()[0])


def test_a_log_in_hashes_as_it_is_done_today(site: Site, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kept_hash(site, user)
    monkeypatch.setattr("eomd.operations.people.is_outdated", lambda kept: kept == before)
    browser = Browser(site)
    assert browser.log_in(user).status == 201
    assert browser.request("GET", "/session").status == 200
    assert kept_hash(site, user) != before
    assert Browser(site).log_in(user).status == 201


@pytest.mark.parametrize("outdated", [False, True])
def test_a_log_in_on_its_way_does_not_outlive_another_password(
    site: Site, user: str, monkeypatch: pytest.MonkeyPatch, outdated: bool
) -> None:
    another = hash_password(OTHER)

    def change_meanwhile(_: str) -> bool:
        kept_hash(site, user, another)
        return outdated

    monkeypatch.setattr("eomd.operations.people.is_outdated", change_meanwhile)
    answer = Browser(site).log_in(user)
    assert (answer.status, answer.error) == (401, "UNAUTHENTICATED")
    assert kept_hash(site, user) == another


def test_disabling_ends_all_sessions_at_once(site: Site, user: str) -> None:
    browser = Browser(site)
    browser.log_in(user)
    assert change(site, user, disabled=True).data["disabled"] is not None
    assert browser.request("GET", "/session").status == 401
    assert change(site, user, disabled=False).data["disabled"] is None
    assert browser.request("GET", "/session").status == 401


def test_a_new_role_counts_in_a_session_that_is_there(site: Site, user: str) -> None:
    browser = Browser(site)
    browser.log_in(user)
    assert browser.request("GET", "/tokens").status == 403
    change(site, user, role="admin")
    assert browser.request("GET", "/tokens").status == 200


def test_a_name_and_an_operatorid_are_one_person_s(site: Site, user: str) -> None:
    taken = add_user(site, user, 1)
    assert taken.data["problems"] == [{"field": "name", "reason": "is another user's"}]
    operatorid = next(
        one["operatorid"]
        for one in site.request("GET", "/users", role=Role.ADMIN).data
        if one["name"] == user
    )
    taken = add_user(site, "another", operatorid)
    assert taken.data["problems"] == [{"field": "operatorid", "reason": "is another user's"}]


@pytest.mark.parametrize("name", ["Li", "li wei", "", "李", "x" * 65, ".li"])
def test_a_name_that_could_be_mistaken_is_refused(site: Site, name: str) -> None:
    answer = add_user(site, name, 1)
    assert (answer.status, answer.data["problems"][0]["field"]) == (400, "name")


def test_there_is_nothing_to_change_of_nobody(site: Site, user: str) -> None:
    assert change(site, "nobody", role="admin").status == 404
    assert change(site, user).status == 400
    assert change(site, user, operatorid=5).data["problems"][0]["field"] == "operatorid"


def test_sessions_outlive_the_server(tmp_path: Path) -> None:
    with open_site(tmp_path, {"fish": "127.0.0.1:1:1"}) as first:
        add_user(first, "li", 7)
        browser = Browser(first)
        browser.log_in("li")
    with open_site(tmp_path, {"fish": "127.0.0.1:1:1"}) as second:
        browser.site = second
        assert browser.request("GET", "/session").data["name"] == "user li"


@pytest.mark.parametrize("path", ["/events", "/operations/1/events"])
@pytest.mark.parametrize("end", ["disabled", "logged-out", "grants"])
def test_a_stream_ends_with_the_right_to_it(site: Site, path: str, end: str) -> None:
    name, number = f"{end}{len(path)}", 900 + len(path) + len(end)
    if not site.data.ids():
        config = {"cluster": "fish", "eids": [1001], "operatorid": 7, "operatorname": "Li"}
        assert site.hand_in(config).status == 201
    assert add_user(site, name, number).status == 201
    browser = Browser(site)
    assert browser.log_in(name).status == 201
    connection = site.connect()
    with closing(connection):
        connection.request("GET", path, headers={"Cookie": f"eomd_session={browser.cookie}"})
        stream = connection.getresponse()
        assert (stream.status, stream.readline()) == (200, b"retry: 2000\n")
        if end == "disabled":
            assert change(site, name, disabled=True).status == 200
        elif end == "logged-out":
            assert browser.request("DELETE", "/session").status == 200
        else:
            assert change(site, name, clusters=["label"]).status == 200
            if path == "/events":
                # goes on, and shows what is granted now
                return
        deadline = time.monotonic() + DEADLINE_S
        while stream.readline():
            assert time.monotonic() < deadline, "the stream goes on"


# --- one-time links


def make_link(site: Site, user: str) -> str:
    answer = site.request("POST", "/internal/link", json_body={"user": user}, unix=True)
    assert answer.status == 200, answer.body
    return str(answer.data["code"])


def enter(site: Site, code: str) -> Answer:
    return Browser(site).request("POST", "/session", {"link": code})


def test_a_link_logs_in_once(site: Site, user: str, stopped_clock: list[float]) -> None:
    code = make_link(site, user)
    browser = Browser(site)
    entered = browser.request("POST", "/session", {"link": code})
    assert (entered.status, entered.data["name"]) == (201, f"user {user}")
    assert browser.request("GET", "/session").data["xsrf_token"] == entered.data["xsrf_token"]
    again = enter(site, code)
    assert (again.status, again.error) == (401, "UNAUTHENTICATED")
    assert [action for _, action in audited(site, f"user {user}")] == ["add_user", "make_link", "log_in"]
    assert code.encode() not in b"".join(path.read_bytes() for path in site.data.path.glob("eomd.db*"))


def test_a_link_expires(site: Site, user: str, stopped_clock: list[float]) -> None:
    people = site.rooms.context.access.people
    in_time, late = make_link(site, user), make_link(site, user)
    made = datetime.now(UTC)
    try:
        people._now = lambda: made + LINK_LIFE - timedelta(seconds=30)
        assert enter(site, in_time).status == 201
        people._now = lambda: made + LINK_LIFE
        assert enter(site, late).status == 401
    finally:
        people._now = lambda: datetime.now(UTC)


@pytest.mark.parametrize("fields", [{"password": OTHER}, {"disabled": True}])
def test_what_ends_sessions_ends_links(
    site: Site, user: str, stopped_clock: list[float], fields: dict[str, Any]
) -> None:
    code = make_link(site, user)
    assert change(site, user, **fields).status == 200
    assert change(site, user, disabled=False).status == 200
    assert enter(site, code).status == 401


def test_links_are_not_guessed(site: Site, user: str, stopped_clock: list[float]) -> None:
    for _ in range(FREE_TRIES):
        assert enter(site, "x" * 43).status == 401
    code = make_link(site, user)
    waiting = enter(site, code)
    assert (waiting.status, waiting.error, waiting.headers["Retry-After"]) == (429, "TOO_MANY_ATTEMPTS", "1")
    stopped_clock[0] += 1.0
    assert enter(site, code).status == 201


def test_who_may_not_log_in_gets_no_link(site: Site, user: str) -> None:
    assert change(site, user, disabled=True).status == 200
    for name, status in ((user, 400), ("nobody", 404)):
        answer = site.request("POST", "/internal/link", json_body={"user": name}, unix=True)
        assert answer.status == status


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"name": "is missing", "password": "is missing"}),
        ({"name": "li"}, {"password": "is missing"}),
        ({"link": "x", "name": "li"}, {"name": "not beside link"}),
        ({"link": ""}, {"link": "must not be empty"}),
    ],
)
def test_a_log_in_is_by_password_or_by_link(site: Site, body: Any, problems: dict[str, str]) -> None:
    answer = Browser(site).request("POST", "/session", body)
    found = {problem["field"]: problem["reason"] for problem in answer.data["problems"]}
    assert (answer.status, found) == (400, problems)
