"""Runtime folders, pid files, listening sockets and their handover, with real ones."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from eomd import runtime
from eomd.errors import ConfigurationError, FolderInUseError, ListenError
from eomd.handover import (
    LINE_BYTES_MAX,
    Heartbeat,
    Sign,
    give_sign,
    handover_environment,
    heartbeat_pipe,
    inherited_sockets,
)
from eomd.listen import TcpAddress, UnixAddress, close_sockets, format_bound, open_sockets, systemd_sockets
from eomd.runtime import PidFile, make_runtime_folder, remove_runtime_folder, running_pid, runtime_folder


def test_each_data_folder_has_a_short_folder_of_its_own(tmp_path: Path) -> None:
    one, other = (runtime_folder(tmp_path / name, {}) for name in "ab")
    assert one != other
    assert len(os.fsencode(one)) < 90
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert runtime_folder(tmp_path / "link", {}) == one


def test_a_runtime_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/planted").symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="must be a folder of the user"):
        make_runtime_folder(tmp_path / "base/planted")


def test_a_runtime_folder_is_private_and_goes_again(tmp_path: Path) -> None:
    folder = tmp_path / "base/12345678"
    make_runtime_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    remove_runtime_folder(folder)
    assert not folder.parent.exists()


def test_a_pid_file_is_held_by_one(tmp_path: Path) -> None:
    first, second = PidFile(tmp_path / "pid"), PidFile(tmp_path / "pid")
    first.acquire()
    assert running_pid(tmp_path / "pid") == os.getpid()
    with pytest.raises(FolderInUseError, match=f"process {os.getpid()}"):
        second.acquire()
    first.release()
    assert running_pid(tmp_path / "pid") is None
    second.acquire()
    second.release()
    assert not (tmp_path / "pid").exists()


def test_a_pid_file_without_its_process_misleads_nobody(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1\n")
    assert running_pid(tmp_path / "pid") is None
    PidFile(tmp_path / "pid").acquire()


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            open_sockets(TcpAddress("127.0.0.1", port), None)


def test_the_api_socket_is_the_owners_from_the_start(tmp_path: Path) -> None:
    sockets = open_sockets(UnixAddress(tmp_path / "http.sock"), tmp_path / "api.sock")
    assert stat.S_IMODE((tmp_path / "api.sock").stat().st_mode) == 0o600
    assert {name: format_bound(s) for name, s in sockets.items()} == {
        "http": f"unix:{tmp_path}/http.sock",
        "api": f"unix:{tmp_path}/api.sock",
    }
    close_sockets(sockets)


def test_a_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    address = UnixAddress(tmp_path / "http.sock")
    close_sockets(open_sockets(address, None))
    sockets = open_sockets(address, None)
    with pytest.raises(ListenError, match="Address already in use"):
        open_sockets(address, None)
    close_sockets(sockets)


def test_a_file_in_a_sockets_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("precious")
    with pytest.raises(ListenError):
        open_sockets(UnixAddress(tmp_path / "x"), None)
    assert (tmp_path / "x").read_text() == "precious"


CHILD = """
import os
from eomd.handover import *
sockets = inherited_sockets(os.environ)
print(sorted((name, s.getsockname()[1]) for name, s in sockets.items()))
pipe = heartbeat_pipe(os.environ)
print(give_sign(pipe, Heartbeat(Sign.READY)))
print(any(os.get_inheritable(d) for d in [pipe, *(s.fileno() for s in sockets.values())]))
"""


def test_a_child_inherits_sockets_and_heartbeat() -> None:
    sockets = open_sockets(TcpAddress("127.0.0.1", 0), None)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, **handover_environment(sockets, writing)},
        pass_fds=[writing, sockets["http"].fileno()],
        capture_output=True,
        text=True,
        check=True,
    )
    port = sockets["http"].getsockname()[1]
    assert done.stdout.splitlines() == [f"[('http', {port})]", "True", "False"]
    assert Heartbeat.parse(os.read(reading, LINE_BYTES_MAX)) == Heartbeat(Sign.READY)
    os.close(reading)
    os.close(writing)
    close_sockets(sockets)


def test_names_meant_for_another_process_mean_nothing() -> None:
    environ = handover_environment({}, 7)
    assert inherited_sockets(environ) == {}
    assert heartbeat_pipe(environ) is None


def test_a_closed_pipe_tells_that_the_watchdog_has_gone() -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    assert give_sign(writing, Heartbeat(Sign.ALIVE))
    os.close(reading)
    assert not give_sign(writing, Heartbeat(Sign.ALIVE))
    os.close(writing)


def test_a_watchdog_that_does_not_read_blocks_nobody() -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    assert all(give_sign(writing, Heartbeat(Sign.ALIVE)) for _ in range(100_000))
    os.close(reading)
    os.close(writing)


SYSTEMD = """
import os
from eomd.listen import systemd_sockets
environ = {**os.environ, "LISTEN_PID": str(os.getpid())}
print(sorted(systemd_sockets(environ)))
"""


def test_sockets_of_systemd_are_taken_by_name(tmp_path: Path) -> None:
    sockets = open_sockets(TcpAddress("127.0.0.1", 0), tmp_path / "api.sock")

    def place() -> None:
        # systemd passes them from descriptor 3 on; above both first, so that neither overwrites the other
        high = [os.dup(s.fileno()) for s in sockets.values()]
        for number, descriptor in enumerate(high, start=3):
            os.dup2(descriptor, number)

    done = subprocess.run(
        [sys.executable, "-c", SYSTEMD],
        env={**os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:api"},
        preexec_fn=place,
        close_fds=False,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['api', 'http']"
    assert systemd_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "1"}) == {}
    close_sockets(sockets)


def test_a_socket_of_somebody_else_is_not_spoken_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    monkeypatch.setattr(runtime, "SYSTEM_FOLDER", Path("/proc/none/eomd"))
    place = runtime.find_socket(tmp_path / "absent", runtime.API_SOCKET, environ)
    place.parent.mkdir(parents=True)
    place.touch()
    assert runtime.find_socket(tmp_path / "absent", runtime.API_SOCKET, environ) == place
    if os.geteuid() == 0:
        os.chown(place, 4712, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(ConfigurationError, match="somebody else"):
        runtime.find_socket(tmp_path / "absent", runtime.API_SOCKET, environ)
