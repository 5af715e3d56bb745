"""Users and their sessions; whose a token is, and what it may reach."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import BigInteger, Column, String, Table, Text, UniqueConstraint

from eomd.storage.migrations.steps import (
    EXACT,
    MOMENT,
    AddColumns,
    AddIndex,
    Create,
    Step,
    apply_missing,
    own_table,
)

revision = "0004"
down_revision = "0003"


def steps(table: str) -> list[Step]:
    """List what must be there, whatever `define_optgroup` is called."""
    sessions = _sessions()
    return [
        Create(_users()),
        Create(sessions),
        AddIndex(sessions, ("user",)),
        AddColumns(own_table("eom_tokens", *_person())),
    ]


def upgrade() -> None:
    apply_missing(op.get_bind(), steps(context.config.attributes["table"]))


def _person() -> list[Column[object]]:
    return [
        Column("operatorid", BigInteger),
        Column("operatorname", String(64)),
        # JSON lists; NULL: whichever there are
        Column("clusters", Text),
        Column("eids", Text),
    ]


def _users() -> Table:
    return own_table(
        "eom_users",
        Column("name", EXACT, primary_key=True),
        Column("password", EXACT, nullable=False),
        Column("role", EXACT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("disabled", MOMENT),
        Column("locked_until", MOMENT),
        *_person(),
        UniqueConstraint("operatorid", name="uq_eom_users_operatorid"),
    )


def _sessions() -> Table:
    return own_table(
        "eom_sessions",
        Column("id", EXACT, primary_key=True),
        Column("user", EXACT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("expires", MOMENT, nullable=False),
        Column("address", String(255), nullable=False),
    )
