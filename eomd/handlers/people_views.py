"""How people look in answers. Never a password's hash."""

from __future__ import annotations

from datetime import UTC, datetime

from typing_extensions import TypedDict

from eomd.handlers.views import SessionView, UserView, format_time
from eomd.model import Grants
from eomd.operations.caller import Caller
from eomd.operations.people import Login
from eomd.storage.ledger import UserRecord


class GrantsView(TypedDict):
    clusters: list[str] | None
    eids: list[int] | None


def grants_view(grants: Grants) -> GrantsView:
    return {
        "clusters": None if grants.clusters is None else sorted(grants.clusters),
        "eids": None if grants.eids is None else sorted(grants.eids),
    }


def user_view(user: UserRecord, now: datetime) -> UserView:
    """Return what may be shown of a user; a lock that is over is none."""
    locked = user.locked_until if user.locked_until is not None and user.locked_until > now else None
    return {
        "name": user.name,
        "operatorid": user.operatorid,
        "operatorname": user.operatorname,
        "role": user.role.format(),
        **grants_view(user.grants),
        "created": format_time(user.created),
        "disabled": _optional(user.disabled),
        "locked_until": _optional(locked),
    }


def session_view(caller: Caller, login: Login | None, xsrf_token: str | None) -> SessionView:
    """Return who is asking."""
    operatorid, operatorname = caller.operator or (None, "")
    return {
        "name": caller.name,
        "role": caller.role.format(),
        "operatorid": operatorid,
        "operatorname": operatorname,
        **grants_view(caller.grants),
        "expires": None if login is None else _optional(login.session.expires),
        "xsrf_token": xsrf_token,
    }


def _optional(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment.astimezone(UTC))
