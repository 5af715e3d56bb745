"""Requests whose client or server ends before they do leave nothing behind and no error in the log."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eomd.model import Role
from tests.integration.http_site import Site, open_site, wait_until
from tests.integration.life import NOWHERE, no_errors_but

FILE_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n1\n'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with no_errors_but(()), open_site(tmp_path, {"label": NOWHERE}) as opened:
        yield opened


def begin(site: Site, path: str, body: bytes = FILE_HEAD) -> socket.socket:
    """Send a request with a part of its body."""
    connection = socket.create_connection(("127.0.0.1", site.port))
    head = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {site.tokens[Role.OPERATOR]}",
        "Content-Type: multipart/form-data; boundary=b",
        "Content-Length: 100000",
    ]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return connection


def tasks(site: Site) -> int:
    return int(site.call(lambda: len(asyncio.all_tasks())))


def requests(site: Site) -> int:
    """Return how many requests are being answered, this one not counted."""
    return int(site.get("/health").data["components"]["server"]["requests"]) - 1


@pytest.mark.parametrize("path", ["/upload", "/query", "/nowhere", "/operations/1/cancel"])
def test_who_hangs_up_in_a_body_leaves_no_task_behind(site: Site, path: str) -> None:
    before = tasks(site)
    for _ in range(5):
        with closing(begin(site, path)) as connection:
            wait_until(lambda: requests(site), "the request is being answered")
            if path == "/nowhere":
                assert connection.recv(4096).startswith(b"HTTP/1.1 404")
        wait_until(lambda: not requests(site), "the request has ended")
    wait_until(lambda: tasks(site) <= before, "its task has ended")
    wait_until(site.nothing_staged, "what was received is removed")


@pytest.mark.parametrize("path", ["/upload", "/nowhere"])
def test_a_server_that_ends_within_a_body_does_so_without_an_error(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eomd.app.DRAIN_S_MAX", 0.2)
    with closing(begin(site, path)):
        wait_until(lambda: requests(site), "the request is being answered")
        assert site.stop() == 0
