"""The link to the ledger's database: every transaction off the loop, faults told apart, up and down.

A transaction whose connection was lost is repeated exactly once, on a fresh connection; whether repeating it
is safe is the caller's business (`again`). After that the link is down: calls fail at once, and a task pings
every PING_DOWN_S until the database answers. Knows no table but the one the ping tries to write to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from eomd.errors import EomdError, LedgerUnavailableError
from eomd.storage.engine import READ_ONLY, LedgerSettings, connections_of, make_engine
from eomd.storage.ledger_errors import Fault, describe, fault_of, ours

PING_DOWN_S = 1.0
#: pings while all is well find an outage that no request has met yet
PING_UP_S = 5.0
#: a ledger said to be away by somebody else must have answered us after so long to be called up still
HEARSAY_S = 0.25

#: changes nothing, and fails where nothing could be changed: read-only servers, missing rights
_PROBE = text("UPDATE eom_meta SET value = value WHERE name = ''")

_log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The ledger's state as its users see it."""

    up: bool
    #: of `up`
    since: datetime
    #: of the last ping that was answered
    latency_ms: float | None = None
    #: why it is down, or was last; the driver's words, without credentials
    last_error: str | None = None


class LedgerLink:
    """Transactions on one database. One per process; used on one loop."""

    def __init__(self, settings: LedgerSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._engine = make_engine(settings)
        self._executor = ThreadPoolExecutor(connections_of(settings), thread_name_prefix="ledger")
        self._clock = clock
        self._view = LedgerView(up=False, since=clock())
        #: None: nobody knows yet
        self._up: bool | None = None
        #: why calls are refused at once. Set on the thread that finds out, so that those who queue for a
        #: thread behind it need not find out once more
        self._trouble: str | None = None
        self._listeners: list[Callable[[], None]] = []
        self._pinging: asyncio.Task[None] | None = None
        self._ping_now = asyncio.Event()
        self._answered_s = -math.inf

    @property
    def view(self) -> LedgerView:
        return self._view

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call it on the loop after every change between up and down."""
        self._listeners.append(listener)

    def hear(self, *, up: bool, trouble: str) -> None:
        """Take note of how somebody else has found the database: look at once.

        Said to be away, it is called so until it answers us, without waiting for our own time-outs.
        """
        self._ping_now.set()
        if not up and self._up is not False:
            loop = asyncio.get_running_loop()
            loop.call_later(HEARSAY_S, self._believe, trouble, time.monotonic())

    def _believe(self, trouble: str, heard_s: float) -> None:
        if self._up is not False and self._answered_s < heard_s:
            self._trouble = trouble
            self._view = replace(self._view, last_error=trouble)
            _log.warning("ledger down, as the watchdog says: %s", trouble)
            self._turn(up=False)

    async def open(self) -> None:
        """Begin to watch the database. Neither waits for it nor fails without it."""
        self._pinging = asyncio.create_task(self._keep_pinging(), name="ledger-ping")

    async def close(self) -> None:
        """Stop watching, let running transactions end, and close the connections."""
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._executor.shutdown(wait=True)
        self._engine.dispose()

    async def read(self, work: Work[T]) -> T:
        """Run a transaction that only reads. Raises as `write` does."""
        return await self._run(lambda: self._attempt(work, work, read_only=True))

    async def write(self, work: Work[T], again: Work[T] | None = None) -> T:
        """Run a transaction; `again` stands in for it where the first attempt may have been committed.

        A cancelled caller does not stop the transaction.

        Raises LedgerUnavailableError (retry later; the outcome is unknown if it was thrown at the commit),
        DiskFullError, TakenError where a unique value is taken, EomdError for mistakes of ours.
        """
        return await self._run(lambda: self._attempt(work, again or work, read_only=False))

    async def ping(self) -> None:
        """Find out whether the ledger takes writes, also while it is known to be down. Raises as `write`."""
        await self._report(self._probe, fresh=True)

    async def in_thread(self, task: Callable[[], T]) -> T:
        """Run a task of another engine (a migration) on the ledger's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, task)

    async def _run(self, attempt: Callable[[], T]) -> T:
        self._refuse_while_down()
        return await self._report(attempt, fresh=False)

    def _refuse_while_down(self) -> None:
        if self._trouble is not None:
            raise LedgerUnavailableError(f"the ledger is away: {self._trouble}")

    async def _report(self, attempt: Callable[[], T], *, fresh: bool) -> T:
        """Run it on a thread and take note of what its outcome says about the link."""
        started = time.monotonic()
        try:
            outcome = await self.in_thread(attempt)
        except (SQLAlchemyError, _GivenUpError) as error:
            cause = error.cause if isinstance(error, _GivenUpError) else error
            self._note(cause)
            raise ours(cause, repeated=cause is not error) from cause
        self._note_success((time.monotonic() - started) * 1000 if fresh else None)
        return outcome

    # -- on the ledger's threads

    def _attempt(self, work: Work[T], again: Work[T], *, read_only: bool) -> T:
        self._refuse_while_down()
        return self._twice(work, again, read_only=read_only)

    def _probe(self) -> None:
        if self._trouble is not None:
            self._once(_try_writing, read_only=False)
        else:
            # one kept connection that was ended is no reason to call the ledger down
            self._twice(_try_writing, _try_writing, read_only=False)

    def _twice(self, work: Work[T], again: Work[T], *, read_only: bool) -> T:
        try:
            return self._once(work, read_only=read_only)
        except SQLAlchemyError as error:
            if fault_of(error) not in (Fault.LINK, Fault.BUSY):
                raise
            _log.info("ledger transaction failed and is repeated once: %s", describe(error))
        try:
            return self._once(again, read_only=read_only)
        except SQLAlchemyError as error:
            if fault_of(error) is Fault.LINK:
                self._trouble = describe(error)
            raise _GivenUpError(error) from error

    def _once(self, work: Work[T], *, read_only: bool) -> T:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**{READ_ONLY: read_only})
                return _transact(connection, work)
        except SQLAlchemyError as error:
            if fault_of(error) is Fault.LINK:
                # the other kept connections end where this one does
                self._engine.dispose()
            raise

    # -- on the loop

    def _note(self, error: SQLAlchemyError) -> None:
        if fault_of(error) is not Fault.LINK:
            # refused, but answered
            self._note_success(None)
            return
        self._trouble = describe(error)
        self._view = replace(self._view, last_error=self._trouble)
        if self._up is not False:
            _log.warning("ledger down: %s", self._trouble)
            self._turn(up=False)

    def _note_success(self, latency_ms: float | None) -> None:
        self._trouble = None
        self._answered_s = time.monotonic()
        if latency_ms is not None:
            self._view = replace(self._view, latency_ms=round(latency_ms, 3))
        if not self._up:
            _log.info("ledger up")
            self._turn(up=True)

    def _turn(self, *, up: bool) -> None:
        self._up = up
        self._view = replace(self._view, up=up, since=self._clock())
        for listener in self._listeners:
            listener()

    async def _keep_pinging(self) -> None:
        while True:
            try:
                with contextlib.suppress(EomdError):
                    await self.ping()
            except Exception:
                # of a driver, say: the watching must not end here
                _log.exception("ledger ping failed in an unexpected way")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_UP_S if self._up else PING_DOWN_S):
                    await self._ping_now.wait()
            self._ping_now.clear()


class _GivenUpError(Exception):
    """Carries the second attempt's error from the thread to the loop."""

    def __init__(self, cause: SQLAlchemyError) -> None:
        self.cause = cause
        super().__init__()


def _transact(connection: Connection, work: Work[T]) -> T:
    transaction = connection.begin()
    try:
        outcome = work(connection)
        transaction.commit()
    except SQLAlchemyError as error:
        if fault_of(error) is Fault.LINK:
            # no ROLLBACK on a connection in doubt: it would wait for the same dead server again
            connection.invalidate()
        transaction.rollback()
        raise
    except BaseException:
        transaction.rollback()
        raise
    return outcome


def _try_writing(connection: Connection) -> None:
    connection.execute(_PROBE)
