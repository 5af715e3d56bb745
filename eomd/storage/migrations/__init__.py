"""The ledger's Alembic migrations. Applied through `eomd.storage.migrate`, never by the alembic command."""
