"""`eom_users` and `eom_sessions`: people who log in, and where they are.

Of passwords and sessions only hashes are kept. Each call runs in the caller's transaction, and may run twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from eomd.model import UNLIMITED, Grants, Role
from eomd.storage.schema import EPOCH, Schema, format_time, parse_time, storable
from eomd.storage.tokens import format_grants, parse_grants


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A person who may log in."""

    #: as they log in
    name: str
    #: who they are in operations; nobody else's
    operatorid: int
    operatorname: str
    role: Role
    #: argon2's, with its parameters
    password: str = field(repr=False)
    created: datetime
    grants: Grants = UNLIMITED
    #: since when they may not log in; None: they may
    disabled: datetime | None = None
    #: after too many wrong passwords
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser that somebody has logged in with."""

    #: the hash of what the browser holds
    id: str = field(repr=False)
    user: str
    created: datetime
    expires: datetime
    address: str


def all_users(connection: Connection, schema: Schema) -> list[UserRecord]:
    """Return every user, disabled ones too, by name."""
    rows = connection.execute(select(schema.users).order_by(schema.users.c.name)).mappings()
    return [_parse_user(row) for row in rows]


def add(connection: Connection, schema: Schema, user: UserRecord) -> None:
    """Write a new user. Raises IntegrityError where the name or the operatorid is taken."""
    connection.execute(insert(schema.users).values(_format_user(user)))


def add_after_doubt(connection: Connection, schema: Schema, user: UserRecord) -> None:
    """Write a new user unless an earlier attempt, its commit being in doubt, has."""
    table = schema.users
    query = select(table.c.password).where(table.c.name == user.name)
    if connection.execute(query).scalar() != user.password:
        add(connection, schema, user)


def change(connection: Connection, schema: Schema, user: UserRecord, *, end_sessions: bool) -> None:
    """Write a user over what stands there; `end_sessions`: they have to log in again."""
    table = schema.users
    connection.execute(update(table).where(table.c.name == user.name).values(_format_user(user)))
    if end_sessions:
        connection.execute(delete(schema.sessions).where(schema.sessions.c.user == user.name))


def all_sessions(connection: Connection, schema: Schema, now: datetime) -> list[SessionRecord]:
    """Return the sessions that have not expired, oldest first."""
    table = schema.sessions
    query = select(table).where(table.c.expires > format_time(now)).order_by(table.c.created, table.c.id)
    return [_parse_session(row) for row in connection.execute(query).mappings()]


def add_session(
    connection: Connection, schema: Schema, session: SessionRecord, user: UserRecord, kept_max: int
) -> bool:
    """Write a session, over itself; only the newest `kept_max` of its user's stay, and no expired one.

    Nothing is written, and False returned, where the user is not enabled any more with the password given: a
    change of it ends the sessions that are there, and must not be outlived by one on its way.
    """
    users = schema.users.c
    as_it_was = (users.name == user.name, users.password == user.password, users.disabled.is_(None))
    if connection.execute(select(users.name).where(*as_it_was).with_for_update()).first() is None:
        return False
    table = schema.sessions
    connection.execute(delete(table).where(table.c.expires <= format_time(session.created)))
    connection.execute(delete(table).where(table.c.id == session.id))
    own = select(table.c.id).where(table.c.user == session.user).order_by(table.c.created.desc())
    older = list(connection.execute(own).scalars())[kept_max - 1 :]
    connection.execute(delete(table).where(table.c.id.in_(older)))
    connection.execute(insert(table).values(_format_session(session)))
    return True


def end_session(connection: Connection, schema: Schema, session_id: str) -> None:
    connection.execute(delete(schema.sessions).where(schema.sessions.c.id == session_id))


def _format_user(user: UserRecord) -> dict[str, Any]:
    return {
        "name": user.name,
        "operatorid": user.operatorid,
        "operatorname": storable(user.operatorname),
        "role": user.role.format(),
        "password": user.password,
        "created": format_time(user.created),
        "disabled": format_time(user.disabled) if user.disabled else None,
        "locked_until": format_time(user.locked_until) if user.locked_until else None,
        **format_grants(user.grants),
    }


def _parse_user(row: Mapping[Any, Any]) -> UserRecord:
    return UserRecord(
        name=row["name"],
        operatorid=row["operatorid"],
        operatorname=row["operatorname"] or "",
        role=Role.parse(row["role"]),
        password=row["password"],
        created=parse_time(row["created"]) or EPOCH,
        grants=parse_grants(row),
        disabled=parse_time(row["disabled"]),
        locked_until=parse_time(row["locked_until"]),
    )


def _format_session(session: SessionRecord) -> dict[str, str]:
    return {
        "id": session.id,
        "user": session.user,
        "created": format_time(session.created),
        "expires": format_time(session.expires),
        "address": session.address,
    }


def _parse_session(row: Mapping[Any, Any]) -> SessionRecord:
    return SessionRecord(
        id=row["id"],
        user=row["user"],
        created=parse_time(row["created"]) or EPOCH,
        expires=parse_time(row["expires"]) or EPOCH,
        address=row["address"],
    )
