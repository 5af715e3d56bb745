"""What is open at a time is bounded, and who is one too many is told so; TLS, once used, is kept to."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from eomd import http_server
from eomd.model import Role
from tests.integration.http_site import CONFIG, Answer, Site, multipart, open_site, wait_until

BOUND = 4


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    limits = {"connections": BOUND, "event_streams": 2}
    with open_site(tmp_path, {"fish": "127.0.0.1:1:1"}, limits=limits) as opened:
        wait_until(lambda: open_now(opened) == 0, "the connections of the start have gone")
        yield opened


def open_now(site: Site) -> int:
    """Return how many connections there are to the address, the commands' own aside."""
    servers = site._server._https
    return int(site.call(lambda: sum(len(s._connections) for s in servers if s._bound() == BOUND)))


def connected(site: Site, stack: ExitStack, count: int) -> list[http.client.HTTPConnection]:
    """Open connections and keep them."""
    made = [stack.enter_context(closing(site.connect())) for _ in range(count)]
    for connection in made:
        connection.connect()
    wait_until(lambda: open_now(site) == count, "the connections")
    return made


def test_one_connection_too_many_is_told_so_and_closed(site: Site) -> None:
    with ExitStack() as stack:
        kept = connected(site, stack, BOUND)
        kind, body = multipart({"config": b"{}", "file": (b"a.csv", b"1\n" * 1000)})
        for method, path, content, headers in (
            ("GET", "/health", None, {}),
            ("GET", "/nowhere", None, {}),
            ("POST", "/query", body, {"Content-Type": kind}),
        ):
            refused = site.request(method, path, content, headers)
            assert (refused.status, refused.error) == (503, "TOO_BUSY"), path
            assert refused.data == {"limit": "limits.connections", "value": BOUND, "retry_after_s": 5}
            assert refused.headers["Connection"] == "close"
            assert refused.headers["Retry-After"] == "5"
            wait_until(lambda: open_now(site) == BOUND, "its end")
        kept[0].request("GET", "/health")
        assert kept[0].getresponse().status == 200
        # commands get through whatever others do
        assert site.request("GET", "/health", role=None, unix=True).status == 200
    wait_until(lambda: open_now(site) == 0, "the others' end")
    assert site.get("/health").status == 200


def test_far_too_many_are_closed_as_they_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "TOLD_MAX", 0)
    with ExitStack() as stack:
        connected(site, stack, BOUND)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            site.get("/health")


def test_one_stream_too_many_is_told_so(site: Site) -> None:
    operation = site.hand_in({**CONFIG, "wait_s": 0}).data["id"]
    token = {"Authorization": f"Bearer {site.tokens[Role.VIEWER]}"}
    with ExitStack() as stack:
        for path in ("/events", f"/operations/{operation}/events"):
            connection = stack.enter_context(closing(site.connect()))
            connection.request("GET", path, headers=token)
            assert connection.getresponse().status == 200
        refused: Answer = site.get("/events", Role.VIEWER)
        assert (refused.status, refused.error, refused.data["limit"]) == (
            503,
            "TOO_BUSY",
            "limits.event_streams",
        )
    wait_until(lambda: site.rooms.context.streams == 0, "their end")
    with closing(site.connect()) as connection:
        connection.request("GET", "/events", headers=token)
        assert connection.getresponse().status == 200
    site.request("POST", f"/operations/{operation}/cancel")


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/health", Role.VIEWER, 200),
        ("/session", None, 401),
        ("/nowhere", None, 404),
        ("/nosdata?x=1", Role.VIEWER, 400),
    ],
)
def test_behind_tls_a_browser_is_told_to_stay_there(
    site: Site, path: str, role: Role | None, status: int
) -> None:
    plain = site.get(path, role)
    assert (plain.status, plain.headers["Strict-Transport-Security"]) == (status, None)
    secure = site.request("GET", path, headers={"X-Forwarded-Proto": "https"}, role=role)
    assert (secure.status, secure.headers["Strict-Transport-Security"]) == (status, "max-age=31536000")
