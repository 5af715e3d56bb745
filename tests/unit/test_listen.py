"""Where eomd listens, as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from eomd.listen import TcpAddress, UnixAddress, parse_host_port, parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8600", TcpAddress("127.0.0.1", 8600)),
        ("[::1]:0", TcpAddress("::1", 0)),
        ("localhost:1", TcpAddress("localhost", 1)),
        ("unix:/run/eomd/http.sock", UnixAddress(Path("/run/eomd/http.sock"))),
    ],
)
def test_an_address_is_tcp_or_unix(text: str, address: object) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", ":80", "host", "host:", "host:x", "host:65536", "host:-1", "::1:80", "[::1]", "[x]:80",
     "a b:80", "unix:", "unix:relative", "unix:/" + "x" * 107, "host:８０"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_listen(text)


def test_port_0_is_for_listening_alone() -> None:
    with pytest.raises(ValueError, match="port of 1 to 65535"):
        parse_host_port("host:0")


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.9:1", True), ("[::1]:1", True), ("localhost:1", True), ("unix:/x", True),
     ("0.0.0.0:1", False), ("[::]:1", False), ("192.0.2.1:1", False), ("eomd.example:1", False)],
)  # fmt: skip
def test_loopback_is_told_from_elsewhere(text: str, loopback: bool) -> None:
    assert parse_listen(text).is_loopback is loopback
