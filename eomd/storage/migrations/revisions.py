"""The revisions of the ledger's tables, as Alembic keeps them. Blocks."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection

from eomd.storage.migrations.steps import Step

_FOLDER = Path(__file__).parent


def steps(table: str, current: str | None) -> list[Step]:
    """Return what leads from this revision to the newest, from None all of it."""
    return [step for each in reversed(_after(current)) for step in each.module.steps(table)]


def upgrade(connection: Connection, table: str, current: str | None) -> None:
    """Apply what comes after this revision, in the caller's transaction."""
    if _after(current):
        config = _config()
        config.attributes["connection"] = connection
        config.attributes["table"] = table
        command.upgrade(config, "head")


def _after(current: str | None) -> list[Script]:
    """Return the revisions after this one, newest first; none after one of a newer eomd."""
    scripts = ScriptDirectory.from_config(_config())
    every = list(scripts.walk_revisions())
    if current is None:
        return every
    known = current in {script.revision for script in every}
    return list(scripts.iterate_revisions("head", current)) if known else []


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
