"""`eomd up` keeps the server running, refuses nobody meanwhile, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import psutil

from eomd.runtime import SERVER_PID, running_pid, runtime_folder
from tests.watched import another_server, is_gone, large_download, log_of, nobody_is_refused, server_of, tree
from tests.world import DEADLINE_S, Child, World, wait_until

RSS_BYTES_MAX = 40 << 20


def test_the_server_is_the_only_child_and_says_what_it_is(watched: World) -> None:
    assert watched.server is not None
    (child,) = psutil.Process(watched.server.process.pid).children()
    assert "eomd serve" in " ".join(child.cmdline())
    assert os.getpgid(child.pid) == child.pid


def test_the_watchdog_is_small_and_knows_no_numpy(watched: World) -> None:
    assert watched.server is not None
    pid = watched.server.process.pid
    assert psutil.Process(pid).memory_info().rss < RSS_BYTES_MAX
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert not [name for name in ("numpy", "arrow", "sqlalchemy") if name in maps]


def test_a_killed_server_comes_back_and_no_client_is_refused(watched: World) -> None:
    with nobody_is_refused(watched):
        for _ in range(3):
            server = server_of(watched)
            server.kill()
            another_server(watched, server)
    assert log_of(watched).count("the server ended with signal SIGKILL: starting it again") == 3


def test_a_server_that_ends_by_itself_is_started_again(watched: World) -> None:
    server = server_of(watched)
    server.terminate()
    another_server(watched, server)
    assert "the server ended with exit code 0: starting it again" in log_of(watched)


def test_sigterm_ends_both_and_leaves_nothing(watched: World) -> None:
    assert watched.server is not None
    runtime = runtime_folder(watched.data, os.environ)
    assert (runtime / "api.sock").exists()
    assert watched.server.stop() == 0
    assert tree(watched) == []
    assert not runtime.exists()
    assert "Ended" in log_of(watched)


def test_ctrl_c_ends_in_order_too(watched: World) -> None:
    assert watched.server is not None
    watched.server.kill(signal.SIGINT)
    assert watched.server.process.wait(DEADLINE_S) == 130
    assert tree(watched) == []


def test_a_second_signal_does_not_wait_for_a_stuck_server(watched: World) -> None:
    assert watched.server is not None
    server_of(watched).suspend()
    watched.server.kill(signal.SIGTERM)
    watched.server.kill(signal.SIGTERM)
    wait_until(lambda: _signal_again(watched.server), "the end")
    assert tree(watched) == []


def _signal_again(child: Child | None) -> bool:
    # two signals at once may arrive as one
    assert child is not None
    child.kill(signal.SIGTERM)
    return child.process.poll() is not None


def test_without_its_watchdog_the_server_ends_by_itself(watched: World) -> None:
    assert watched.server is not None
    server = server_of(watched)
    watched.server.kill()
    wait_until(lambda: is_gone(server), "the server's end")
    assert "The watchdog has gone" in log_of(watched)


def test_a_new_watchdog_takes_over_from_a_killed_one(watched: World) -> None:
    assert watched.server is not None
    former = server_of(watched)
    watched.server.kill()
    watched.serve("up")
    assert server_of(watched).pid != former.pid
    assert watched.server.stop() == 0
    assert tree(watched) == []


def test_what_a_killed_watchdog_left_behind_does_not_outlive_its_successor(watched: World) -> None:
    assert watched.server is not None
    former = server_of(watched)
    holder = runtime_folder(watched.data, os.environ) / SERVER_PID
    with large_download(watched):
        watched.server.kill()
        wait_until(lambda: running_pid(holder) != former.pid, "it hands over")
        successor = watched.server = Child(["up", "-c", str(watched.config)], watched.folder / "server.log")
        wait_until(lambda: f"process {former.pid} lost its watchdog" in log_of(watched), "it is found")
        # it answers somebody, and would for ever
        former.suspend()
        another_server(watched, former)
        successor.kill(signal.SIGTERM)
        wait_until(lambda: _signal_again(successor), "the end")
    assert tree(watched) == []


def test_a_second_watchdog_on_one_data_folder_refuses(watched: World) -> None:
    done = watched.run("up")
    assert done.returncode == os.EX_TEMPFAIL
    assert done.stderr.startswith(f"eomd: already running as process {watched.server.process.pid}")
    assert watched.client.get("/health")["status"] == "ok"


def test_a_server_started_by_hand_is_not_taken_over(world: World) -> None:
    world.configure()
    server = world.serve("serve")
    done = world.run("up")
    assert done.returncode == os.EX_TEMPFAIL
    assert f"a server without a watchdog runs as process {server.process.pid}" in done.stderr
    assert server.process.poll() is None


def test_a_taken_port_is_named(world: World) -> None:
    world.configure()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", world.port))
        other.listen()
        done = world.run("up")
    assert done.returncode == 1
    assert done.stderr.endswith(f"eomd: cannot listen on 127.0.0.1:{world.port}: Address already in use\n")
    assert not runtime_folder(world.data, os.environ).exists()


def test_a_wrong_configuration_stops_the_start_with_its_own_exit_code(world: World) -> None:
    world.configure(extra="[log]\nlevle = 'info'")
    for command in ("up", "serve"):
        done = world.run(command)
        assert done.returncode == os.EX_CONFIG
        assert done.stderr.startswith(f"eomd: {world.config} line ")
        assert done.stderr.endswith("[log] levle: unknown key; did you mean level?\n")


def test_what_only_the_server_finds_wrong_ends_the_watchdog_too(world: World) -> None:
    world.configure(extra="[clusters.x]\nnodes = ['127.0.0.1:1']\ncodec = 'absent'")
    done = world.run("up")
    assert done.returncode == os.EX_CONFIG
    assert "no codec named 'absent' is installed" in done.stderr
    assert tree(world) == []


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(world: World) -> None:
    world.configure()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(world.folder / "notify"))
        listener.settimeout(DEADLINE_S)
        server = world.serve("up", NOTIFY_SOCKET=str(world.folder / "notify"))
        listen_for(listener, b"READY=1")
        server.stop()
        listen_for(listener, b"STOPPING=1")


def listen_for(listener: socket.socket, message: bytes) -> None:
    while listener.recv(1000) != message:
        pass
