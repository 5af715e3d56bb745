"""`eom_meta`: small named JSON values that belong to the database; in the caller's transaction."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from eomd.storage.schema import Schema


def get(connection: Connection, schema: Schema, name: str) -> Any:
    """Return the value; None for none."""
    query = select(schema.meta.c.value).where(schema.meta.c.name == name)
    text = connection.execute(query).scalar()
    return None if text is None else json.loads(text)


def put(connection: Connection, schema: Schema, name: str, value: object) -> None:
    """Write the value over the one that is there. Raises TypeError for what is no JSON."""
    text = json.dumps(value)
    connection.execute(delete(schema.meta).where(schema.meta.c.name == name))
    connection.execute(insert(schema.meta).values(name=name, value=text))
