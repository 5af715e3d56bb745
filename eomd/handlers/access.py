"""Who is asking: tokens, sessions, the machine's own socket, the MIS's networks, proxies.

What a browser sends along by itself (a session's cookie, its place in a network) proves nothing about the
page that asks: changes need a word of the page's own besides.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import socket
import struct
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import unquote

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest

from eomd.errors import (
    BadRequestError,
    ForbiddenError,
    LedgerUnavailableError,
    NotFoundError,
    RequestError,
    UnauthenticatedError,
)
from eomd.model import UNLIMITED, USER_MAX, Grants, Role
from eomd.operations.caller import Caller, Operator
from eomd.operations.people import Login, People, xsrf_token
from eomd.storage.ledger import TokenRecord

TOKEN_PREFIX = "eomd_"
#: random bytes of a token: 43 characters of base64
TOKEN_BYTES = 32
#: characters of an Authorization header that are looked at
AUTHORIZATION_CHARACTERS_MAX = 512
SESSION_COOKIE = "eomd_session"
XSRF_HEADER = "X-XSRF-Token"
#: whom a service acts for; the name is UTF-8, percent-encoded
OPERATOR_ID_HEADER, OPERATOR_NAME_HEADER = "X-Operator-Id", "X-Operator-Name"
OPERATORNAME_CHARACTERS_MAX = 64
#: methods that change nothing
SAFE_METHODS = ("GET", "HEAD")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TokenStore(Protocol):
    """Where tokens are kept: the ledger."""

    async def add_token(self, token: TokenRecord) -> None: ...
    async def tokens(self) -> Sequence[TokenRecord]: ...
    async def revoke_token(self, id: str) -> bool: ...


def hash_token(token: str) -> str:
    """Return what is kept of a token. It has 256 random bits, so that one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """The tokens in memory, as the ledger had them at the last `refresh`.

    Found by their hash: how long that takes tells nothing about a token.
    """

    def __init__(self, store: TokenStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store, self._now = store, now
        #: None until the ledger was read once
        self._by_hash: dict[str, TokenRecord] | None = None
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Read the tokens. Raises LedgerUnavailableError; what was known stays known."""
        # one after the other: what was read before a change must not be taken for what was read after it
        async with self._refreshing:
            self._by_hash = {token.hash: token for token in await self._store.tokens()}

    def find(self, token: str) -> TokenRecord | None:
        """Return a token that is valid now. Raises LedgerUnavailableError until the ledger was read once."""
        if self._by_hash is None:
            raise LedgerUnavailableError("tokens cannot be checked until the ledger has been reached")
        found = self._by_hash.get(hash_token(token))
        if found is None or found.revoked is not None:
            return None
        return found if found.expires is None or found.expires > self._now() else None

    async def add(
        self,
        name: str,
        role: Role,
        days: int | None,
        grants: Grants = UNLIMITED,
        operator: Operator | None = None,
    ) -> tuple[TokenRecord, str]:
        """Make a token; return its record and, for this once, the token itself.

        `operator`: the person whose token it is; None for a service's.
        """
        token, now = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES), self._now()
        expires = now + timedelta(days=days) if days else None
        operatorid, operatorname = operator or (None, "")
        record = TokenRecord(
            str(uuid.uuid4()), name, hash_token(token), role, now, expires, None,
            grants, operatorid, operatorname,
        )  # fmt: skip
        await self._store.add_token(record)
        await self.refresh()
        return record, token

    async def revoke(self, token_id: str) -> TokenRecord:
        """Revoke a token. Raises NotFoundError where there is none of this id that is not revoked."""
        token = next((t for t in await self._store.tokens() if t.id == token_id and t.revoked is None), None)
        if token is None:
            raise NotFoundError("there is no token of this id that could be revoked")
        await self._store.revoke_token(token_id)
        await self.refresh()
        return replace(token, revoked=self._now())

    async def all(self) -> list[TokenRecord]:
        return list(await self._store.tokens())


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How this installation is reached."""

    #: False: everybody is admin
    enabled: bool
    mis_networks: tuple[Network, ...]
    trusted_proxies: tuple[Network, ...]
    #: whose calls through the machine's own socket are an admin's, beside root's
    owner_uid: int
    #: of the machine's own socket; None without one
    api_socket: Path | None


class Access:
    """Tells who is asking."""

    def __init__(self, settings: AccessSettings, tokens: Tokens, people: People) -> None:
        #: replaced as a whole
        self.settings = settings
        self.tokens, self.people = tokens, people

    async def refresh(self) -> None:
        """Read again who may come in. Raises LedgerUnavailableError."""
        await self.tokens.refresh()
        await self.people.refresh()

    def address(self, request: HTTPServerRequest) -> str:
        """Return the caller's address: the last one that no trusted proxy has.

        A Unix socket is this machine. What a proxy forwards and is no address ends the search.
        """
        address = _peer(request)
        forwarded = ",".join(request.headers.get_list("X-Forwarded-For")).split(",")
        for candidate in reversed(forwarded):
            if not _within(address, self.settings.trusted_proxies):
                break
            following = _parse_address(candidate.strip())
            if following is None:
                break
            address = following
        return str(address)

    def identify(self, request: HTTPServerRequest, *, mis: bool) -> Caller:
        """Return who is asking, and for whom; `mis`: on a path that `auth.mis_networks` opens.

        Raises UnauthenticatedError, ForbiddenError, BadRequestError, LedgerUnavailableError.
        """
        caller = self._identify(request, mis=mis)
        operator = _named_operator(request)
        return caller if operator is None else caller.acting_for(operator)

    def _identify(self, request: HTTPServerRequest, *, mis: bool) -> Caller:
        address = self.address(request)
        if not self.settings.enabled:
            _refuse_foreign_page(request)
            return Caller("anybody", Role.ADMIN, address, vouches=True)
        own = self.identify_own(request)
        if own is not None:
            return own
        token = _bearer(request)
        if token is not None:
            return self._of_token(token, address)
        _refuse_foreign_page(request)
        login = self.login(request)
        if login is not None:
            return login.caller(address)
        if mis and _within(ipaddress.ip_address(address), self.settings.mis_networks):
            return Caller("mis network", Role.OPERATOR, address)
        raise UnauthenticatedError("log in, or send a token: Authorization: Bearer TOKEN")

    def login(self, request: HTTPServerRequest) -> Login | None:
        """Return the login behind the request's cookie; None without a valid one.

        Raises ForbiddenError for a change that lacks the page's word, LedgerUnavailableError.
        """
        cookie = request.cookies.get(SESSION_COOKIE)
        login = self.people.find(cookie.value) if cookie is not None else None
        if cookie is not None and login is not None and request.method not in SAFE_METHODS:
            said = request.headers.get(XSRF_HEADER, "").encode("utf-8", "replace")
            if not hmac.compare_digest(said, xsrf_token(cookie.value).encode()):
                raise ForbiddenError(
                    f"a change by a session needs the header {XSRF_HEADER}; see GET /session"
                )
        return login

    def is_secure(self, request: HTTPServerRequest) -> bool:
        """Tell whether the browser speaks TLS, with us or with a trusted proxy in between."""
        if _within(_peer(request), self.settings.trusted_proxies):
            forwarded = request.headers.get("X-Forwarded-Proto", request.protocol)
            return forwarded.rpartition(",")[2].strip().lower() == "https"
        return request.protocol == "https"

    def identify_own(self, request: HTTPServerRequest) -> Caller | None:
        """Return the owner or root asking through the machine's own socket; None for everybody else.

        Whether authentication is on makes no difference.
        """
        uid = self._own_uid(request)
        return None if uid is None else Caller(f"uid {uid}", Role.ADMIN, "local", vouches=True)

    def identify_if_possible(self, request: HTTPServerRequest) -> Caller | None:
        """Return who is asking where that can be told."""
        try:
            return self.identify(request, mis=False)
        except (RequestError, LedgerUnavailableError):
            return None

    def _of_token(self, token: str, address: str) -> Caller:
        found = self.tokens.find(token)
        if found is None:
            raise UnauthenticatedError("the token is unknown, expired or revoked")
        if found.operatorid is None:
            return Caller(f"token {found.name}", found.role, address, found.grants)
        whose = Operator(found.operatorid, found.operatorname)
        # two tokens may have one name, and it need not tell whose they are
        name = f"token {found.name} of {whose.format()}"
        return Caller(name, found.role, address, found.grants, whose)

    def _own_uid(self, request: HTTPServerRequest) -> int | None:
        """Return the uid behind the machine's own socket, where it is the owner's or root's."""
        stream = cast(HTTP1Connection, request.connection).stream
        peer = getattr(stream, "socket", None)
        if peer is None or peer.family != socket.AF_UNIX or self.settings.api_socket is None:
            return None
        if peer.getsockname() != str(self.settings.api_socket):
            return None
        packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", packed)
        return int(uid) if uid in (0, self.settings.owner_uid) else None


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raise ValueError for what is neither an address nor a network."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _bearer(request: HTTPServerRequest) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header[:AUTHORIZATION_CHARACTERS_MAX].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("expected Authorization: Bearer TOKEN")
    return token.strip()


def _named_operator(request: HTTPServerRequest) -> Operator | None:
    """Return whom the caller says to act for. Raises BadRequestError."""
    number, name = (request.headers.get(header) for header in (OPERATOR_ID_HEADER, OPERATOR_NAME_HEADER))
    if number is None:
        return None
    if not (number.isascii() and number.isdigit() and len(number) <= 19 and int(number) <= USER_MAX):
        raise BadRequestError(f"{OPERATOR_ID_HEADER}: expected a whole number")
    named = unquote(name or "")
    if len(named) > OPERATORNAME_CHARACTERS_MAX or not (named.isprintable() or not named):
        raise BadRequestError(
            f"{OPERATOR_NAME_HEADER}: expected at most {OPERATORNAME_CHARACTERS_MAX} printable characters"
        )
    return Operator(int(number), named)


def _refuse_foreign_page(request: HTTPServerRequest) -> None:
    """Raises ForbiddenError for a change that a page of another site has a browser ask for."""
    if request.method not in SAFE_METHODS and request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise ForbiddenError("a page of another site may not change anything here")


def _peer(request: HTTPServerRequest) -> Address:
    context = cast(HTTP1Connection, request.connection).context
    if getattr(context, "address_family", None) not in (socket.AF_INET, socket.AF_INET6):
        return ipaddress.IPv4Address("127.0.0.1")
    return _parse_address(request.remote_ip or "") or ipaddress.IPv4Address(0)


def _parse_address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return cast(Address, mapped) if mapped is not None else address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
