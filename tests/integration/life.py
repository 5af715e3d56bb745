"""A server's rooms in the test's own loop, without HTTP: one data folder, as many lives as a test wants."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from eomd.app import Server
from eomd.config import Settings
from eomd.evt.simulator import SimulatedCluster
from eomd.model import Mode, Model, Operation, Order, Role, State
from eomd.operations.desk import Caller, Desk
from eomd.reconfigure import Outcome, Reconfiguration
from eomd.rooms import Rooms, furnish
from eomd.storage.files import DataFolder, OperationFolder

DEADLINE_S = 120.0
#: nobody listens there
NOWHERE = "127.0.0.1:1:1"
CALLER = Caller("test", Role.ADMIN, "127.0.0.1", vouches=True)
FIRST_USER = 100_000_000


async def until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Return the condition's first true value; fail after the deadline."""
    deadline = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about within {deadline_s} s"
        await asyncio.sleep(0.005)
    return value


def users(count: int, first: int = FIRST_USER) -> range:
    return range(first, first + count)


def lines(rows: Sequence[int], amount: int | None = None) -> bytes:
    """Return a source file: users alone, or users with one amount."""
    tail = "" if amount is None else f",{amount}"
    head = "userid" if amount is None else "userid,amount"
    return "\n".join([head, *(f"{user}{tail}" for user in rows), ""]).encode()


def order(mode: str | None = None, **changes: Any) -> Order:
    """Make a query, or a modify of a mode."""
    fields: dict[str, Any] = {"cluster": "fish", "eids": (1001,), "operatorid": 7, "operatorname": "李"}
    model = Model.MODIFY if mode else Model.QUERY
    return Order(model, mode=Mode(mode) if mode else None, **fields | changes)


class Life:
    """One life of a server."""

    def __init__(self, rooms: Rooms, configuration: Reconfiguration) -> None:
        self.rooms, self.configuration = rooms, configuration

    def reconfigure(self, settings: Settings) -> Outcome:
        """Take other settings, as a reload does."""
        return self.configuration.take(self.configuration.prepare(settings))

    @property
    def desk(self) -> Desk:
        return self.rooms.desk

    @property
    def data(self) -> DataFolder:
        return self.rooms.data

    async def hand_in(
        self, wanted: Order, content: bytes, *, key: str | None = None, name: str = "players.csv"
    ) -> Operation:
        operation, _ = await self.offer(wanted, content, key=key, name=name)
        return operation

    async def offer(
        self, wanted: Order, content: bytes, *, key: str | None = None, name: str = "players.csv"
    ) -> tuple[Operation, bool]:
        """Hand in and return (operation, whether it was made now); a refusal leaves nothing received."""
        path = self.desk.receiving()
        path.write_bytes(content)
        try:
            return await self.desk.hand_in(wanted, path, name, key=key, caller=CALLER)
        finally:
            path.unlink(missing_ok=True)

    async def act(self, action: str, operation: int) -> Operation:
        acts = {"pause": self.desk.pause, "resume": self.desk.resume, "cancel": self.desk.cancel}
        return await acts[action](operation, CALLER)

    async def view(self, operation: int) -> Operation:
        return await self.desk.operation(operation)

    def shown(self, operation: int) -> Operation | None:
        """Return it as the board shows it, without asking the ledger."""
        return self.desk.board.find(operation)

    async def reach(self, operation: int, *states: State) -> Operation:
        """Wait until the board shows the operation in one of these states (none given: ended)."""

        def look() -> Operation | None:
            view = self.shown(operation)
            wanted = view is not None and (view.state in states if states else view.state.ended)
            return view if wanted else None

        found: Operation = await until(look, f"operation {operation} in {states or 'its end'}")
        return found

    async def progress(self, operation: int, rows: int) -> None:
        def look() -> bool:
            view = self.shown(operation)
            return view is not None and view.counts.done >= rows

        await until(look, f"{rows} rows of operation {operation}")

    async def recorded(self, operation: int, *states: State) -> Operation:
        """Return it as the ledger has it, once that is one of these states (none given: ended)."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            found = await self.rooms.ledger.operation(operation)
            assert found is not None
            if found.state in states if states else found.state.ended:
                return found
            assert time.monotonic() < deadline, f"operation {operation} is {found.state} in the ledger"
            await asyncio.sleep(0.005)

    def result(self, operation: int) -> list[list[str]]:
        """Return the cells of a result's lines, the header's first."""
        return [line.split(",") for line in self.data.result(operation).read_text().splitlines()]

    def folder(self, operation: int) -> OperationFolder:
        return self.data.operation(operation)


class Home:
    """A data folder and the settings of the servers that live there one after the other."""

    def __init__(
        self,
        folder: Path,
        clusters: Mapping[str, SimulatedCluster | str],
        *,
        rows_per_s: int = 0,
        reply_timeout_s: float = 2.0,
        **tables: dict[str, Any],
    ) -> None:
        self.clusters, self.tables = dict(clusters), tables
        self.pace = {"rows_per_s": rows_per_s, "reply_timeout_s": reply_timeout_s}
        self.data = DataFolder(folder / "data")

    def settings(self) -> Settings:
        tables = {
            "limits": {"min_free_mb": 1, **self.tables.get("limits", {})},
            "ledger": {"url": "sqlite:///eomd.db", **self.tables.get("ledger", {})},
        }
        clusters = {
            name: {"nodes": _addresses(cluster), **self.pace} for name, cluster in self.clusters.items()
        }
        fields = {"data_dir": self.data.path, "clusters": clusters, **self.tables, **tables}
        return Settings.model_validate(fields)

    @asynccontextmanager
    async def life(self, *, met: bool = True, errors: Sequence[str] = ()) -> AsyncIterator[Life]:
        """Start a server, wait until it takes hand-ins (`met`), and end it in good order.

        Whatever is logged as an error fails the test, unless it holds one of `errors`.
        """
        self.data.lock()
        try:
            with no_errors_but(errors):
                async with self._served(met) as life:
                    yield life
        finally:
            self.data.unlock()

    @asynccontextmanager
    async def _served(self, met: bool) -> AsyncIterator[Life]:
        self.data.create()
        rooms = furnish(self.settings(), self.data, None)
        configuration = Reconfiguration(self.settings(), rooms, None)
        server = Server(configuration, rooms, {}, None)
        running = asyncio.create_task(server.run())
        try:
            if met:
                await until(lambda: not rooms.hand_ins.in_doubt or running.done(), "the ledger is met")
            yield Life(rooms, configuration)
        finally:
            server.stop()
            assert await running == 0


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def no_errors_but(announced: Sequence[str]) -> Iterator[None]:
    """Fail where an error is logged that does not hold one of these texts."""
    errors = _Errors()
    logging.root.addHandler(errors)
    try:
        yield
    finally:
        logging.root.removeHandler(errors)
    assert [error for error in errors.found if not any(text in error for text in announced)] == []


def _addresses(cluster: SimulatedCluster | str) -> list[str]:
    if isinstance(cluster, str):
        return [cluster]
    return [f"{node.address}:2" for node in cluster.nodes]
