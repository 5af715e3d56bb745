"""What an adopted table's columns can take, and values made to fit them.

An old `define_optgroup` is never retyped, so eomd's values bend: texts are cut to the column's length and
lose characters its charset lacks, NULL becomes an empty value where NULL is not allowed, and columns of which
eomd knows nothing get an empty value where they have no default. Exact values stand in `eom_operation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from eomd.storage.schema import EPOCH, format_time, storable

#: Python's codec for MySQL's charsets that lack characters; the others hold all of Unicode
_CODECS = {
    "latin1": "cp1252",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "big5": "big5",
    "ascii": "ascii",
    "utf8": "bmp",
    "utf8mb3": "bmp",
    "ucs2": "bmp",
}
_NUMERIC = ("int", "dec", "num", "float", "double", "real", "bit", "bool", "year")
_TEMPORAL = ("date", "time")

_MYSQL = text(
    "SELECT column_name AS name, data_type AS type, is_nullable = 'YES' AS nullable,"
    " column_default IS NOT NULL OR extra LIKE '%auto_increment%' OR extra LIKE '%GENERATED%' AS filled,"
    " character_maximum_length AS length, character_set_name AS charset"
    " FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = :table"
)
_SQLITE = text(
    'SELECT name, type, "notnull" = 0 AS nullable, dflt_value IS NOT NULL OR pk > 0 AS filled,'
    " NULL AS length, NULL AS charset FROM pragma_table_info(:table)"
)


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column as it stands in this database."""

    type: str
    nullable: bool
    #: the database fills it where an INSERT leaves it out
    filled: bool
    #: characters at most; None: no limit
    length: int | None
    #: Python's codec, `bmp` for what ends at U+FFFF; None: all of Unicode
    codec: str | None

    @property
    def empty(self) -> Any:
        """The value that says least."""
        if self.type.startswith(_TEMPORAL):
            return format_time(EPOCH)
        return 0 if self.type.startswith(_NUMERIC) or "int" in self.type else ""

    def fit(self, value: Any) -> Any:
        """Return the value as this column can take it."""
        if value is None:
            return None if self.nullable else self.empty
        if not isinstance(value, str):
            return value
        return _replace_unknown(value, self.codec)[: self.length]


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table's columns by name."""

    columns: Mapping[str, ColumnShape]

    def fit_insert(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a new row, with one for every column that must have one."""
        needed = {
            name: column.empty
            for name, column in self.columns.items()
            if name not in values and not column.nullable and not column.filled
        }
        return needed | self.fit(values)

    def fit(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self.columns[name].fit(value) if name in self.columns else value
            for name, value in values.items()
        }

    def can_hold(self, column: str, value: str) -> bool:
        """Tell whether the column's charset has every character of it."""
        shape = self.columns.get(column)
        return shape is None or _replace_unknown(value, shape.codec) == value


class Shapes:
    """Shapes by table, read once each. Used by several threads: reading one twice does no harm."""

    def __init__(self) -> None:
        self._known: dict[str, TableShape] = {}

    def of(self, connection: Connection, table: str) -> TableShape:
        known = self._known.get(table)
        if known is None:
            known = self._known[table] = read_shape(connection, table)
        return known

    def forget(self) -> None:
        self._known.clear()


def read_shape(connection: Connection, table: str) -> TableShape:
    """Ask the database for a table's columns; none for a table that is not there."""
    query = _SQLITE if connection.dialect.name == "sqlite" else _MYSQL
    rows = connection.execute(query, {"table": table}).mappings()
    return TableShape({row["name"].lower(): _shape(row) for row in rows})


def _shape(row: Mapping[Any, Any]) -> ColumnShape:
    return ColumnShape(
        type=str(row["type"]).lower(),
        nullable=bool(row["nullable"]),
        filled=bool(row["filled"]),
        length=row["length"],
        codec=_CODECS.get(row["charset"] or ""),
    )


def _replace_unknown(value: str, codec: str | None) -> str:
    value = storable(value)
    if codec is None:
        return value
    if codec == "bmp":
        return "".join(character if character <= "\uffff" else "?" for character in value)
    return value.encode(codec, "replace").decode(codec)
