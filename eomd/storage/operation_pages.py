"""The history: a page of operations and how many there are, quick with a hundred thousand of them.

A join of all rows is what takes long. Where every row is ours, which two counts tell, each filter is held
against the one table that an index of it helps in; both are read only where foreign rows stand among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, false, func, or_, select

from eomd.model import STATE_OF_STATUS, Grants, Operation, State
from eomd.storage.columns import Shapes
from eomd.storage.operation_reads import all_of, joined
from eomd.storage.operation_records import PAGE_SIZE_MAX, OperationFilter
from eomd.storage.schema import Schema, format_time

Condition = ColumnElement[bool]


@dataclass(slots=True)
class _Search:
    """Conditions by the table that they speak of."""

    schema: Schema
    #: rows of others stand in the table
    foreign: bool
    #: of `define_optgroup`, or of both tables
    shared: list[Condition] = field(default_factory=list)
    #: of `eom_operation` alone
    own: list[Condition] = field(default_factory=list)

    @property
    def source(self) -> FromClause:
        """What has to be read."""
        table, own = self.schema.optgroup, self.schema.operation
        if self.foreign:
            return table.outerjoin(own, own.c.id == table.c.id)
        if not self.own:
            return table
        return own if not self.shared else own.join(table, own.c.id == table.c.id)

    @property
    def id(self) -> ColumnElement[int]:
        """The operation's id in what is read."""
        alone = self.own and not self.shared and not self.foreign
        return self.schema.operation.c.id if alone else self.schema.optgroup.c.id

    @property
    def conditions(self) -> list[Condition]:
        return [*self.shared, *self.own]


def page(
    connection: Connection, schema: Schema, shapes: Shapes, wanted: OperationFilter
) -> tuple[int | None, list[Operation]]:
    """Return how many operations there are and one page of them, newest first.

    With `before` nobody counts, and None stands for how many.
    """
    search = _search(connection, schema, shapes, wanted)
    size = min(max(wanted.page_size, 1), PAGE_SIZE_MAX)
    skipped = (max(wanted.page, 1) - 1) * size
    older = [] if wanted.before is None else [search.id < wanted.before]
    # ids first: what a page leaves out need not be read
    query = select(search.id).select_from(search.source).where(*search.conditions, *older)
    ids = connection.execute(query.order_by(search.id.desc()).limit(size).offset(skipped)).scalars().all()
    chosen = joined(schema).where(schema.optgroup.c.id.in_(ids)).order_by(schema.optgroup.c.id.desc())
    items = all_of(connection, schema, chosen) if ids else []
    if wanted.before is not None:
        return None, items
    if len(ids) < size and (ids or not skipped):
        # the last page: a search that finds little has looked at everything by now
        return skipped + len(ids), items
    counted = select(func.count()).select_from(search.source).where(*search.conditions)
    return int(connection.execute(counted).scalar_one()), items


def _search(connection: Connection, schema: Schema, shapes: Shapes, wanted: OperationFilter) -> _Search:
    search = _Search(schema, _has_foreign(connection, schema, wanted))
    if wanted.state is not None:
        search.shared.append(_in_state(search, wanted.state))
    if wanted.q:
        search.shared.append(_described(connection, schema, shapes, wanted.q))
    search.own += _granted(connection, schema, wanted.grants)
    for name, word in (("cluster", wanted.cluster), ("model", wanted.model)):
        if word is not None:
            search.own.append(_says(connection, search, name, str(word)))
    alone = search.own and not search.shared and not search.foreign
    times = _times(schema, wanted, own=bool(alone))
    (search.own if alone else search.shared).extend(times)
    return search


def _has_foreign(connection: Connection, schema: Schema, wanted: OperationFilter) -> bool:
    """Tell whether foreign rows make a difference to this question."""
    if not (wanted.state or wanted.cluster or wanted.model or not wanted.grants.whole):
        return False
    count = select(func.count())
    ours = connection.execute(count.select_from(schema.operation)).scalar_one()
    return bool(connection.execute(count.select_from(schema.optgroup)).scalar_one() != ours)


def _times(schema: Schema, wanted: OperationFilter, *, own: bool) -> Iterator[Condition]:
    """Whose and from when: both tables know, each in its zone."""
    columns = schema.operation.c if own else schema.optgroup.c
    zone = {} if own else {"zone": schema.zone}
    if wanted.operatorid is not None:
        yield columns.operatorid == wanted.operatorid
    if wanted.from_ is not None:
        yield columns.create_time >= format_time(wanted.from_, **zone)
    if wanted.to is not None:
        yield columns.create_time < format_time(wanted.to, **zone)


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


def _in_state(search: _Search, state: State) -> Condition:
    table, own = search.schema.optgroup.c, search.schema.operation.c
    if state is State.FOREIGN:
        if not search.foreign:
            return false()
        return or_(own.id.is_(None), table.status.is_(None), table.status.not_in(list(STATE_OF_STATUS)))
    # `executed` follows from the status; with it the unfinished ones are found by the index
    numbers = state.numbers
    found = and_(table.executed == numbers.executed, table.status == numbers.status)
    return and_(own.id.is_not(None), found) if search.foreign else found


def _says(connection: Connection, search: _Search, name: str, value: str) -> Condition:
    """Compare a word of the order: eomd's column, or a foreign row's `conf`, which may be no JSON."""
    own, conf = search.schema.operation.c, search.schema.optgroup.c.conf
    if not search.foreign:
        return own[name] == value
    word: ColumnElement[Any] = func.json_extract(conf, f"$.{name}")
    if connection.dialect.name == "mysql":
        word = func.json_unquote(word)
    foreign = and_(own.id.is_(None), case((func.json_valid(conf) == 1, word == value), else_=false()))
    return or_(own[name] == value, foreign)


def _described(connection: Connection, schema: Schema, shapes: Shapes, q: str) -> Condition:
    """Look for a text in the description, the note and the source's own name."""
    shape, own = shapes.of(connection, schema.optgroup.name), schema.operation.alias("named")
    # MySQL refuses to compare a column with text its charset cannot hold
    columns = [schema.optgroup.c[name] for name in ("description", "note") if shape.can_hold(name, q)]
    named = own.c.id == schema.optgroup.c.id, own.c.original_name.contains(q, autoescape=True)
    said = [column.contains(q, autoescape=True) for column in columns]
    # row by row, so that a page of a text that many have is found without reading all
    return or_(*said, select(own.c.id).where(*named).correlate(schema.optgroup).exists())
