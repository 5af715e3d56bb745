"""The steps of migrations: each can say what it would change, and changes only what is still missing.

So a table of the old services is adopted as it is, and a migration cut off in its middle (MySQL commits after
every statement of DDL) is simply run again. No step renames, retypes or drops anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import BigInteger, Column, Connection, DateTime, Index, MetaData, String, Table, inspect
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, SchemaItem

#: of tables we create; sqlite_autoincrement keeps an id from being given out twice
OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "sqlite_autoincrement": True}
#: eight bytes in both; SQLite counts up only what is called INTEGER
BIG = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
MOMENT = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
#: compared byte by byte, as keys must be
EXACT = String(128).with_variant(mysql.VARCHAR(128, charset="ascii", collation="ascii_bin"), "mysql")

#: MySQL: the key is too long, or a TEXT; an adopted column may be so, and the index only makes things faster
_UNINDEXABLE = (1071, 1170)

#: MySQL: no right to it, or not while a binary log is written
_NO_TRIGGERS = (1142, 1227, 1370, 1419)

_log = logging.getLogger(__name__)


class Step(Protocol):
    """One thing that should be there."""

    def missing(self, connection: Connection) -> str | None:
        """Say in plain words what would be done; None where it is there."""
        ...

    def apply(self, connection: Connection) -> None: ...


def apply_missing(connection: Connection, steps: Iterable[Step]) -> None:
    """Do what is not done yet."""
    for step in steps:
        if step.missing(connection):
            step.apply(connection)


def own_table(name: str, *columns: SchemaItem) -> Table:
    """Describe a table as eomd creates it."""
    return Table(name, MetaData(), *columns, **OPTIONS)


@dataclass(frozen=True, slots=True)
class Create:
    """A table, which may be there already, in whatever form."""

    table: Table

    def missing(self, connection: Connection) -> str | None:
        there = inspect(connection).has_table(self.table.name)
        return None if there else f"create the table {self.table.name}"

    def apply(self, connection: Connection) -> None:
        connection.execute(CreateTable(self.table))


@dataclass(frozen=True, slots=True)
class AddColumns:
    """A table's columns, the missing ones added at its end, nullable and empty."""

    table: Table

    def missing(self, connection: Connection) -> str | None:
        names = ", ".join(column.name for column in self._absent(connection))
        return f"add to the table {self.table.name} the columns {names} (nullable)" if names else None

    def apply(self, connection: Connection) -> None:
        quote = connection.dialect.identifier_preparer.format_table
        for column in self._absent(connection):
            added = Column(column.name, column.type, nullable=True)
            Table(self.table.name, MetaData(), added)
            clause = CreateColumn(added).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {quote(self.table)} ADD COLUMN {clause}")

    def _absent(self, connection: Connection) -> list[Column[object]]:
        looking = inspect(connection)
        if not looking.has_table(self.table.name):
            return []
        there = {column["name"].lower() for column in looking.get_columns(self.table.name)}
        return [column for column in self.table.columns if column.name not in there]


@dataclass(frozen=True, slots=True)
class AddIndex:
    """An index; one on the same columns under another name will do."""

    table: Table
    columns: tuple[str, ...]

    def missing(self, connection: Connection) -> str | None:
        if self._there(connection):
            return None
        return f"create an index on {self.table.name} ({', '.join(self.columns)})"

    def apply(self, connection: Connection) -> None:
        name = f"ix_{self.table.name}_{'_'.join(self.columns)}"[:60]
        try:
            connection.execute(CreateIndex(Index(name, *(self.table.c[each] for each in self.columns))))
        except DBAPIError as error:
            if error.orig is None or error.orig.args[0] not in _UNINDEXABLE:
                raise
            _log.warning("%s stays without an index on %s", self.table.name, self.columns)

    def _there(self, connection: Connection) -> bool:
        looking = inspect(connection)
        if not looking.has_table(self.table.name):
            return False
        indexed = [index["column_names"] for index in looking.get_indexes(self.table.name)]
        return any(_lower(names)[: len(self.columns)] == list(self.columns) for names in indexed)


@dataclass(frozen=True, slots=True)
class AppendOnly:
    """Triggers that let nobody change or remove what stands in a table.

    A user of MySQL without the right to make triggers is warned, and goes without.
    """

    table: str

    def missing(self, connection: Connection) -> str | None:
        return f"let nobody change or remove rows of {self.table}" if self._absent(connection) else None

    def apply(self, connection: Connection) -> None:
        for deed in self._absent(connection):
            try:
                connection.exec_driver_sql(self._statement(connection, deed))
            except DBAPIError as error:
                if error.orig is None or error.orig.args[0] not in _NO_TRIGGERS:
                    raise
                _log.warning("%s is not protected from changes: this user may make no triggers", self.table)
                return

    def _absent(self, connection: Connection) -> list[str]:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect.name == "mysql":
            query = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        there = set(connection.exec_driver_sql(query).scalars())
        return [deed for deed in ("UPDATE", "DELETE") if self._name(deed) not in there]

    def _name(self, deed: str) -> str:
        return f"{self.table}_no_{deed.lower()}"

    def _statement(self, connection: Connection, deed: str) -> str:
        said = f"'{self.table} is only ever appended to'"
        begun = f"CREATE TRIGGER {self._name(deed)} BEFORE {deed} ON {self.table}"
        if connection.dialect.name == "mysql":
            return f"{begun} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = {said}"
        return f"{begun} BEGIN SELECT RAISE(ABORT, {said}); END"


def _lower(names: list[str | None]) -> list[str]:
    return [(name or "").lower() for name in names]
