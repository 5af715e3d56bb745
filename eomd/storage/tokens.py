"""`eom_tokens`: API tokens, of which only a hash is kept. Each call runs in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from eomd.model import UNLIMITED, Grants, Role
from eomd.storage.schema import EPOCH, Schema, format_time, parse_time, storable


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as it is kept."""

    id: str
    name: str
    hash: str = field(repr=False)
    role: Role
    created: datetime
    #: None: never
    expires: datetime | None
    revoked: datetime | None
    grants: Grants = UNLIMITED
    #: the person whose token it is; None: of a service, which names the person it acts for
    operatorid: int | None = None
    operatorname: str = ""


def add(connection: Connection, schema: Schema, token: TokenRecord) -> None:
    """Write a token, over itself where an earlier attempt has written it."""
    connection.execute(delete(schema.tokens).where(schema.tokens.c.id == token.id))
    connection.execute(insert(schema.tokens).values(_format(token)))


def all_tokens(connection: Connection, schema: Schema) -> list[TokenRecord]:
    """Return every token, revoked ones too, oldest first."""
    columns = schema.tokens.c
    rows = connection.execute(select(schema.tokens).order_by(columns.created, columns.id)).mappings()
    return [_parse(row) for row in rows]


def revoke(connection: Connection, schema: Schema, token_id: str, time: datetime) -> bool:
    """Revoke a token from then on, unless it is already. Return whether there is such a token."""
    table = schema.tokens
    if connection.execute(select(table.c.id).where(table.c.id == token_id)).first() is None:
        return False
    statement = update(table).where(table.c.id == token_id, table.c.revoked.is_(None))
    connection.execute(statement.values(revoked=format_time(time)))
    return True


def _format(token: TokenRecord) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "hash": token.hash,
        "role": token.role.format(),
        "created": format_time(token.created),
        "expires": format_time(token.expires) if token.expires else None,
        "revoked": format_time(token.revoked) if token.revoked else None,
        "operatorid": token.operatorid,
        "operatorname": storable(token.operatorname),
        **format_grants(token.grants),
    }


def _parse(row: Mapping[Any, Any]) -> TokenRecord:
    return TokenRecord(
        id=row["id"],
        name=row["name"],
        hash=row["hash"],
        role=Role.parse(row["role"]),
        created=parse_time(row["created"]) or EPOCH,
        expires=parse_time(row["expires"]),
        revoked=parse_time(row["revoked"]),
        grants=parse_grants(row),
        operatorid=row["operatorid"],
        operatorname=row["operatorname"] or "",
    )


def format_grants(grants: Grants) -> dict[str, str | None]:
    """Return the two columns that hold grants; NULL for whichever there are."""
    return {"clusters": _format_set(grants.clusters), "eids": _format_set(grants.eids)}


def parse_grants(row: Mapping[Any, Any]) -> Grants:
    clusters, eids = row["clusters"], row["eids"]
    return Grants(
        None if clusters is None else frozenset(map(str, json.loads(clusters))),
        None if eids is None else frozenset(map(int, json.loads(eids))),
    )


def _format_set(granted: Iterable[str] | Iterable[int] | None) -> str | None:
    return None if granted is None else json.dumps(sorted(granted))
