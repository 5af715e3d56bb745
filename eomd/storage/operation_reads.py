"""Questions about operations. Each runs in the caller's transaction and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, or_, select

from eomd.model import ENDED, UNFINISHED, Operation, State
from eomd.storage.operation_records import (
    OWN,
    hash_key,
    parse_operation,
)
from eomd.storage.schema import Schema, format_time

#: operations that retention looks at in one go
EXPIRED_MAX = 1000

_MAY_HAVE_DONE_NOTHING = (State.FAILED, State.CANCELLED, State.REJECTED)

Condition = ColumnElement[bool]


def find(connection: Connection, schema: Schema, operation: int) -> Operation | None:
    return _first(connection, schema, schema.optgroup.c.id == operation)


def find_uuid(connection: Connection, schema: Schema, uuid: str) -> Operation | None:
    return _first(connection, schema, schema.operation.c.uuid == uuid)


def settle_uuid(connection: Connection, schema: Schema, uuid: str) -> Operation | None:
    """Find a hand-in's operation; wait for a transaction that is about to write it, or not.

    A server that has stood still may yet carry out a COMMIT that its client has long given up.
    """
    query = joined(schema).where(schema.operation.c.uuid == uuid)
    row = connection.execute(query.with_for_update(read=True)).mappings().first()
    return None if row is None else parse_operation(row, schema.zone)


def of_uuids(connection: Connection, schema: Schema, uuids: Sequence[str]) -> dict[str, int]:
    """Return the ids of those hand-ins that are operations."""
    own = schema.operation
    rows = connection.execute(select(own.c.uuid, own.c.id).where(own.c.uuid.in_(uuids)))
    return {row.uuid: row.id for row in rows}


def same_changes(
    connection: Connection, schema: Schema, hashes: Sequence[str], since: datetime
) -> dict[str, list[int]]:
    """Return by hash the operations since then that change the same, newest first.

    Those that ended before they changed anything do not count.
    """
    table, own = schema.optgroup, schema.operation
    status = [state.numbers.status for state in _MAY_HAVE_DONE_NOTHING]
    query = (
        select(own.c.change_hash, own.c.id)
        .join(table, table.c.id == own.c.id)
        .where(
            own.c.change_hash.in_(hashes),
            own.c.create_time >= format_time(since),
            or_(table.c.status.not_in(status), own.c.done > 0),
        )
        .order_by(own.c.id.desc())
    )
    found: dict[str, list[int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.change_hash, []).append(row.id)
    return found


def find_child(connection: Connection, schema: Schema, parent: int, kind: str) -> Operation | None:
    own = schema.operation
    return _first(connection, schema, and_(own.c.parent == parent, own.c.kind == kind))


def find_key(
    connection: Connection, schema: Schema, operatorid: int, key: str, since: datetime | None
) -> tuple[Operation, str | None] | None:
    """Return the operation handed in under a key since then, with its content's hash."""
    own = schema.operation
    conditions = key_holder(operatorid, key, own)
    if since is not None:
        conditions.append(own.c.create_time >= format_time(since))
    row = connection.execute(joined(schema).where(*conditions)).mappings().first()
    return None if row is None else (parse_operation(row, schema.zone), row[OWN + "content_hash"])


def key_holder(operatorid: int, key: str, own: Table) -> list[Condition]:
    return [own.c.operatorid == operatorid, own.c.idempotency_key == hash_key(key)]


def unfinished(connection: Connection, schema: Schema, installation: str) -> list[Operation]:
    """Return an installation's unfinished operations, oldest first."""
    table, own = schema.optgroup, schema.operation
    query = joined(schema).where(own.c.installation == installation, table.c.executed == 0)
    found = all_of(connection, schema, query.order_by(table.c.id))
    return [operation for operation in found if operation.state in UNFINISHED]


def expired(connection: Connection, schema: Schema, installation: str, before: datetime) -> list[Operation]:
    """Return an installation's operations that ended before then and still have their files, oldest first."""
    table, own = schema.optgroup, schema.operation
    query = joined(schema).where(
        own.c.installation == installation,
        own.c.removed_time.is_(None),
        own.c.last_modify_time < format_time(before),
        table.c.status.in_([state.numbers.status for state in ENDED]),
    )
    return all_of(connection, schema, query.order_by(own.c.last_modify_time).limit(EXPIRED_MAX))


def joined(schema: Schema) -> Select[Any]:
    """Select operations, foreign rows among them."""
    table, own = schema.optgroup, schema.operation
    joined = table.outerjoin(own, own.c.id == table.c.id)
    return select(*table.c, *(column.label(OWN + column.name) for column in own.c)).select_from(joined)


def _first(connection: Connection, schema: Schema, condition: Condition) -> Operation | None:
    row = connection.execute(joined(schema).where(condition)).mappings().first()
    return None if row is None else parse_operation(row, schema.zone)


def all_of(connection: Connection, schema: Schema, query: Select[Any]) -> list[Operation]:
    return [parse_operation(row, schema.zone) for row in connection.execute(query).mappings()]
