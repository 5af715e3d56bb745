"""The hash of what a modify changes, by which repeats are found."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import Column

from eomd.storage.migrations.steps import EXACT, MOMENT, AddColumns, AddIndex, Step, apply_missing, own_table

revision = "0002"
down_revision = "0001"


def steps(table: str) -> list[Step]:
    """List what must be there."""
    operation = own_table("eom_operation", Column("change_hash", EXACT), Column("create_time", MOMENT))
    return [AddColumns(operation), AddIndex(operation, ("change_hash", "create_time"))]


def upgrade() -> None:
    apply_missing(op.get_bind(), steps(context.config.attributes["table"]))
