"""`define_nosdata_*`: titles of clusters and definitions of EIDs, perhaps shared with the old services.

Replacing them updates, inserts and deletes row by row, so that columns of which eomd knows nothing stay.
Each call runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, column, delete, insert, select, update
from sqlalchemy import table as table_clause

from eomd.model import ClusterTitle, EidDefinition
from eomd.storage.columns import Shapes
from eomd.storage.schema import Schema

Definitions = tuple[list[ClusterTitle], list[EidDefinition]]
Key = tuple[Any, ...]
Values = Mapping[str, Any]


def definitions(connection: Connection, schema: Schema) -> Definitions:
    """Return what is defined, in order of cluster and EID; rows without a key are left out."""
    titles = [
        ClusterTitle(row["name"], row["title"] or "")
        for row in connection.execute(select(schema.clusters).order_by(schema.clusters.c.name)).mappings()
        if row["name"]
    ]
    columns = schema.eids.c
    rows = connection.execute(select(schema.eids).order_by(columns.cluster, columns.eid)).mappings()
    return titles, [_parse_eid(row) for row in rows if row["cluster"] and row["eid"] is not None]


def put_definitions(
    connection: Connection,
    schema: Schema,
    shapes: Shapes,
    titles: Sequence[ClusterTitle],
    eids: Sequence[EidDefinition],
) -> None:
    """Make these all that is defined."""
    named = {(title.name,): {"title": title.title} for title in titles}
    _replace(connection, schema.clusters, ("name",), named, shapes)
    counters = {(each.cluster, each.eid): _format_eid(each) for each in eids}
    _replace(connection, schema.eids, ("cluster", "eid"), counters, shapes)


def _replace(
    connection: Connection, table: Table, key: tuple[str, ...], wanted: Mapping[Key, Values], shapes: Shapes
) -> None:
    shape = shapes.of(connection, table.name)
    there = {tuple(row) for row in connection.execute(select(*(table.c[name] for name in key)))}
    for gone in there - wanted.keys():
        connection.execute(delete(table).where(_is(table, key, gone)))
    for each, values in wanted.items():
        if each in there:
            connection.execute(update(table).where(_is(table, key, each)).values(shape.fit(values)))
        else:
            row = shape.fit_insert({**dict(zip(key, each, strict=True)), **values})
            connection.execute(insert(table_clause(table.name, *map(column, row))).values(row))


def _is(table: Table, key: tuple[str, ...], values: Key) -> Any:
    return and_(*(table.c[name] == value for name, value in zip(key, values, strict=True)))


def _format_eid(eid: EidDefinition) -> Values:
    return {
        "name": eid.name,
        "unit": eid.unit,
        "minimum": eid.minimum,
        "maximum": eid.maximum,
        "editable": int(eid.editable),
    }


def _parse_eid(row: Mapping[Any, Any]) -> EidDefinition:
    return EidDefinition(
        cluster=row["cluster"],
        eid=int(row["eid"]),
        name=row["name"] or "",
        unit=row["unit"] or "",
        minimum=row["minimum"],
        maximum=row["maximum"],
        # an adopted row, of before there was such a column, says nothing against it
        editable=row["editable"] is None or bool(row["editable"]),
    )
