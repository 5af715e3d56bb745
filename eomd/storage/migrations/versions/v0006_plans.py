"""The plan that an operation carries out, where that is not its parent's."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import Column, Integer

from eomd.storage.migrations.steps import AddColumns, Step, apply_missing, own_table

revision = "0006"
down_revision = "0005"


def steps(table: str) -> list[Step]:
    """List what must be there, whatever `define_optgroup` is called."""
    return [AddColumns(own_table("eom_operation", Column("plan", Integer)))]


def upgrade() -> None:
    apply_missing(op.get_bind(), steps(context.config.attributes["table"]))
