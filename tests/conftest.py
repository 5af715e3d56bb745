"""What tests of several kinds share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.mariadb import MariaDb


def pytest_configure() -> None:
    """Let neither a slow machine nor the way we were started decide how a test ends."""
    # in the background we would ignore Ctrl-C, and so would the processes under test
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A private MariaDB. Who kills or freezes it starts it again. Fails where MariaDB is not installed."""
    server = MariaDb(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()
