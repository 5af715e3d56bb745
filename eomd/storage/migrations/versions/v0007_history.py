"""Indexes for the history: by time, by state, by cluster."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import Column, Integer

from eomd.storage.migrations.steps import EXACT, MOMENT, AddIndex, Step, apply_missing, own_table

revision = "0007"
down_revision = "0006"


def steps(table: str) -> list[Step]:
    """List what must be there, whatever `define_optgroup` is called."""
    optgroup = own_table(table, Column("create_time", MOMENT), Column("status", Integer))
    operation = own_table("eom_operation", Column("cluster", EXACT))
    return [
        AddIndex(optgroup, ("create_time",)),
        AddIndex(optgroup, ("status",)),
        AddIndex(operation, ("cluster",)),
    ]


def upgrade() -> None:
    apply_missing(op.get_bind(), steps(context.config.attributes["table"]))
