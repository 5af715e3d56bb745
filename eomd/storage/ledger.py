"""The ledger: operations, tokens, definitions, audit and small values, in SQLite or MySQL.

One asynchronous method per question or order; each is one transaction off the loop. The statements stand in
the modules beside this one. All methods raise LedgerUnavailableError after the transaction was repeated once,
and at once while the database is known to be away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from eomd.model import ClusterTitle, EidDefinition, Incident, Operation
from eomd.storage import audit, incidents, meta, migrate, nosdata, operation_pages, tokens, users
from eomd.storage import operation_reads as reads
from eomd.storage import operation_writes as writes
from eomd.storage.audit import AuditEntry, AuditFilter
from eomd.storage.columns import Shapes
from eomd.storage.engine import LedgerSettings, zone_of
from eomd.storage.incidents import IncidentFilter
from eomd.storage.ledger_errors import TakenError
from eomd.storage.ledger_link import LedgerLink, LedgerView
from eomd.storage.operation_records import NewOperation, OperationChange, OperationFilter
from eomd.storage.operation_writes import KEY_LIFE
from eomd.storage.schema import make_schema
from eomd.storage.tokens import TokenRecord
from eomd.storage.users import SessionRecord, UserRecord

__all__ = [
    "KEY_LIFE",
    "AuditEntry",
    "AuditFilter",
    "IncidentFilter",
    "Ledger",
    "LedgerSettings",
    "LedgerView",
    "NewOperation",
    "OperationChange",
    "OperationFilter",
    "SessionRecord",
    "TakenError",
    "TokenRecord",
    "UserRecord",
]


def _now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """One database. Raises ConfigurationError for settings that no database can be reached with."""

    def __init__(self, settings: LedgerSettings, clock: Callable[[], datetime] = _now) -> None:
        self._settings = settings
        self._schema = make_schema(settings.table, zone_of(settings))
        self._shapes = Shapes()
        self._clock = clock
        self._link = LedgerLink(settings, clock)
        self._link.add_listener(self._shapes.forget)

    @property
    def state(self) -> LedgerView:
        """Whether it is up, since when, and why not."""
        return self._link.view

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call it on the loop after every change between up and down."""
        self._link.add_listener(listener)

    def hear(self, *, up: bool, trouble: str) -> None:
        """Take note of how somebody else has found the database; `trouble`: why it is away."""
        self._link.hear(up=up, trouble=trouble)

    async def open(self) -> None:
        """Begin to watch the database, without waiting for it."""
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def ping(self) -> None:
        """Find out at once whether the ledger is up."""
        await self._link.ping()

    async def pending_migrations(self) -> list[str]:
        """Say what `migrate` would change."""
        return await self._link.in_thread(lambda: migrate.pending_migrations(self._settings))

    async def migrate(self, legacy_stopped: bool = False) -> list[str]:
        """Bring the tables up to date and say what was done. Raises MigrationRefusedError."""
        done = await self._link.in_thread(lambda: migrate.migrate(self._settings, legacy_stopped))
        self._shapes.forget()
        return done

    # -- operations

    async def admit(self, new: NewOperation) -> Operation:
        """Write a new operation, or return it where it has been written before (same UUID).

        Raises KeyReusedError or WrongStateError where its Idempotency-Key or its place as a child is taken:
        look up `find_key` or `child`. After LedgerUnavailableError it may have been written nevertheless:
        look up `operation_of_uuid` before anything is thrown away.
        """
        return (await self.admit_many([new]))[0]

    async def admit_many(self, news: Sequence[NewOperation]) -> list[Operation]:
        """Write new operations, all of them or none, in this order. Raises as `admit`."""

        def first(connection: Connection) -> list[Operation]:
            return writes.admit(connection, self._schema, self._shapes, news)

        def again(connection: Connection) -> list[Operation]:
            return writes.admit_after_doubt(connection, self._schema, self._shapes, news)

        try:
            return await self._link.write(first, again)
        except TakenError:
            return await self._link.read(lambda c: writes.settle_conflict(c, self._schema, news))

    async def operation(self, operation: int) -> Operation | None:
        """Return an operation, perhaps a foreign one."""
        return await self._link.read(lambda c: reads.find(c, self._schema, operation))

    async def operation_of_uuid(self, uuid: str) -> Operation | None:
        """Return what a hand-in has become, for certain: a commit under way is waited for."""
        return await self._link.read(lambda c: reads.settle_uuid(c, self._schema, uuid))

    async def operations_of_uuids(self, uuids: Sequence[str]) -> dict[str, int]:
        """Return the ids of those hand-ins that are operations. None of them may be in doubt."""
        return await self._link.read(lambda c: reads.of_uuids(c, self._schema, uuids))

    async def same_changes(self, hashes: Sequence[str], since: datetime) -> dict[str, list[int]]:
        """Return by `change_hash` the operations since then that change the same, newest first.

        Those that ended before they changed anything do not count.
        """
        return await self._link.read(lambda c: reads.same_changes(c, self._schema, hashes, since))

    async def child(self, parent: int, kind: str) -> Operation | None:
        """Return the operation that came from another one in this way."""
        return await self._link.read(lambda c: reads.find_child(c, self._schema, parent, kind))

    async def free_child(self, child: int) -> None:
        """Let its parent have another child of its kind: this one does not count any more."""
        await self._link.write(lambda c: writes.free_child(c, self._schema, child))

    async def find_key(
        self, operatorid: int, key: str, since: datetime
    ) -> tuple[Operation, str | None] | None:
        """Return the operation handed in under an Idempotency-Key since then, and its content's hash."""
        return await self._link.read(lambda c: reads.find_key(c, self._schema, operatorid, key, since))

    async def release(self, uuid: str) -> None:
        """Let another operation have the Idempotency-Key of a hand-in and its place as a child."""
        await self._link.write(lambda c: writes.release(c, self._schema, uuid))

    async def operations(self, wanted: OperationFilter) -> tuple[int | None, list[Operation]]:
        """Return how many operations there are (None with `before`) and one page of them, newest first."""
        return await self._link.read(lambda c: operation_pages.page(c, self._schema, self._shapes, wanted))

    async def unfinished(self, installation: str) -> list[Operation]:
        """Return an installation's unfinished operations, oldest first."""
        return await self._link.read(lambda c: reads.unfinished(c, self._schema, installation))

    async def record(self, change: OperationChange) -> None:
        """Write a change, unless the operation has ended otherwise before."""
        await self.record_many([change])

    async def record_many(self, changes: Sequence[OperationChange]) -> None:
        """Write changes in this order, in one transaction."""

        def write(connection: Connection) -> None:
            for change in changes:
                writes.record(connection, self._schema, self._shapes, change)

        await self._link.write(write)

    async def expired(self, installation: str, before: datetime) -> list[Operation]:
        """Return operations of an installation that ended before then and have their files, oldest first."""
        return await self._link.read(lambda c: reads.expired(c, self._schema, installation, before))

    async def removed(self, ids: Sequence[int], time: datetime) -> None:
        """Note that retention has removed these operations' files."""
        await self._link.write(lambda c: writes.mark_removed(c, self._schema, ids, time))

    # -- beside them

    async def meta_get(self, name: str) -> Any:
        """Return a small value; None for none."""
        return await self._link.read(lambda c: meta.get(c, self._schema, name))

    async def meta_set(self, name: str, value: object) -> None:
        await self._link.write(lambda c: meta.put(c, self._schema, name, value))

    async def tokens(self) -> list[TokenRecord]:
        """Return every token, revoked ones too, oldest first."""
        return await self._link.read(lambda c: tokens.all_tokens(c, self._schema))

    async def add_token(self, token: TokenRecord) -> None:
        await self._link.write(lambda c: tokens.add(c, self._schema, token))

    async def revoke_token(self, token_id: str) -> bool:
        """Revoke a token now. Return whether there is such a token."""
        return await self._link.write(lambda c: tokens.revoke(c, self._schema, token_id, self._clock()))

    async def users(self) -> list[UserRecord]:
        """Return every user, disabled ones too, by name."""
        return await self._link.read(lambda c: users.all_users(c, self._schema))

    async def add_user(self, user: UserRecord) -> None:
        """Raises TakenError where the name or the operatorid is another's."""
        await self._link.write(
            lambda c: users.add(c, self._schema, user), lambda c: users.add_after_doubt(c, self._schema, user)
        )

    async def change_user(self, user: UserRecord, *, end_sessions: bool) -> None:
        """Write a user over what stands there. Raises TakenError where the operatorid is another's."""
        await self._link.write(lambda c: users.change(c, self._schema, user, end_sessions=end_sessions))

    async def sessions(self) -> list[SessionRecord]:
        """Return the sessions that have not expired."""
        return await self._link.read(lambda c: users.all_sessions(c, self._schema, self._clock()))

    async def add_session(self, session: SessionRecord, user: UserRecord, kept_max: int) -> bool:
        """Keep a session, unless its user has changed; of the user's only the newest `kept_max` stay."""
        return await self._link.write(lambda c: users.add_session(c, self._schema, session, user, kept_max))

    async def end_session(self, session_id: str) -> None:
        await self._link.write(lambda c: users.end_session(c, self._schema, session_id))

    async def definitions(self) -> tuple[list[ClusterTitle], list[EidDefinition]]:
        return await self._link.read(lambda c: nosdata.definitions(c, self._schema))

    async def put_definitions(self, titles: Sequence[ClusterTitle], eids: Sequence[EidDefinition]) -> None:
        """Make these all that is defined."""
        await self._link.write(lambda c: nosdata.put_definitions(c, self._schema, self._shapes, titles, eids))

    async def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Note who did what."""
        await self._link.write(lambda c: audit.add(c, self._schema, entries))

    async def audit_of(self, subject: str) -> list[AuditEntry]:
        """Return what was done to a subject such as `operation 12`, oldest first."""
        return await self._link.read(lambda c: audit.of_subject(c, self._schema, subject))

    async def audit_page(self, wanted: AuditFilter) -> list[AuditEntry]:
        """Return who did what, newest first."""
        return await self._link.read(lambda c: audit.newest(c, self._schema, wanted))

    async def put_incidents(self, installation: str, changed: Sequence[Incident]) -> None:
        """Write incidents of an installation over what stands there of them."""
        await self._link.write(lambda c: incidents.put(c, self._schema, installation, changed))

    async def remove_incidents(self, installation: str, before: datetime) -> int:
        """Remove some incidents that ended before then; return how many, 0 where none is left."""
        return await self._link.write(lambda c: incidents.remove(c, self._schema, installation, before))

    async def incidents(self, installation: str, wanted: IncidentFilter) -> tuple[int, list[Incident]]:
        """Return how many incidents there are and one page of them, newest first."""
        return await self._link.read(lambda c: incidents.page(c, self._schema, installation, wanted))
