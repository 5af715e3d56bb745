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

from eomd.errors import ForbiddenError, LedgerUnavailableError, NotFoundError, UnauthenticatedError
from eomd.handlers.access import (
    Access,
    AccessSettings,
    Tokens,
    demand,
    hash_token,
    is_loopback,
    parse_networks,
)
from eomd.model import Role
from eomd.operations.desk import Caller
from eomd.storage.ledger import TokenRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """Tokens kept in a list."""

    def __init__(self) -> None:
        self.kept: list[TokenRecord] = []
        self.up = True

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
    peer: str, *forwarded: str, family: int = socket.AF_INET, **headers: str
) -> HTTPServerRequest:
    fields = HTTPHeaders({"Host": "x", **headers})
    for line in forwarded:
        fields.add("X-Forwarded-For", line)
    context: Any = SimpleNamespace(address_family=family, remote_ip=peer, protocol="http")
    stream = SimpleNamespace(socket=SimpleNamespace(family=family))
    connection: Any = SimpleNamespace(context=context, stream=stream)
    line = RequestStartLine("GET", "/", "HTTP/1.1")
    return HTTPServerRequest(headers=fields, connection=connection, start_line=line)


def make_access(tokens: Tokens | None = None, **changes: Any) -> Access:
    settings = AccessSettings(True, (), parse_networks(["127.0.0.1", "10.0.0.0/8"]), 1000, None)
    return Access(replace(settings, **changes), tokens or Tokens(Store()))


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


@pytest.mark.parametrize("role", list(Role))
def test_a_role_covers_the_lower_ones(role: Role) -> None:
    caller = Caller("x", role, "127.0.0.1")
    for needed in Role:
        if needed > role:
            with pytest.raises(ForbiddenError, match=needed.format()):
                demand(caller, needed)
        else:
            demand(caller, needed)
