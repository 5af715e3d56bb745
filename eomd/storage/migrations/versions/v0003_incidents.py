"""What the watchdog saw and did."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import Column, String, Table, Text

from eomd.storage.migrations.steps import EXACT, MOMENT, AddIndex, Create, Step, apply_missing, own_table

revision = "0003"
down_revision = "0002"


def steps(table: str) -> list[Step]:
    """List what must be there, whatever `define_optgroup` is called."""
    incident = _incident()
    return [Create(incident), AddIndex(incident, ("installation", "opened"))]


def upgrade() -> None:
    apply_missing(op.get_bind(), steps(context.config.attributes["table"]))


def _incident() -> Table:
    return own_table(
        "eom_incident",
        Column("id", EXACT, primary_key=True),
        Column("installation", EXACT, nullable=False),
        Column("kind", EXACT, nullable=False),
        Column("subject", String(255), nullable=False),
        Column("severity", EXACT, nullable=False),
        Column("opened", MOMENT, nullable=False),
        Column("closed", MOMENT),
        Column("summary", Text, nullable=False),
        Column("remedies", Text, nullable=False),
    )
