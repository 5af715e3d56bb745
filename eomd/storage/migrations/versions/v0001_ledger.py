"""The ledger proper, the tables beside it, the counters' definitions; those of the old services adopted."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql

from eomd.storage.migrations.steps import (
    BIG,
    EXACT,
    MOMENT,
    AddColumns,
    AddIndex,
    Create,
    Step,
    apply_missing,
    own_table,
)

revision = "0001"
down_revision = None

TINY = SmallInteger().with_variant(mysql.TINYINT(), "mysql")
ZERO = text("0")


def steps(table: str) -> list[Step]:
    """List what must be there; `table` is what this installation calls `define_optgroup`."""
    optgroup, clusters, eids = _optgroup(table), _clusters(), _eids()
    operation, audit = _operation(), _audit()
    return [
        Create(optgroup),
        AddColumns(optgroup),
        AddIndex(optgroup, ("operatorid", "create_time")),
        AddIndex(optgroup, ("executed", "id")),
        *(Create(own) for own in (operation, _meta(), _tokens(), audit)),
        AddIndex(operation, ("removed_time", "last_modify_time")),
        AddIndex(audit, ("time",)),
        Create(clusters),
        AddColumns(clusters),
        Create(eids),
        AddColumns(eids),
    ]


def upgrade() -> None:
    apply_missing(op.get_bind(), steps(context.config.attributes["table"]))


def _optgroup(name: str) -> Table:
    return own_table(
        name,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("description", String(255)),
        Column("executed", TINY, server_default=ZERO),
        Column("handleres", Integer, server_default=ZERO),
        Column("conf", Text),
        Column("operatorid", BigInteger),
        Column("operatorname", String(64)),
        Column("sourcename", String(255)),
        Column("note", Text),
        Column("create_time", MOMENT),
        Column("last_modify_time", MOMENT),
        Column("logname", String(255)),
        Column("resultname", String(255)),
        Column("status", Integer, server_default=ZERO),
    )


def _operation() -> Table:
    return own_table(
        "eom_operation",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("uuid", EXACT, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("installation", EXACT, nullable=False),
        Column("operatorid", BigInteger, nullable=False),
        Column("cluster", EXACT, nullable=False),
        Column("model", EXACT, nullable=False),
        Column("order_json", Text, nullable=False),
        Column("original_name", Text, nullable=False),
        *(
            Column(name, BigInteger, nullable=False)
            for name in ("total", "done", "ok", "failed", "uncertain")
        ),
        Column("paused_by", EXACT),
        Column("message", Text),
        Column("parent", Integer),
        Column("kind", EXACT),
        Column("idempotency_key", EXACT),
        Column("content_hash", EXACT),
        Column("create_time", MOMENT, nullable=False),
        Column("last_modify_time", MOMENT, nullable=False),
        Column("removed_time", MOMENT),
        UniqueConstraint("uuid", name="uq_eom_operation_uuid"),
        UniqueConstraint("parent", "kind", name="uq_eom_operation_child"),
        UniqueConstraint("operatorid", "idempotency_key", name="uq_eom_operation_key"),
    )


def _meta() -> Table:
    return own_table(
        "eom_meta", Column("name", EXACT, primary_key=True), Column("value", Text, nullable=False)
    )


def _tokens() -> Table:
    return own_table(
        "eom_tokens",
        Column("id", EXACT, primary_key=True),
        Column("name", String(255), nullable=False),
        Column("hash", EXACT, nullable=False, unique=True),
        Column("role", EXACT, nullable=False),
        Column("created", MOMENT, nullable=False),
        Column("expires", MOMENT),
        Column("revoked", MOMENT),
    )


def _audit() -> Table:
    return own_table(
        "eom_audit",
        Column("id", BIG, primary_key=True, autoincrement=True),
        Column("entry", EXACT, nullable=False, unique=True),
        Column("time", MOMENT, nullable=False),
        Column("who", String(255), nullable=False),
        Column("action", EXACT, nullable=False),
        Column("subject", String(255), nullable=False),
        Column("detail", Text, nullable=False),
        Column("address", String(255), nullable=False),
    )


def _clusters() -> Table:
    return own_table(
        "define_nosdata_cluster", Column("name", String(64), primary_key=True), Column("title", String(255))
    )


def _eids() -> Table:
    return own_table(
        "define_nosdata_evt",
        Column("cluster", String(64), primary_key=True),
        Column("eid", BigInteger, primary_key=True, autoincrement=False),
        Column("name", String(255)),
        Column("unit", String(64)),
        Column("minimum", BigInteger),
        Column("maximum", BigInteger),
        Column("editable", TINY),
    )
