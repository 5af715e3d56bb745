"""Places a ledger can live in, for tests that hold on all of them; operations to put there."""

import asyncio
import secrets
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from eomd.model import Counts, Mode, Model, Order, State
from eomd.storage.ledger import Ledger, LedgerSettings, NewOperation, OperationChange

ORIGIN = "ab" * 16
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
DEADLINE_S = 120.0


class Home:
    """One empty database."""

    def __init__(self, url):
        self.url = url

    def settings(self, **changes):
        return LedgerSettings(**{"url": self.url, "timeout_s": 1.5} | changes)

    def run(self, scenario, **changes):
        """Run an async function on a migrated ledger."""

        async def main():
            async with self.ledger(**changes) as ledger:
                return await scenario(ledger)

        return asyncio.run(main())

    @asynccontextmanager
    async def ledger(self, migrated=True, **changes):
        ledger = Ledger(self.settings(**changes))
        if migrated:
            await ledger.migrate()
        await ledger.open()
        try:
            yield ledger
        finally:
            await ledger.close()

    def column(self, statement):
        return [row[0] for row in self.execute(statement)]


class SqliteHome(Home):
    kind = "sqlite"

    def __init__(self, folder):
        self.path = folder / "ledger.db"
        super().__init__(f"sqlite:///{self.path}")

    def execute(self, statement):
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()


class MariaHome(Home):
    kind = "mysql"

    def __init__(self, server, **options):
        self.server = server
        self.database = server.create_database(**options)
        super().__init__(server.url(self.database))

    def execute(self, statement):
        return self.server.execute(statement, database=self.database)

    def user(self, rights="ALL PRIVILEGES ON {}.*", password="", options=""):
        """Make a user who is not root and return their name."""
        name = f"u{secrets.token_hex(6)}"
        self.server.execute(f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{password}' {options}")
        self.server.execute(f"GRANT {rights.format(self.database)} TO {name}@'127.0.0.1'")
        return name


def new_operation(**changes):
    """Make a modify of five rows that nobody has handed in before."""
    order_changes = {name: changes.pop(name) for name in list(changes) if name in Order.__slots__}
    order = Order(
        model=Model.MODIFY,
        cluster="fish",
        eids=(1001, 1002),
        mode=Mode.INC,
        amount=None,
        description="停服补偿 100%_off",
        operatorid=7,
        operatorname="王芳",
    )
    new = NewOperation(
        uuid=str(uuid4()),
        number=secrets.randbits(63),
        order=replace(order, **order_changes),
        rows=5,
        original_name="玩家 名单.csv",
        installation=ORIGIN,
        create_time=NOON,
    )
    return replace(new, **changes)


def change_of(operation, state, seconds=1, **changes):
    change = replace(OperationChange.of(operation), state=state)
    return replace(change, time=operation.create_time + timedelta(seconds=seconds), **changes)


def five_done():
    return Counts(total=5, done=5, ok=4, failed=1)


def take_to(state):
    """Return the states an operation goes through until it is in that one."""
    by_approver = [State.AWAITING_APPROVAL, State.REJECTED]
    ways = {
        State.QUEUED: [],
        State.AWAITING_APPROVAL: by_approver[:1],
        State.REJECTED: by_approver,
        State.RUNNING: [State.RUNNING],
    }
    return ways.get(state, [State.RUNNING, state])


async def until(condition, deadline_s=DEADLINE_S):
    """Wait until a condition holds; fail where it does not in time."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)
