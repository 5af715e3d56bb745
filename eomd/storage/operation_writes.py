"""Statements that change operations: admission, changes of state, retention; in the caller's transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, column, insert, select, update
from sqlalchemy import table as table_clause
from sqlalchemy.exc import IntegrityError

from eomd.errors import EomdError, KeyReusedError, WrongStateError
from eomd.model import Operation
from eomd.storage import operation_reads as reads
from eomd.storage.columns import Shapes
from eomd.storage.operation_records import (
    NewOperation,
    OperationChange,
    admitted,
    change_values,
    name_values,
    operation_values,
    optgroup_values,
    state_of,
    state_values,
)
from eomd.storage.schema import Schema, format_time

#: how long an Idempotency-Key stands for its operation (http-api.md)
KEY_LIFE = timedelta(hours=24)

_log = logging.getLogger(__name__)


def admit(
    connection: Connection, schema: Schema, shapes: Shapes, news: Sequence[NewOperation]
) -> list[Operation]:
    """Write new operations. Raises IntegrityError where a UUID, a key or a child is there already."""
    return [_admit_one(connection, schema, shapes, new) for new in news]


def admit_after_doubt(
    connection: Connection, schema: Schema, shapes: Shapes, news: Sequence[NewOperation]
) -> list[Operation]:
    """Write those new operations that an earlier attempt, its commit being in doubt, has not."""
    return [
        reads.find_uuid(connection, schema, new.uuid) or _admit_one(connection, schema, shapes, new)
        for new in news
    ]


def settle_conflict(connection: Connection, schema: Schema, news: Sequence[NewOperation]) -> list[Operation]:
    """Explain why `admit` met a taken value: return the operations if they were admitted before.

    Raises KeyReusedError or WrongStateError otherwise: the caller looks the key or the child up.
    """
    found = [reads.settle_uuid(connection, schema, new.uuid) for new in news]
    there = [operation for operation in found if operation is not None]
    if len(there) == len(news):
        return there
    for new in news:
        _refuse_taken(connection, schema, new)
    raise EomdError("the ledger says that an operation is there already, and does not have it")


def _refuse_taken(connection: Connection, schema: Schema, new: NewOperation) -> None:
    key, parent, kind = new.idempotency_key, new.parent, new.kind
    if key is not None and reads.find_key(connection, schema, new.order.operatorid, key, None):
        raise KeyReusedError("another operation was handed in under this Idempotency-Key")
    if parent is not None and kind is not None and reads.find_child(connection, schema, parent, kind):
        raise WrongStateError(parent, f"followed by its {kind} already", kind)


def _admit_one(connection: Connection, schema: Schema, shapes: Shapes, new: NewOperation) -> Operation:
    if new.idempotency_key is not None:
        _release_old_key(connection, schema, new.order.operatorid, new.idempotency_key, new.create_time)
    operation = _insert_optgroup(connection, schema, shapes, new)
    connection.execute(insert(schema.operation).values(operation_values(new, operation)))
    return admitted(new, operation)


def _release_old_key(
    connection: Connection, schema: Schema, operatorid: int, key: str, now: datetime
) -> None:
    # looked up first: an UPDATE that finds no row locks a gap of the index, and two hand-ins would deadlock
    own = schema.operation
    holder = reads.key_holder(operatorid, key, own)
    query = select(own.c.id).where(*holder, own.c.create_time < format_time(now - KEY_LIFE))
    old = connection.execute(query).scalar()
    if old is not None:
        connection.execute(update(own).where(own.c.id == old).values(idempotency_key=None))


def release(connection: Connection, schema: Schema, uuid: str) -> None:
    """Let its Idempotency-Key be used, and its place as a child be taken, by another operation."""
    own = schema.operation
    connection.execute(update(own).where(own.c.uuid == uuid).values(idempotency_key=None, kind=None))


def free_child(connection: Connection, schema: Schema, child: int) -> None:
    """Let its parent have another child of its kind."""
    own = schema.operation
    connection.execute(update(own).where(own.c.id == child).values(kind=None))


def _insert_optgroup(connection: Connection, schema: Schema, shapes: Shapes, new: NewOperation) -> int:
    """Insert the row that others read, under an id of at least `minimum_id`."""
    table = schema.optgroup
    shape = shapes.of(connection, table.name)
    row = shape.fit_insert(optgroup_values(new, schema.zone))
    operation = _insert_above(connection, schema, row, new.minimum_id)
    names = shape.fit(name_values(operation))
    connection.execute(update(table).where(table.c.id == operation).values(names))
    return operation


def _insert_above(connection: Connection, schema: Schema, row: dict[str, Any], minimum: int) -> int:
    table = schema.optgroup
    operation = _insert(connection, schema, row)
    if operation >= minimum:
        return operation
    connection.execute(table.delete().where(table.c.id == operation))
    try:
        return _insert(connection, schema, {"id": minimum, **row})
    except IntegrityError:
        # another hand-in took it a moment ago; the counter stands above it now
        return _insert(connection, schema, row)


def _insert(connection: Connection, schema: Schema, row: dict[str, Any]) -> int:
    # not the schema's table: an adopted one may have columns that the schema does not name
    adopted = table_clause(schema.optgroup.name, *map(column, row))
    done = connection.execute(insert(adopted).values(row))
    return int(row.get("id") or done.lastrowid)


def record(connection: Connection, schema: Schema, shapes: Shapes, change: OperationChange) -> None:
    """Write a change, unless the operation has ended otherwise before: what has ended stays as it ended."""
    table, own = schema.optgroup, schema.operation
    query = select(table.c.status).join(own, own.c.id == table.c.id)
    held = connection.execute(
        query.where(own.c.id == change.id, own.c.uuid == change.uuid).with_for_update()
    ).first()
    if held is None:
        _log.error("operation %s (%s) is not in the ledger: its state is lost there", change.id, change.uuid)
    elif (state := state_of(held.status)).ended and state is not change.state:
        _log.info("operation %s has ended; an older state is not written over it", change.id)
    else:
        _write(connection, schema, shapes, change)


def _write(connection: Connection, schema: Schema, shapes: Shapes, change: OperationChange) -> None:
    table, own = schema.optgroup, schema.operation
    row = state_values(change.state) | {"last_modify_time": format_time(change.time, schema.zone)}
    if change.resultname is not None:
        row["resultname"] = change.resultname
    fitting = shapes.of(connection, table.name).fit(row)
    connection.execute(update(table).where(table.c.id == change.id).values(fitting))
    connection.execute(update(own).where(own.c.id == change.id).values(change_values(change)))


def mark_removed(connection: Connection, schema: Schema, ids: Sequence[int], time: datetime) -> None:
    """Note that retention has removed these operations' files."""
    own = schema.operation
    connection.execute(update(own).where(own.c.id.in_(ids)).values(removed_time=format_time(time)))
