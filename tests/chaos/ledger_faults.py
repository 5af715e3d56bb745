"""Faults of the database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pymysql

from eomd.watchdog.kinds import Kind
from tests.chaos.fault import IncidentFault
from tests.chaos.system import USER
from tests.world import wait_until

#: the least that MariaDB takes for max_connections
CONNECTIONS = 10
#: what it is by itself
CONNECTIONS_BEFORE = 151


class _LedgerFault(IncidentFault):
    subject = "ledger"
    kinds: tuple[str, ...] = (Kind.LEDGER_DOWN,)

    def healed(self) -> bool:
        """Tell whether a statement of the ledger is answered, and no incident speaks of it."""
        listed = self.system.eyes.ask("/queryoperationsbyoperatorid?page_size=1")
        return listed is not None and self.closed()


class LedgerKilled(_LedgerFault):
    name = "MariaDB killed"

    def begin(self) -> None:
        self.system.mariadb.kill()

    def heal(self) -> None:
        self.system.mariadb.start()


class LedgerFrozen(_LedgerFault):
    name = "MariaDB frozen"

    def begin(self) -> None:
        self.system.mariadb.freeze()

    def heal(self) -> None:
        self.system.mariadb.thaw()


class LedgerReadOnly(_LedgerFault):
    name = "MariaDB read-only"
    kinds = (Kind.LEDGER_READ_ONLY,)

    def begin(self) -> None:
        self.system.mariadb.execute("SET GLOBAL read_only = 1")

    def heal(self) -> None:
        self.system.mariadb.execute("SET GLOBAL read_only = 0")


class LedgerCrowded(_LedgerFault):
    """Others hold every connection there is, and eomd has lost its own."""

    name = "MariaDB out of connections"

    def begin(self) -> None:
        # one connection of root's, from before there are too few
        self._root = self.system.mariadb.connect()
        self._held: list[pymysql.Connection[Any]] = []
        self._execute("CREATE USER IF NOT EXISTS crowd@'127.0.0.1'")
        self._execute(f"SET GLOBAL max_connections = {CONNECTIONS}")
        wait_until(self._is_crowded_out, "eomd has no connection to the database")

    def heal(self) -> None:
        self._execute(f"SET GLOBAL max_connections = {CONNECTIONS_BEFORE}")
        for connection in [*self._held, self._root]:
            connection.close()

    def _is_crowded_out(self) -> bool:
        for (thread,) in self._threads_of_eomd():
            # it may have ended by itself meanwhile
            with suppress(pymysql.err.MySQLError):
                self._execute(f"KILL {thread}")
        with suppress(pymysql.err.OperationalError):
            while True:
                self._held.append(self._join_crowd())
        return not self._threads_of_eomd()

    def _threads_of_eomd(self) -> Sequence[tuple[int]]:
        return list(self._execute("SELECT id FROM information_schema.processlist WHERE user = %s", USER))

    def _execute(self, statement: str, *parameters: str) -> Any:
        with self._root.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall()

    def _join_crowd(self) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host="127.0.0.1", port=self.system.mariadb.port, user="crowd", connect_timeout=5
        )
