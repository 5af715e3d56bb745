"""Questions about operations. Each runs in the caller's transaction and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, case, false, func, or_, select

from eomd.model import ENDED, STATE_OF_STATUS, UNFINISHED, Grants, Operation, State
from eomd.storage.columns import Shapes
from eomd.storage.operation_records import (
    OWN,
    PAGE_SIZE_MAX,
    OperationFilter,
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
    query = _select(schema).where(schema.operation.c.uuid == uuid)
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
    row = connection.execute(_select(schema).where(*conditions)).mappings().first()
    return None if row is None else (parse_operation(row, schema.zone), row[OWN + "content_hash"])


def key_holder(operatorid: int, key: str, own: Table) -> list[Condition]:
    return [own.c.operatorid == operatorid, own.c.idempotency_key == hash_key(key)]


def unfinished(connection: Connection, schema: Schema, installation: str) -> list[Operation]:
    """Return an installation's unfinished operations, oldest first."""
    table, own = schema.optgroup, schema.operation
    query = _select(schema).where(own.c.installation == installation, table.c.executed == 0)
    found = _all(connection, schema, query.order_by(table.c.id))
    return [operation for operation in found if operation.state in UNFINISHED]


def expired(connection: Connection, schema: Schema, installation: str, before: datetime) -> list[Operation]:
    """Return an installation's operations that ended before then and still have their files, oldest first."""
    table, own = schema.optgroup, schema.operation
    query = _select(schema).where(
        own.c.installation == installation,
        own.c.removed_time.is_(None),
        own.c.last_modify_time < format_time(before),
        table.c.status.in_([state.numbers.status for state in ENDED]),
    )
    return _all(connection, schema, query.order_by(own.c.last_modify_time).limit(EXPIRED_MAX))


def page(
    connection: Connection, schema: Schema, shapes: Shapes, wanted: OperationFilter
) -> tuple[int, list[Operation]]:
    """Return how many operations there are and one page of them, newest first."""
    table, own = schema.optgroup, schema.operation
    conditions = list(_conditions(connection, schema, shapes, wanted))
    joined = table.outerjoin(own, own.c.id == table.c.id)
    total = connection.execute(select(func.count()).select_from(joined).where(*conditions)).scalar_one()
    size = min(max(wanted.page_size, 1), PAGE_SIZE_MAX)
    query = _select(schema).where(*conditions).order_by(table.c.id.desc())
    return total, _all(connection, schema, query.limit(size).offset((max(wanted.page, 1) - 1) * size))


def _conditions(
    connection: Connection, schema: Schema, shapes: Shapes, wanted: OperationFilter
) -> list[Condition]:
    columns, conditions = schema.optgroup.c, list[Condition]()
    if wanted.operatorid is not None:
        conditions.append(columns.operatorid == wanted.operatorid)
    if wanted.from_ is not None:
        conditions.append(columns.create_time >= format_time(wanted.from_, schema.zone))
    if wanted.to is not None:
        conditions.append(columns.create_time < format_time(wanted.to, schema.zone))
    if wanted.state is not None:
        conditions.append(_in_state(schema, wanted.state))
    if wanted.cluster is not None:
        conditions.append(_says(connection, schema, "cluster", wanted.cluster))
    if wanted.model is not None:
        conditions.append(_says(connection, schema, "model", str(wanted.model)))
    if wanted.q:
        conditions.append(_described(connection, schema, shapes, wanted.q))
    return conditions + list(_granted(connection, schema, wanted.grants))


def _granted(connection: Connection, schema: Schema, grants: Grants) -> Iterator[Condition]:
    own = schema.operation.c
    if grants.clusters is not None:
        yield own.cluster.in_(sorted(grants.clusters))
    if grants.eids is not None:
        yield own.id.is_not(None)
        granted = json.dumps(sorted(grants.eids))
        if connection.dialect.name == "mysql":
            yield func.json_contains(granted, func.json_extract(own.order_json, "$.eids")) == 1
        else:
            asked = func.json_each(own.order_json, "$.eids").table_valued("value")
            listed = select(func.json_each(granted).table_valued("value").c.value)
            yield ~select(asked.c.value).where(asked.c.value.not_in(listed)).exists()


def _in_state(schema: Schema, state: State) -> Condition:
    table, own = schema.optgroup.c, schema.operation.c
    if state is State.FOREIGN:
        return or_(own.id.is_(None), table.status.is_(None), table.status.not_in(list(STATE_OF_STATUS)))
    # `executed` follows from the status; with it the unfinished ones are found by the index
    numbers = state.numbers
    return and_(own.id.is_not(None), table.executed == numbers.executed, table.status == numbers.status)


def _says(connection: Connection, schema: Schema, name: str, value: str) -> Condition:
    """Compare a word of the order: eomd's column, or a foreign row's `conf`, which may be no JSON."""
    own, conf = schema.operation.c, schema.optgroup.c.conf
    word: ColumnElement[Any] = func.json_extract(conf, f"$.{name}")
    if connection.dialect.name == "mysql":
        word = func.json_unquote(word)
    foreign = and_(own.id.is_(None), case((func.json_valid(conf) == 1, word == value), else_=false()))
    return or_(own[name] == value, foreign)


def _described(connection: Connection, schema: Schema, shapes: Shapes, q: str) -> Condition:
    shape = shapes.of(connection, schema.optgroup.name)
    # MySQL refuses to compare a column with text its charset cannot hold
    if not shape.can_hold("description", q):
        return false()
    return schema.optgroup.c.description.contains(q, autoescape=True)


def _select(schema: Schema) -> Select[Any]:
    table, own = schema.optgroup, schema.operation
    joined = table.outerjoin(own, own.c.id == table.c.id)
    return select(*table.c, *(column.label(OWN + column.name) for column in own.c)).select_from(joined)


def _first(connection: Connection, schema: Schema, condition: Condition) -> Operation | None:
    row = connection.execute(_select(schema).where(condition)).mappings().first()
    return None if row is None else parse_operation(row, schema.zone)


def _all(connection: Connection, schema: Schema, query: Select[Any]) -> list[Operation]:
    return [parse_operation(row, schema.zone) for row in connection.execute(query).mappings()]
