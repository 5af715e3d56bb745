"""Alembic's entry: runs the revisions on the connection and in the transaction that `migrate` has opened."""

from __future__ import annotations

from alembic import context

from eomd.storage.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
