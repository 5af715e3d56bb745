"""People who log in: users, their passwords and sessions, as the ledger had them at the last `refresh`.

What is known stays known while the ledger is away: who is logged in goes on working, and nobody new comes in.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from eomd.errors import (
    FieldProblem,
    InvalidConfigError,
    LedgerUnavailableError,
    NotFoundError,
    TooManyAttemptsError,
    UnauthenticatedError,
)
from eomd.operations.caller import Caller, Operator
from eomd.operations.links import Links
from eomd.operations.passwords import find_weakness, hash_password, is_outdated, is_password
from eomd.operations.throttle import LOCKED_S, Throttle
from eomd.storage.ledger import Ledger, SessionRecord, TakenError, UserRecord

#: random bytes of what a browser holds
SESSION_BYTES = 32
#: sessions of one user; the oldest ends where there would be more
SESSIONS_MAX = 20
#: people whose passwords are waiting to be checked; each takes a core for a tenth of a second
CHECKED_MAX = 8
#: what tries by link are counted under, beside the address; no name begins so
_LINKS_OF = "\0"

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Login:
    """A session that is valid now, and whose it is."""

    user: UserRecord
    session: SessionRecord

    def caller(self, address: str) -> Caller:
        user = self.user
        operator = Operator(user.operatorid, user.operatorname)
        return Caller(f"user {user.name}", user.role, address, user.grants, operator)


class People:
    """Users and sessions in memory; changes go to the ledger first."""

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        #: from the configuration
        self.session_hours = 12
        self._ledger, self._executor, self._now, self._clock_s = ledger, executor, now, clock_s
        #: None until the ledger was read once
        self._users: Mapping[str, UserRecord] | None = None
        self._sessions: Mapping[str, SessionRecord] = {}
        self._throttle = Throttle()
        self._links = Links()
        self._checking = asyncio.Lock()
        self._checked = 0
        self._changing = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        #: compared with where there is no such user, so that this takes as long
        self._nobody = ""

    async def refresh(self) -> None:
        """Read users and sessions. Raises LedgerUnavailableError."""
        # one after the other: what was read before a change must not be taken for what was read after it
        async with self._refreshing:
            users, sessions = await self._ledger.users(), await self._ledger.sessions()
            self._users = {user.name: user for user in users}
            self._sessions = {session.id: session for session in sessions}

    def find(self, token: str) -> Login | None:
        """Return the login behind what a browser holds. Raises LedgerUnavailableError as `log_in`."""
        users = self._known()
        session = self._sessions.get(_hash(token))
        if session is None or session.expires <= self._now():
            return None
        user = users.get(session.user)
        return Login(user, session) if user is not None and user.disabled is None else None

    def all(self) -> list[UserRecord]:
        return sorted(self._known().values(), key=lambda user: user.name)

    def find_user(self, name: str) -> UserRecord:
        """Raises NotFoundError, LedgerUnavailableError."""
        user = self._known().get(name)
        if user is None:
            raise NotFoundError(f"there is no user {name[:64]!r}")
        return user

    # --- logging in and out

    async def log_in(self, name: str, password: str, address: str) -> tuple[Login, str]:
        """Return a new login and what the browser is to hold, this once.

        Raises UnauthenticatedError, in the same words whatever was wrong; TooManyAttemptsError,
        LedgerUnavailableError.
        """
        user = await self._check(name, password, address)
        if is_outdated(user.password):
            user = await self._hash_again(user, password)
        return await self._open_session(user, address)

    def make_link(self, name: str) -> tuple[str, datetime]:
        """Return a code by which this user logs in, once, and when it expires.

        Raises NotFoundError, InvalidConfigError for who may not log in, LedgerUnavailableError.
        """
        if self.find_user(name).disabled is not None:
            raise InvalidConfigError([FieldProblem("user", "may not log in: is disabled")])
        return self._links.make(name, self._now())

    async def log_in_by_link(self, code: str, address: str) -> tuple[Login, str]:
        """As `log_in`, by a code of `make_link`, which is used up by it. Raises the same."""
        users, tried = self._known(), _LINKS_OF + address
        self._refuse_early(None, tried, address)
        self._throttle.begin(tried, address, self._clock_s())
        user = users.get(self._links.take(code, self._now()) or "")
        if user is None or user.disabled is not None:
            log.info("Log-in by link refused: from %s", address)
            raise UnauthenticatedError("the link has been used, has expired, or is none of ours")
        self._throttle.succeeded(tried, address)
        return await self._open_session(user, address)

    async def _open_session(self, user: UserRecord, address: str) -> tuple[Login, str]:
        now, token = self._now(), secrets.token_urlsafe(SESSION_BYTES)
        expires = now + timedelta(hours=self.session_hours)
        session = SessionRecord(_hash(token), user.name, now, expires, address)
        if not await self._ledger.add_session(session, user, SESSIONS_MAX):
            log.info("Log-in refused: %s from %s has been changed meanwhile", user.name, address)
            raise UnauthenticatedError("the user has been changed meanwhile: log in again")
        await self.refresh()
        return Login(user, session), token

    async def log_out(self, login: Login, *, everywhere: bool = False) -> None:
        """End this session, or all of the user's, with links that nobody has used yet."""
        if everywhere:
            self._links.forget(login.user.name)
            await self._change(login.user.name, {}, end_sessions=True)
        else:
            await self._ledger.end_session(login.session.id)
            await self.refresh()

    async def change_password(self, login: Login, old: str, new: str, address: str) -> None:
        """Give a user another password, who has to log in again. Raises as `log_in`, InvalidConfigError."""
        await self._check(login.user.name, old, address)
        await self.change(login.user.name, {"password": new})

    # --- users

    async def add(self, user: UserRecord, password: str) -> UserRecord:
        """Add a user, whose record comes without a password.

        Raises InvalidConfigError where name or operatorid are taken, or the password is a bad one.
        """
        _refuse_weak(password, user.name)
        user = replace(user, created=self._now(), password=await self._hash(password))
        try:
            await self._ledger.add_user(user)
        except TakenError:
            raise InvalidConfigError([await self._taken(user)]) from None
        await self.refresh()
        return user

    async def change(self, name: str, changes: Mapping[str, Any]) -> UserRecord:
        """Change a user's fields; `password` is given as it is typed, and another one ends a lock.

        Another password, and being disabled, end the user's sessions and links. The operatorid never
        changes: past operations are that person's. Raises NotFoundError, InvalidConfigError.
        """
        changes = dict(changes)
        password = changes.pop("password", None)
        if password is not None:
            _refuse_weak(password, name)
            changes |= {"password": await self._hash(password), "locked_until": None}
        if "locked_until" in changes:
            self._throttle.forget(name)
        ends = password is not None or changes.get("disabled") is not None
        if ends:
            self._links.forget(name)
        return await self._change(name, changes, end_sessions=ends)

    async def _hash_again(self, user: UserRecord, password: str) -> UserRecord:
        """Hash a password as it is hashed today, unless it is another one by now."""
        changes = {"password": await self._hash(password)}
        async with self._changing:
            await self.refresh()
            if self.find_user(user.name).password != user.password:
                return user
            return await self._write(user.name, changes, end_sessions=False)

    async def _change(self, name: str, changes: Mapping[str, Any], *, end_sessions: bool) -> UserRecord:
        async with self._changing:
            await self.refresh()
            return await self._write(name, changes, end_sessions=end_sessions)

    async def _write(self, name: str, changes: Mapping[str, Any], *, end_sessions: bool) -> UserRecord:
        changed = replace(self.find_user(name), **changes)
        await self._ledger.change_user(changed, end_sessions=end_sessions)
        await self.refresh()
        return changed

    # --- within

    def _known(self) -> Mapping[str, UserRecord]:
        if self._users is None:
            raise LedgerUnavailableError("users cannot be told apart until the ledger has been reached")
        return self._users

    async def _taken(self, user: UserRecord) -> FieldProblem:
        taken = {other.name for other in await self._ledger.users()}
        if user.name in taken:
            return FieldProblem("name", "is another user's")
        return FieldProblem("operatorid", "is another user's")

    async def _check(self, name: str, password: str, address: str) -> UserRecord:
        """Return the user whose password this is. Raises as `log_in`."""
        user = self._known().get(name)
        self._refuse_early(user, name, address)
        last = self._throttle.begin(name, address, self._clock_s())
        right = await self._is_password(user, password)
        if right and user is not None and user.disabled is None:
            self._throttle.succeeded(name, address)
            return user
        if last and user is not None and user.disabled is None:
            locked_until = self._now() + timedelta(seconds=LOCKED_S)
            await self._change(name, {"locked_until": locked_until}, end_sessions=False)
            log.warning("User %s is locked after too many wrong passwords, the last from %s", name, address)
        # an unknown name may be a password, typed into the wrong field
        log.info("Log-in refused: %s from %s", user.name if user else "nobody known", address)
        raise UnauthenticatedError("the name or the password is wrong")

    def _refuse_early(self, user: UserRecord | None, name: str, address: str) -> None:
        wait_s = self._throttle.wait_s(name, address, self._clock_s())
        if user is not None and user.locked_until is not None:
            wait_s = max(wait_s, (user.locked_until - self._now()).total_seconds())
        if self._checked >= CHECKED_MAX:
            wait_s = max(wait_s, 1.0)
        if wait_s > 0:
            retry_after_s = math.ceil(wait_s)
            reason = f"too many attempts to log in; try again in {retry_after_s} s"
            raise TooManyAttemptsError(reason, retry_after_s)

    async def _is_password(self, user: UserRecord | None, password: str) -> bool:
        self._nobody = self._nobody or await self._hash(secrets.token_urlsafe())
        self._checked += 1
        try:
            return await self._in_thread(is_password, password, user.password if user else self._nobody)
        finally:
            self._checked -= 1

    async def _hash(self, password: str) -> str:
        return await self._in_thread(hash_password, password)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        # one at a time: what else these threads do must not wait for people who guess
        async with self._checking:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def xsrf_token(token: str) -> str:
    """Return what a page has to send along with a change, to show that it is ours."""
    return hmac.new(token.encode(), b"eomd xsrf", hashlib.sha256).hexdigest()


def _hash(token: str) -> str:
    """It has 256 random bits, so that one round is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse_weak(password: str, name: str) -> None:
    if weakness := find_weakness(password, name):
        raise InvalidConfigError([FieldProblem("password", weakness)])
