"""`POST /internal/reload`: a running server reads its files again, takes what it can and names the rest."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eomd.runtime import API_SOCKET, runtime_folder
from tests.integration.http_site import Answer, UnixConnection
from tests.journal import count_applied, read_result
from tests.world import Child, World, free_port, wait_until, write_users

USERS = range(1, 20_001)


def ask(world: World, method: str, path: str) -> Answer:
    """Ask through the machine's own socket."""
    connection = UnixConnection(str(runtime_folder(world.data, os.environ) / API_SOCKET))
    try:
        connection.request(method, path)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def reload(world: World) -> Any:
    answer = ask(world, "POST", "/internal/reload")
    assert answer.status == 200, answer.body
    return answer.data


def edit(world: World, old: str, new: str) -> None:
    text = world.config.read_text()
    assert old in text
    world.config.write_text(text.replace(old, new))


@pytest.fixture
def served(world: World) -> Iterator[World]:
    world.simulate("fish")
    world.configure()
    world.serve()
    yield world


def test_a_file_dropped_into_clusters_d_is_a_cluster_and_its_removal_parks_its_operation(
    served: World,
) -> None:
    label = served.simulate("label", 2)
    folder = served.folder / "clusters.d"
    folder.mkdir()
    nodes = json.dumps([f"127.0.0.1:{port}:2" for port in label.ports])
    (folder / "label.toml").write_text(f"nodes = {nodes}\nrows_per_s = 20000\n")
    assert reload(served) == {"taken": ["clusters.label (new)"], "needs_restart": [], "problems": []}

    source = write_users(served.folder / "users.csv", USERS, 3)
    other = served.client.hand_in(source, mode="inc").data["id"]
    mine = served.client.hand_in(source, mode="inc", cluster="label").data["id"]
    wait_until(lambda: served.client.operation(mine)["rows"]["done"] > 1000, "rows of label")
    kept = (folder / "label.toml").read_text()
    (folder / "label.toml").unlink()
    assert reload(served)["taken"] == ["clusters.label (gone)"]
    parked = served.client.wait_for_state(mine, "paused")
    assert (parked["paused_by"], parked["message"]) == (
        "cluster",
        "cluster label is not configured; goes on when it is",
    )
    assert served.client.wait_for_state(other, "succeeded")["rows"]["ok"] == len(USERS)

    (folder / "label.toml").write_text(kept)
    assert reload(served)["taken"] == ["clusters.label (new)"]
    done = served.client.wait_for_state(mine, "succeeded")
    for simulation in served.simulations:
        assert count_applied(simulation.state) == dict.fromkeys(USERS, 1)
    head, *rows = read_result(served.client.download(done["resultname"]))
    assert head == ["userid", "status", "detail", "1001_before", "1001_after"]
    assert rows == [[str(user), "OK", "", "0", "3"] for user in USERS]


def test_a_repetition_is_answered_also_when_its_cluster_is_not_there_any_more(served: World) -> None:
    source = write_users(served.folder / "users.csv", range(1, 11), 3)
    first = served.client.hand_in(source, key="once", mode="inc")
    served.client.wait_for_state(first.data["id"], "succeeded")
    edit(served, "[clusters.fish]", "[clusters.pond]")
    assert sorted(reload(served)["taken"]) == ["clusters.fish (gone)", "clusters.pond (new)"]
    again = served.client.hand_in(source, key="once", mode="inc")
    assert (again.status, again.data["id"]) == (200, first.data["id"])
    assert served.client.hand_in(source, key="another", mode="inc").status == 400


def test_a_broken_file_changes_nothing_and_is_named_with_its_line(served: World) -> None:
    edit(served, "[limits]\nmin_free_mb = 16", "[limits]\nmin_free_mb = 17\nrowz = 5")
    line = served.config.read_text().splitlines().index("rowz = 5") + 1
    answer = reload(served)
    assert (answer["taken"], answer["needs_restart"]) == ([], [])
    assert answer["problems"] == [
        f"{served.config} line {line}: [limits] rowz: unknown key; did you mean rows?"
    ]
    assert served.client.get("/health")["components"]["disk"]["min_free_mb"] == 16
    edit(served, "rowz = 5", "rows = 5")
    assert sorted(reload(served)["taken"]) == ["limits.min_free_mb", "limits.rows"]
    too_many = write_users(served.folder / "six.csv", range(1, 7))
    assert served.client.hand_in(too_many).status == 413


def test_what_waits_for_a_restart_is_named_until_it_is_undone(served: World) -> None:
    edit(served, "127.0.0.1:" + str(served.port), f"127.0.0.1:{free_port()}")
    edit(served, "sqlite:///eomd.db", "sqlite:///other.db")
    for _ in range(2):
        assert reload(served)["needs_restart"] == ["server.listen", "ledger.url"]
    edit(served, "sqlite:///other.db", "sqlite:///eomd.db")
    assert reload(served)["needs_restart"] == ["server.listen"]
    assert not (served.data / "other.db").exists()


def certify(folder: Path, name: str) -> None:
    """Put a new certificate into cert.pem and key.pem."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*command, "-keyout", folder / "key.new", "-out", folder / "cert.new"],
        check=True,
        capture_output=True,
    )
    shutil.move(folder / "key.new", folder / "key.pem")
    shutil.move(folder / "cert.new", folder / "cert.pem")


def certificate_of(world: World) -> str:
    """Return the name in the certificate that a new connection meets."""
    tls = ssl.create_default_context(cafile=str(world.folder / "cert.pem"))
    with (
        socket.create_connection(("127.0.0.1", world.port), timeout=30) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        ((name,),) = secure.getpeercert()["subject"]  # type: ignore[index]
    return str(name[1])


def test_a_certificate_renewed_on_disk_is_met_after_a_reload(world: World) -> None:
    certify(world.folder, "first")
    tls = f'tls_cert = "{world.folder}/cert.pem"\ntls_key = "{world.folder}/key.pem"'
    world.configure()
    edit(world, "[auth]", f"{tls}\n[auth]")
    world.server = Child(["serve", "-c", str(world.config)], world.folder / "server.log")
    wait_until(lambda: answers(world), "the server answers")
    assert certificate_of(world) == "first"
    certify(world.folder, "second")
    assert reload(world)["taken"] == ["server.tls_cert (renewed)"]
    assert certificate_of(world) == "second"
    assert reload(world)["taken"] == []
    (world.folder / "key.pem").write_text("half")
    assert "tls_cert, tls_key" in reload(world)["problems"][0]
    assert certificate_of(world) == "second"


def answers(world: World) -> bool:
    try:
        return ask(world, "GET", "/health").status == 200
    except OSError:
        return False
