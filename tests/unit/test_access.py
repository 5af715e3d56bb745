"""Who is asking: tokens in memory and addresses behind proxies."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from eomd.errors import (
    BadRequestError,
    ForbiddenError,
    LedgerUnavailableError,
    NotFoundError,
    UnauthenticatedError,
)
from eomd.handlers.access import (
    Access,
    AccessSettings,
    Tokens,
    hash_token,
    is_loopback,
    parse_networks,
)
from eomd.model import Role
from eomd.operations.caller import Caller, Operator
from eomd.operations.people import People, xsrf_token
from eomd.storage.ledger import SessionRecord, TokenRecord, UserRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """Tokens, users and sessions kept in lists."""

    def __init__(self) -> None:
        self.kept: list[TokenRecord] = []
        self.kept_users: list[UserRecord] = []
        self.kept_sessions: list[SessionRecord] = []
        self.up = True

    async def users(self) -> list[UserRecord]:
        return self.kept_users

    async def sessions(self) -> list[SessionRecord]:
        return self.kept_sessions

    async def add_token(self, token: TokenRecord) -> None:
        self.kept.append(token)

    async def tokens(self) -> list[TokenRecord]:
        if not self.up:
            raise LedgerUnavailableError("away")
        return list(self.kept)

    async def revoke_token(self, token_id: str) -> bool:
        self.kept = [replace(t, revoked=NOW) if t.id == token_id else t for t in self.kept]
        return True


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def make_request(
    peer: str, *forwarded: str, family: int = socket.AF_INET, method: str = "GET", **headers: str
) -> HTTPServerRequest:
    fields = HTTPHeaders({"Host": "x", **{name.replace("_", "-"): value for name, value in headers.items()}})
    for line in forwarded:
        fields.add("X-Forwarded-For", line)
    context: Any = SimpleNamespace(address_family=family, remote_ip=peer, protocol="http")
    stream = SimpleNamespace(socket=SimpleNamespace(family=family))
    connection: Any = SimpleNamespace(context=context, stream=stream)
    line = RequestStartLine(method, "/", "HTTP/1.1")
    return HTTPServerRequest(headers=fields, connection=connection, start_line=line)


def make_access(tokens: Tokens | None = None, store: Store | None = None, **changes: Any) -> Access:
    settings = AccessSettings(True, (), parse_networks(["127.0.0.1", "10.0.0.0/8"]), 1000, None)
    people: Any = store or Store()
    executor: Any = None
    return Access(replace(settings, **changes), tokens or Tokens(Store()), People(people, executor))


def log_in(store: Store, token: str = "s3cret", role: Role = Role.OPERATOR) -> None:
    """Put a session there whose browser holds this."""
    now = datetime.now(UTC)
    store.kept_users = [UserRecord("li", 7, "李", role, "", now)]
    expires = now + timedelta(hours=1)
    store.kept_sessions = [SessionRecord(hash_token(token), "li", now, expires, "127.0.0.1")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ("127.0.0.1", ["203.0.113.9", "10.1.2.3"], "203.0.113.9"),
        ("127.0.0.1", ["10.1.1.1, 10.1.2.3"], "10.1.1.1"),
        ("127.0.0.1", ["nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9, nonsense, 10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("::ffff:127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("::1", ["2001:db8::1"], "::1"),
    ],
)
def test_the_address_is_the_last_that_no_trusted_proxy_has(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert make_access().address(make_request(peer, *forwarded)) == address


def test_a_unix_socket_is_this_machine() -> None:
    request = make_request("0.0.0.0", family=socket.AF_UNIX)
    assert is_loopback(make_access().address(request))


def test_mis_networks_open_only_the_paths_of_the_mis() -> None:
    access = make_access(mis_networks=parse_networks(["192.0.2.0/24"]))
    caller = access.identify(make_request("192.0.2.5"), mis=True)
    assert (caller.role, caller.address) == (Role.OPERATOR, "192.0.2.5")
    with pytest.raises(UnauthenticatedError):
        access.identify(make_request("192.0.2.5"), mis=False)
    with pytest.raises(UnauthenticatedError):
        access.identify(make_request("198.51.100.5"), mis=True)


def test_without_auth_everybody_is_admin() -> None:
    assert make_access(enabled=False).identify(make_request("192.0.2.5"), mis=False).role is Role.ADMIN


def test_a_token_wins_over_the_network() -> None:
    access = make_access(mis_networks=parse_networks(["192.0.2.0/24"]))
    asyncio.run(access.tokens.refresh())
    with pytest.raises(UnauthenticatedError):
        access.identify(make_request("192.0.2.5", Authorization="Bearer wrong"), mis=True)


def test_tokens_cannot_be_judged_before_the_ledger_was_read() -> None:
    store = Store()
    store.up = False
    access = make_access(Tokens(store))
    with pytest.raises(LedgerUnavailableError):
        access.identify(make_request("192.0.2.5", Authorization="Bearer x"), mis=False)
    assert access.identify_if_possible(make_request("192.0.2.5", Authorization="Bearer x")) is None


def test_what_was_known_stays_known_while_the_ledger_is_away() -> None:
    store = Store()
    tokens = Tokens(store, Clock())
    record, token = asyncio.run(tokens.add("mis", Role.OPERATOR, None))
    store.up = False
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(tokens.refresh())
    assert tokens.find(token) == record


def test_a_token_ends_with_its_day_and_with_its_revocation() -> None:
    clock = Clock()
    tokens = Tokens(Store(), clock)
    record, token = asyncio.run(tokens.add("mis", Role.OPERATOR, 2))
    assert record.hash == hash_token(token)
    assert tokens.find(token) == record
    clock.now = NOW + timedelta(days=2)
    assert tokens.find(token) is None
    clock.now = NOW
    asyncio.run(tokens.revoke(record.id))
    assert tokens.find(token) is None
    with pytest.raises(NotFoundError):
        asyncio.run(tokens.revoke(record.id))


def test_a_record_is_not_found_by_its_hash() -> None:
    tokens = Tokens(Store())
    record, _ = asyncio.run(tokens.add("mis", Role.OPERATOR, None))
    assert tokens.find(record.hash) is None


def test_a_session_is_its_user() -> None:
    store = Store()
    access = make_access(store=store)
    log_in(store)
    with pytest.raises(LedgerUnavailableError):
        access.identify(make_request("192.0.2.5", Cookie="eomd_session=s3cret"), mis=False)
    asyncio.run(access.refresh())
    caller = access.identify(make_request("192.0.2.5", Cookie="eomd_session=s3cret"), mis=False)
    assert (caller.name, caller.role, caller.operator) == ("user li", Role.OPERATOR, Operator(7, "李"))
    for cookie in ("eomd_session=s3cre", "eomd_session=", "eomd_session=" + hash_token("s3cret")):
        with pytest.raises(UnauthenticatedError):
            access.identify(make_request("192.0.2.5", Cookie=cookie), mis=False)


def test_a_session_ends_with_its_time_and_with_its_user() -> None:
    store = Store()
    access = make_access(store=store)
    log_in(store)
    store.kept_users = [replace(store.kept_users[0], disabled=NOW)]
    asyncio.run(access.refresh())
    assert access.people.find("s3cret") is None
    log_in(store)
    store.kept_sessions = [replace(store.kept_sessions[0], expires=datetime.now(UTC))]
    asyncio.run(access.refresh())
    assert access.people.find("s3cret") is None


def test_a_change_by_a_session_needs_the_word_of_its_page() -> None:
    store = Store()
    access = make_access(store=store, mis_networks=parse_networks(["192.0.2.0/24"]))
    log_in(store)
    asyncio.run(access.refresh())
    cookie = "eomd_session=s3cret"
    for word in ("", "x", xsrf_token("other"), "\xff"):
        with pytest.raises(ForbiddenError, match="X-XSRF-Token"):
            access.identify(
                make_request("192.0.2.5", method="POST", Cookie=cookie, X_XSRF_Token=word), mis=True
            )
    said = make_request("192.0.2.5", method="POST", Cookie=cookie, X_XSRF_Token=xsrf_token("s3cret"))
    assert access.identify(said, mis=False).name == "user li"


def test_a_page_of_another_site_changes_nothing() -> None:
    foreign: dict[str, Any] = {"Sec_Fetch_Site": "cross-site"}
    for access in (make_access(enabled=False), make_access(mis_networks=parse_networks(["192.0.2.5"]))):
        with pytest.raises(ForbiddenError):
            access.identify(make_request("192.0.2.5", method="POST", **foreign), mis=True)
        access.identify(make_request("192.0.2.5", **foreign), mis=True)
        access.identify(make_request("192.0.2.5", method="POST", Sec_Fetch_Site="same-origin"), mis=True)


def test_a_service_names_the_person_it_acts_for() -> None:
    tokens = Tokens(Store())
    _, service = asyncio.run(tokens.add("mis", Role.OPERATOR, None))
    _, own = asyncio.run(tokens.add("li", Role.OPERATOR, None, operator=Operator(7, "Li")))
    access = make_access(tokens)

    def ask(token: str, **headers: str) -> Caller:
        return access.identify(
            make_request("192.0.2.5", Authorization=f"Bearer {token}", **headers), mis=False
        )

    assert ask(service).operator is None
    acting = ask(service, X_Operator_Id="8", X_Operator_Name="%E6%9D%8E")
    assert (acting.operator, acting.who) == (Operator(8, "李"), "token mis for operator 8 (李)")
    assert ask(own, X_Operator_Id="7").who == "token li of operator 7 (Li)"
    with pytest.raises(ForbiddenError):
        ask(own, X_Operator_Id="8")
    for number in ("-1", "x", "99999999999999999999", "٣"):
        with pytest.raises(BadRequestError):
            ask(service, X_Operator_Id=number)
    with pytest.raises(BadRequestError):
        ask(service, X_Operator_Id="8", X_Operator_Name="%0A")


@pytest.mark.parametrize(
    ("peer", "proto", "secure"),
    [("127.0.0.1", "https", True), ("127.0.0.1", "http", False), ("192.0.2.5", "https", False)],
)
def test_only_a_trusted_proxy_says_that_the_browser_speaks_tls(peer: str, proto: str, secure: bool) -> None:
    assert make_access().is_secure(make_request(peer, X_Forwarded_Proto=proto)) is secure


@pytest.mark.parametrize("role", list(Role))
def test_a_role_covers_the_lower_ones(role: Role) -> None:
    caller = Caller("x", role, "127.0.0.1")
    for needed in Role:
        if needed > role:
            with pytest.raises(ForbiddenError, match=needed.format()):
                caller.demand_role(needed)
        else:
            caller.demand_role(needed)
