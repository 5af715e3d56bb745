"""What a ledger makes of the watchdog's word about its database."""

import time

import pytest
from ledger_homes import MariaHome, SqliteHome, until

from eomd.errors import LedgerUnavailableError
from eomd.storage import ledger_link
from eomd.storage.ledger import OperationFilter


@pytest.fixture
def maria(mariadb):
    yield MariaHome(mariadb)
    mariadb.thaw()


@pytest.fixture
def no_pings(monkeypatch):
    """Without the watchdog's word, nobody would look again."""
    monkeypatch.setattr(ledger_link, "PING_UP_S", 3600.0)
    monkeypatch.setattr(ledger_link, "PING_DOWN_S", 3600.0)


def test_a_frozen_ledger_is_called_down_before_a_statement_has_failed(maria, no_pings):
    async def scenario(ledger):
        await until(lambda: ledger.state.up)
        maria.server.freeze()
        ledger.hear(up=False, trouble="no answer within 2 s")
        await until(lambda: not ledger.state.up)
        assert ledger.state.last_error == "no answer within 2 s"
        with pytest.raises(LedgerUnavailableError, match="no answer within 2 s"):
            await ledger.operations(OperationFilter())
        maria.server.thaw()

    # our own time-out would take an hour
    maria.run(scenario, timeout_s=3600.0)


def test_a_false_alarm_changes_nothing(tmp_path, no_pings, monkeypatch):
    # time is up when the test says so
    monkeypatch.setattr(ledger_link, "HEARSAY_S", 3600.0)

    async def scenario(ledger):
        await until(lambda: ledger.state.up)
        edges, link = [], ledger._link
        ledger.add_listener(lambda: edges.append(ledger.state.up))
        heard_s = time.monotonic()
        ledger.hear(up=False, trouble="too many connections")
        await until(lambda: link._answered_s > heard_s)
        link._believe("too many connections", heard_s)
        assert edges == [] and ledger.state.up
        await ledger.operations(OperationFilter())

    SqliteHome(tmp_path).run(scenario)


def test_a_ledger_known_to_be_back_is_used_at_once(maria, no_pings):
    async def scenario(ledger):
        await until(lambda: ledger.state.up)
        maria.server.kill()
        ledger.hear(up=False, trouble="refused")
        await until(lambda: not ledger.state.up)
        maria.server.start()
        ledger.hear(up=True, trouble="")
        await until(lambda: ledger.state.up)
        await ledger.operations(OperationFilter())

    maria.run(scenario)
