"""Repeats, approval and read-back of an operation; an audit found by subject, and only ever appended to."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import Column, String, Text

from eomd.storage.migrations.steps import AddColumns, AddIndex, AppendOnly, Step, apply_missing, own_table

revision = "0005"
down_revision = "0004"


def steps(table: str) -> list[Step]:
    """List what must be there, whatever `define_optgroup` is called."""
    operation = own_table(
        "eom_operation",
        Column("repeats", Text),
        Column("approval", Text),
        Column("verifyname", String(255)),
    )
    audit = own_table("eom_audit", Column("subject", String(255)))
    return [AddColumns(operation), AddIndex(audit, ("subject",)), AppendOnly("eom_audit")]


def upgrade() -> None:
    apply_missing(op.get_bind(), steps(context.config.attributes["table"]))
