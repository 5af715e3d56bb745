"""Bringing a database to what this version needs: what would change, who stands in the way, one at a time.

Blocks; the CLI calls it directly, the server through `Ledger.migrate`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from eomd.errors import LedgerUnavailableError, MigrationRefusedError
from eomd.storage import meta
from eomd.storage.engine import MIGRATION_WAIT_S, READ_ONLY, LedgerSettings, make_engine, zone_of
from eomd.storage.ledger_errors import ours
from eomd.storage.migrations.steps import Step, apply_missing
from eomd.storage.schema import HEAD, VERSION_TABLE, Schema, make_schema

#: ids of unfinished foreign rows that a refusal lists
LISTED_MAX = 10

#: eom_meta: the table whose rows eom_operation speaks of
TABLE = "ledger_table"
#: eom_meta: foreign rows up to this id were left behind by an old service that has been stopped
LEGACY_UNTIL = "legacy_rows_until"

_log = logging.getLogger(__name__)


def pending_migrations(settings: LedgerSettings) -> list[str]:
    """Say in plain words what `migrate` would change; empty when there is nothing to do.

    Raises LedgerUnavailableError; MigrationRefusedError where the tables belong to another `ledger.table`.
    """
    with _connected(settings, migrating=False) as connection:
        return [words for step in _steps(connection, settings) if (words := step.missing(connection))]


def migrate(settings: LedgerSettings, legacy_stopped: bool = False) -> list[str]:
    """Change what has to be changed and say what that was. Does nothing to a database that is up to date.

    Two processes may do so at once: the second waits for the first. After a cut it may be repeated.

    Raises MigrationRefusedError while unfinished rows of the old services stand in the table, unless they are
    known to be stopped; LedgerUnavailableError.
    """
    schema = make_schema(settings.table, zone_of(settings))
    # looked at with the ordinary timeouts first: a migration's are too long to find out that nobody is there
    with _connected(settings, migrating=False) as connection:
        if not _outdated(connection, settings):
            return []
    with _connected(settings, migrating=True) as connection:
        _wait_for_others(connection)
        if not _outdated(connection, settings):
            return []
        last_foreign = _refuse_unfinished(connection, schema, legacy_stopped)
        done = [words for step in _steps(connection, settings) if (words := step.missing(connection))]
        _apply(connection, settings)
        meta.put(connection, schema, TABLE, settings.table)
        if last_foreign is not None:
            meta.put(connection, schema, LEGACY_UNTIL, last_foreign)
    for words in done:
        _log.info("ledger migrated: %s", words)
    return done


@contextmanager
def _connected(settings: LedgerSettings, *, migrating: bool) -> Iterator[Connection]:
    engine = make_engine(settings, migrating=migrating)
    try:
        with engine.connect() as connection:
            connection.execution_options(**{READ_ONLY: not migrating})
            with connection.begin():
                yield connection
    except SQLAlchemyError as error:
        raise ours(error, repeated=False) from error
    finally:
        engine.dispose()


def _wait_for_others(connection: Connection) -> None:
    """Let one process at a time migrate a database. On SQLite the transaction itself is the lock."""
    if connection.dialect.name != "mysql":
        return
    database = connection.execute(text("SELECT DATABASE()")).scalar_one()
    name = f"eomd-migrate-{hashlib.sha256(database.encode()).hexdigest()[:32]}"
    query = text("SELECT GET_LOCK(:name, :wait_s)")
    if connection.execute(query, {"name": name, "wait_s": MIGRATION_WAIT_S}).scalar() != 1:
        raise LedgerUnavailableError("another process is migrating the ledger")


def _apply(connection: Connection, settings: LedgerSettings) -> None:
    current = _revision(connection)
    if current != HEAD:
        from eomd.storage.migrations import revisions

        revisions.upgrade(connection, settings.table, current)
    apply_missing(connection, _steps(connection, settings))


def _outdated(connection: Connection, settings: LedgerSettings) -> bool:
    return bool(_steps(connection, settings))


def _steps(connection: Connection, settings: LedgerSettings) -> list[Step]:
    """Return the steps of every revision that is to be applied; of all of them for another `ledger.table`."""
    current, moved = _revision(connection), _moved(connection, settings)
    if current == HEAD and not moved:
        return []
    # Alembic is a sixth of what a server imports, and hardly ever needed
    from eomd.storage.migrations import revisions

    return revisions.steps(settings.table, None if moved else current)


def _revision(connection: Connection) -> str | None:
    """Return the revision that the database is at; None for one that eomd has never seen."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _moved(connection: Connection, settings: LedgerSettings) -> bool:
    """Tell whether `ledger.table` was another one before. Raises MigrationRefusedError if it is in use."""
    schema = make_schema(settings.table, zone_of(settings))
    if not inspect(connection).has_table(schema.meta.name):
        return False
    former = meta.get(connection, schema, TABLE)
    if former in (None, settings.table):
        return False
    if connection.execute(select(schema.operation.c.id).limit(1)).first() is not None:
        raise MigrationRefusedError(
            f"this database holds operations of ledger.table = {former}, not of {settings.table}: "
            "set it back, or name another database"
        )
    return True


def _refuse_unfinished(connection: Connection, schema: Schema, legacy_stopped: bool) -> int | None:
    """Raise MigrationRefusedError where the old service may be at work; return the last row it has left."""
    ids = _unfinished_foreign(connection, schema)
    if ids and not legacy_stopped:
        listed = ", ".join(map(str, ids[:LISTED_MAX])) + (", …" if len(ids) > LISTED_MAX else "")
        raise MigrationRefusedError(
            f"{schema.optgroup.name} holds {len(ids)} unfinished rows of another service (ids {listed}), "
            "which would run eomd's rows too: stop it and migrate with --legacy-stopped, "
            "or name another table in ledger.table"
        )
    return ids[-1] if ids else None


def _unfinished_foreign(connection: Connection, schema: Schema) -> list[int]:
    table = schema.optgroup
    if not _has_columns(connection, table):
        return []
    query = select(table.c.id).where(table.c.executed == 0).order_by(table.c.id)
    if inspect(connection).has_table(schema.operation.name):
        own = schema.operation
        query = query.where(~select(own.c.id).where(own.c.id == table.c.id).exists())
        query = query.where(table.c.id > (meta.get(connection, schema, LEGACY_UNTIL) or 0))
    return list(connection.execute(query).scalars())


def _has_columns(connection: Connection, table: Table) -> bool:
    looking = inspect(connection)
    if not looking.has_table(table.name):
        return False
    return "executed" in {column["name"].lower() for column in looking.get_columns(table.name)}
