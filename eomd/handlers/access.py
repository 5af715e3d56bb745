"""Who is asking, and what they may do: tokens, the machine's own socket, the MIS's networks, proxies."""

from __future__ import annotations

import hashlib
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

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest

from eomd.errors import ForbiddenError, LedgerUnavailableError, NotFoundError, UnauthenticatedError
from eomd.model import Role
from eomd.operations.desk import Caller
from eomd.storage.ledger import TokenRecord

TOKEN_PREFIX = "eomd_"
#: random bytes of a token: 43 characters of base64
TOKEN_BYTES = 32
#: characters of an Authorization header that are looked at
AUTHORIZATION_CHARACTERS_MAX = 512

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

    async def refresh(self) -> None:
        """Read the tokens. Raises LedgerUnavailableError; what was known stays known."""
        self._by_hash = {token.hash: token for token in await self._store.tokens()}

    def find(self, token: str) -> TokenRecord | None:
        """Return a token that is valid now. Raises LedgerUnavailableError until the ledger was read once."""
        if self._by_hash is None:
            raise LedgerUnavailableError("tokens cannot be checked until the ledger has been reached")
        found = self._by_hash.get(hash_token(token))
        if found is None or found.revoked is not None:
            return None
        return found if found.expires is None or found.expires > self._now() else None

    async def add(self, name: str, role: Role, days: int | None) -> tuple[TokenRecord, str]:
        """Make a token; return its record and, for this once, the token itself."""
        token, now = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES), self._now()
        expires = now + timedelta(days=days) if days else None
        record = TokenRecord(str(uuid.uuid4()), name, hash_token(token), role, now, expires, None)
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

    def __init__(self, settings: AccessSettings, tokens: Tokens) -> None:
        #: replaced as a whole
        self.settings = settings
        self.tokens = tokens

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
        """Return who is asking; `mis`: on a path that `auth.mis_networks` opens.

        Raises UnauthenticatedError, LedgerUnavailableError.
        """
        address = self.address(request)
        if not self.settings.enabled:
            return Caller("anybody", Role.ADMIN, address)
        own = self.identify_own(request)
        if own is not None:
            return own
        token = _bearer(request)
        if token is not None:
            return self._of_token(token, address)
        if mis and _within(ipaddress.ip_address(address), self.settings.mis_networks):
            return Caller("mis network", Role.OPERATOR, address)
        raise UnauthenticatedError("send a token: Authorization: Bearer TOKEN")

    def identify_own(self, request: HTTPServerRequest) -> Caller | None:
        """Return the owner or root asking through the machine's own socket; None for everybody else.

        Whether authentication is on makes no difference.
        """
        uid = self._own_uid(request)
        return None if uid is None else Caller(f"uid {uid}", Role.ADMIN, "local")

    def identify_if_possible(self, request: HTTPServerRequest) -> Caller | None:
        """Return who is asking where that can be told."""
        try:
            return self.identify(request, mis=False)
        except (UnauthenticatedError, LedgerUnavailableError):
            return None

    def _of_token(self, token: str, address: str) -> Caller:
        found = self.tokens.find(token)
        if found is None:
            raise UnauthenticatedError("the token is unknown, expired or revoked")
        return Caller(f"token {found.name}", found.role, address)

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


def demand(caller: Caller, role: Role) -> None:
    """Raise ForbiddenError where the caller's role is too low."""
    if caller.role < role:
        raise ForbiddenError(f"this needs the role {role.format()}; yours is {caller.role.format()}")


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


def _peer(request: HTTPServerRequest) -> Address:
    context = cast(HTTP1Connection, request.connection).context
    if getattr(context, "address_family", None) not in (socket.AF_INET, socket.AF_INET6):
        return ipaddress.IPv4Address("127.0.0.1")
    return _parse_address(request.remote_ip or "") or ipaddress.IPv4Address("0.0.0.0")


def _parse_address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return cast(Address, mapped) if mapped is not None else address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
