"""The ledger's connection ends at each statement in turn: each hand-in makes one operation that runs once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sql_proxy import SqlProxy

from eomd.errors import LedgerUnavailableError
from eomd.evt.simulator import SimulatedCluster, SimulatorSettings
from eomd.model import Operation, State
from tests.integration.life import Home, Life, lines, order, until, users
from tests.journal import count_applied
from tests.mariadb import MariaDb

#: a hand-in, its states and the pings beside them ask so many questions or a few more
STATEMENTS = 30
INC = order("inc")
QUERY = b"\x03"


class CuttingProxy(SqlProxy):
    """Ends the connection that asks the n-th question from now, and refuses the next one."""

    def __init__(self, port: int, *, answered: bool) -> None:
        super().__init__(port)
        #: the server has done what was asked; otherwise it never heard of it
        self.answered = answered
        #: questions until the cut; None: no cut
        self.left: int | None = None
        self._refuse = False

    async def _serve(self, reader: Any, writer: Any) -> None:
        if self._refuse:
            # the second attempt of what met the cut, so that its outcome stays unknown
            self._refuse = False
            writer.transport.abort()
            return
        await super()._serve(reader, writer)

    async def _forward(self, reader: Any, server_reader: Any, server_writer: Any, back: Any) -> None:
        while data := await reader.read(65536):
            if self._is_cut(data):
                if self.answered:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    server_writer.write(data)
                    await server_reader.read(1)
                return
            server_writer.write(data)
            await server_writer.drain()

    def _is_cut(self, data: bytes) -> bool:
        if self.left is None or data[4:5] != QUERY:
            return False
        self.left -= 1
        if self.left > 0:
            return False
        self.left, self._refuse = None, True
        return True


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


async def hand_in_at_last(life: Life, content: bytes, key: str | None) -> Operation:
    """Hand in as a client does that is told to try again."""
    while True:
        try:
            return await life.hand_in(INC, content, key=key)
        except LedgerUnavailableError:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("answered", [False, True], ids=["unheard", "unanswered"])
def test_the_ledger_may_be_lost_at_any_statement(
    tmp_path: Path, mariadb: MariaDb, fish: SimulatedCluster, answered: bool
) -> None:
    database = mariadb.create_database()

    def states() -> Counter[int]:
        return Counter(
            row[0] for row in mariadb.execute("SELECT status FROM define_optgroup", database=database)
        )

    async def scenario() -> None:
        proxy = CuttingProxy(mariadb.port, answered=answered)
        await proxy.start()
        home = Home(tmp_path, {"fish": fish}, ledger={"url": mariadb.url(database, port=proxy.port)})
        # the pool's own words about a connection that it gets back and that is gone
        async with home.life(errors=["Exception during reset or similar"]) as life:
            for number in range(1, STATEMENTS + 1):
                proxy.left = number
                content = lines(users(3, 100_000_000 + 10 * number), 5)
                # what was refused does not run, whether or not a key would tell that it is the same
                key = f"key {number}" if number % 2 else None
                operation = await hand_in_at_last(life, content, key)
                assert (await life.reach(operation.id)).state is State.SUCCEEDED
            proxy.left = None
            await until(lambda: states()[10] == STATEMENTS, "the ledger knows every end")
            # what was refused after the ledger had it is cancelled, and was never run
            assert set(states()) <= {10, 21}
            assert life.data.staged() == []
        await proxy.stop()
        applied = count_applied(fish.state)
        assert len(applied) == 3 * STATEMENTS
        assert set(applied.values()) == {1}

    asyncio.run(scenario())
