"""What tests of several kinds share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mariadb import MariaDb


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A private MariaDB. Who kills or freezes it starts it again. Fails where MariaDB is not installed."""
    server = MariaDb(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()
