"""What `eomd install` tells systemd, as text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import ConfigurationError
from eomd.install.site import Site, find_hidden, find_streams, is_hidden
from eomd.install.units import format_service, format_socket, quote

SITE = Site(
    program=Path("/opt/eomd/bin/eomd"),
    config=Path("/etc/eomd/eomd.toml"),
    data_dir=Path("/var/lib/eomd"),
    inbox=None,
    ledger=None,
    secret=None,
    streams=("127.0.0.1:8600",),
)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_an_installation_at_the_usual_places_names_program_and_configuration() -> None:
    assert lines(format_service(SITE)) == [
        "[Unit]",
        "RequiresMountsFor=/var/lib/eomd",
        "[Service]",
        "ExecStart=",
        "ExecStart=/opt/eomd/bin/eomd up -c /etc/eomd/eomd.toml",
        "ExecReload=",
        "ExecReload=/opt/eomd/bin/eomd reload -c /etc/eomd/eomd.toml",
    ]


def test_folders_elsewhere_may_be_written_to() -> None:
    site = replace(SITE, data_dir=Path("/srv/eomd"), inbox=Path("/mnt/drop"), ledger=Path("/srv/db"))
    text = format_service(site)
    assert lines(text)[1:3] == ["RequiresMountsFor=/srv/eomd", "RequiresMountsFor=/srv/db"]
    written = ("/srv/eomd", "/srv/db", "/mnt/drop")
    assert lines(text)[-4:] == ["StateDirectory=", *(f"ReadWritePaths={path}" for path in written)]


def test_an_inbox_that_is_not_mounted_does_not_keep_the_service_from_starting() -> None:
    text = format_service(replace(SITE, inbox=Path("/mnt/drop")))
    assert "RequiresMountsFor=/mnt/drop" not in text


def test_the_socket_listens_at_each_address_and_at_none_of_the_shipped_unit() -> None:
    text = format_socket(replace(SITE, streams=("127.0.0.1:80", "[::1]:80")))
    assert lines(text) == ["[Socket]", "ListenStream=", "ListenStream=127.0.0.1:80", "ListenStream=[::1]:80"]


@pytest.mark.parametrize(
    ("listen", "streams"),
    [
        ("127.0.0.1:8600", ("127.0.0.1:8600",)),
        ("0.0.0.0:80", ("0.0.0.0:80",)),
        ("[::1]:8600", ("[::1]:8600",)),
        ("unix:/run/eomd/http.sock", ("/run/eomd/http.sock",)),
    ],
)
def test_listen_becomes_what_a_socket_unit_takes(listen: str, streams: tuple[str, ...]) -> None:
    assert find_streams(listen) == streams


def test_a_service_needs_a_port_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match=r"needs a port of its own, found 127\.0\.0\.1:0"):
        find_streams("127.0.0.1:0")


@pytest.mark.parametrize(
    ("path", "word"),
    [("/srv/eomd", "/srv/eomd"), ("/srv/my data", '"/srv/my data"'), ("/srv/50%", "/srv/50%%"),
     ("/srv/数据", "/srv/数据")],
)  # fmt: skip
def test_paths_are_words_of_a_unit(path: str, word: str) -> None:
    assert quote(Path(path)) == word


@given(st.sampled_from("\"'\\$\n\t\0"))
def test_a_path_that_no_unit_can_hold_is_refused(character: str) -> None:
    with pytest.raises(ConfigurationError, match="a unit of systemd cannot hold this name"):
        quote(Path(f"/srv/a{character}b"))


@pytest.mark.parametrize("place", ["/home/eomd", "/root", "/tmp/eomd", "/var/tmp/x", "/run/user/1000"])
def test_what_a_service_cannot_see_is_found(place: str) -> None:
    assert find_hidden(replace(SITE, data_dir=Path(place))) == [Path(place)]


@pytest.mark.parametrize("place", ["/opt/eomd", "/srv/home", "/var/lib/eomd", "/etc/eomd", "/homes"])
def test_what_a_service_can_see_is_left_alone(place: str) -> None:
    assert not is_hidden(Path(place))
