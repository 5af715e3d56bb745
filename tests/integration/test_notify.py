"""What systemd is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from eomd.watchdog.notify import STATUS_CHARACTERS_MAX, Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        yield listener


def test_each_message_is_spelled_as_systemd_reads_it(systemd: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    notifier.ready()
    notifier.status("line one\nline two")
    notifier.extend(1.5)
    notifier.reloading()
    assert [systemd.recv(999) for _ in range(3)] == [
        b"READY=1",
        b"STATUS=line one line two",
        b"EXTEND_TIMEOUT_USEC=1500000",
    ]
    first, second = systemd.recv(999).split(b"\n")
    assert first == b"RELOADING=1"
    assert int(second.removeprefix(b"MONOTONIC_USEC=")) > 0


def test_a_long_status_is_cut(systemd: socket.socket) -> None:
    Notifier({"NOTIFY_SOCKET": systemd.getsockname()}).status("x" * 10_000)
    assert len(systemd.recv(9999)) == len("STATUS=") + STATUS_CHARACTERS_MAX


def test_an_abstract_name_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + (name := f"eomd-test-{os.getpid()}"))
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        assert listener.recv(99) == b"STOPPING=1"


def test_nobody_listening_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).ready()
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "absent")})
    for _ in range(3):
        notifier.alive()
    assert len(caplog.records) == 1


def test_a_listener_that_is_slow_misses_nothing_that_matters(systemd: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    while notifier.flush():
        notifier.status("much to say")
    notifier.ready()
    notifier.alive()
    heard = set()
    systemd.setblocking(False)
    while not notifier.flush() or b"READY=1" not in heard:
        heard.add(systemd.recv(999))
    assert heard == {b"STATUS=much to say", b"READY=1"}


@pytest.mark.parametrize(
    ("environ", "half_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({}, None),
    ],
)
def test_half_of_what_systemd_allows_is_how_often_it_hears(
    environ: dict[str, str], half_s: float | None
) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/x", **environ}).watchdog_s == half_s
    assert Notifier(environ).watchdog_s is None
