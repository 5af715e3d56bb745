"""People: logging in and out, and the users who may."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from eomd.errors import BadRequestError, FieldProblem, InvalidConfigError
from eomd.handlers.access import SESSION_COOKIE
from eomd.handlers.base import ApiHandler
from eomd.handlers.people_requests import (
    LogInRequest,
    LogOutRequest,
    PasswordRequest,
    UserChange,
    UserRequest,
)
from eomd.handlers.people_views import grants_view, session_view, user_view
from eomd.handlers.requests import Nothing
from eomd.model import Role
from eomd.operations.people import Login, People, xsrf_token
from eomd.storage.ledger import UserRecord


class _PeopleHandler(ApiHandler):
    @property
    def people(self) -> People:
        return self.context.access.people

    async def note(self, action: str, user: str, detail: dict[str, Any]) -> None:
        await self.context.desk.audit.note(self.asking(), action, f"user {user}", detail)


class SessionHandler(_PeopleHandler):
    """What a browser holds, as a cookie that no page can read."""

    async def get(self) -> None:
        self.parameters(Nothing)
        login = self._login()
        cookie = self.request.cookies.get(SESSION_COOKIE)
        token = xsrf_token(cookie.value) if login is not None and cookie is not None else None
        self.answer(session_view(self.asking(), login, token))

    async def post(self) -> None:
        self.parameters(Nothing)
        # a form of another site can send no JSON: nobody is logged in as somebody else without knowing it
        if (
            self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            != "application/json"
        ):
            raise BadRequestError("the Content-Type must be application/json")
        request = self.fields(LogInRequest)
        access = self.context.access
        address = access.address(self.request)
        login, token = await self._log_in(request, address)
        self.caller = login.caller(address)
        await self.note("log_in", login.user.name, {"by": "link" if request.link else "password"})
        self.set_cookie(
            SESSION_COOKIE, token,
            path="/", max_age=self.people.session_hours * 3600,
            httponly=True, secure=access.is_secure(self.request), samesite="Strict",
        )  # fmt: skip
        self.answer(session_view(self.caller, login, xsrf_token(token)), status=201)

    async def _log_in(self, request: LogInRequest, address: str) -> tuple[Login, str]:
        if request.link is not None:
            return await self.people.log_in_by_link(request.link, address)
        return await self.people.log_in(request.name or "", request.password or "", address)

    async def delete(self) -> None:
        everywhere = self.parameters(LogOutRequest).everywhere
        self.fields(Nothing)
        login = self._demand_login()
        await self.people.log_out(login, everywhere=everywhere)
        await self.note("log_out", login.user.name, {"everywhere": everywhere})
        self.clear_cookie(SESSION_COOKIE, path="/")
        self.answer(None)

    def _login(self) -> Login | None:
        """Return the caller's session, where it is that which the caller was identified by."""
        login = self.context.access.login(self.request)
        return login if login is not None and self.asking().name == f"user {login.user.name}" else None

    def _demand_login(self) -> Login:
        login = self._login()
        if login is None:
            raise BadRequestError("you have not logged in: there is no session")
        return login


class PasswordHandler(SessionHandler):
    """A user's own password. All of their sessions end with the old one."""

    async def put(self) -> None:
        self.parameters(Nothing)
        request = self.fields(PasswordRequest)
        login = self._demand_login()
        address = self.context.access.address(self.request)
        await self.people.change_password(login, request.old, request.new, address)
        await self.note("change_password", login.user.name, {})
        self.clear_cookie(SESSION_COOKIE, path="/")
        self.answer(None)


class UsersHandler(_PeopleHandler):
    async def get(self) -> None:
        self.parameters(Nothing)
        await self.people.refresh()
        now = datetime.now(UTC)
        self.answer([user_view(user, now) for user in self.people.all()])

    async def post(self) -> None:
        self.parameters(Nothing)
        request = self.fields(UserRequest)
        now = datetime.now(UTC)
        record = UserRecord(
            name=request.name,
            operatorid=request.operatorid,
            operatorname=request.operatorname,
            role=Role.parse(request.role),
            password="",
            created=now,
            grants=request.grants(),
        )
        user = await self.people.add(record, request.password)
        detail = {"role": request.role, "operatorid": user.operatorid, **grants_view(user.grants)}
        await self.note("add_user", user.name, detail)
        self.answer(user_view(user, now), status=201)


class UserHandler(_PeopleHandler):
    async def patch(self, name: str) -> None:
        self.parameters(Nothing)
        request = self.fields(UserChange)
        if not request.model_fields_set:
            raise InvalidConfigError([FieldProblem("", "expected something to change")])
        await self.people.refresh()
        user = self.people.find_user(name)
        now = datetime.now(UTC)
        changes = request.changes(user.grants)
        if request.disabled is not None:
            changes["disabled"] = (user.disabled or now) if request.disabled else None
        if request.locked is False:
            changes["locked_until"] = None
        changed = await self.people.change(name, changes)
        # what it has become, but for the password
        detail = {"fields": sorted(request.model_fields_set), "role": changed.role.format()}
        await self.note("change_user", name, detail | grants_view(changed.grants))
        self.answer(user_view(changed, now))
