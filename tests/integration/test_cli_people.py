"""`eomd user`, `eomd token` and hand-ins by people with tokens of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings
from eomd.model import Role
from eomd.runtime import API_SOCKET, make_runtime_folder, remove_runtime_folder, runtime_folder
from tests.integration.http_site import Site, open_site
from tests.integration.test_sessions import OTHER, PASSWORD, Browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = SimulatorSettings(counters=(Counter(1001),), fill=1)
    with (
        SimulatedCluster(settings) as fish,
        open_site(tmp_path_factory.mktemp("site"), {"fish": fish}) as opened,
    ):
        yield opened


def eomd(site: Site, *words: str, typed: str = "", token: str = "", code: int = 0) -> str:
    """Return what a command prints, run with an admin's token or the one given."""
    where = ["--url", f"http://127.0.0.1:{site.port}", "--token", token or site.tokens[Role.ADMIN]]
    command = [sys.executable, "-m", "eomd", *words, *where]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


def test_a_user_from_beginning_to_end(site: Site) -> None:
    person = ("--operator", "7", "--operator-name", "李")
    eomd(
        site, "user", "add", "li", "--role", "operator", *person, "--clusters", "fish", typed=PASSWORD + "\n"
    )
    assert Browser(site).log_in("li").status == 201
    [user] = json.loads(eomd(site, "user", "list", "--json"))
    assert (user["operatorid"], user["operatorname"], user["clusters"], user["eids"]) == (
        7,
        "李",
        ["fish"],
        None,
    )
    eomd(site, "user", "change", "li", "--role", "viewer", "--clusters", "all", "--eids", "1001,1002")
    listed = eomd(site, "user", "list")
    assert all(word in listed for word in ("viewer", "all", "1001,1002"))
    eomd(site, "user", "passwd", "li", typed=OTHER + "\n")
    assert Browser(site).log_in("li", OTHER).status == 201
    eomd(site, "user", "disable", "li")
    assert Browser(site).log_in("li", OTHER).status == 401
    eomd(site, "user", "enable", "li")
    assert Browser(site).log_in("li", OTHER).status == 201


def test_a_bad_password_is_refused_and_not_repeated(site: Site) -> None:
    person = ("--operator", "8", "--operator-name", "Wang")
    said = eomd(site, "user", "add", "wang", "--role", "viewer", *person, typed="geheim\n", code=1)
    assert "password: must have 12" in said
    assert "geheim" not in said


def test_there_is_something_to_change(site: Site) -> None:
    assert "nothing to change" in eomd(site, "user", "change", "li", code=2)


def test_who_has_a_token_of_their_own_need_not_say_who_they_are(site: Site, tmp_path: Path) -> None:
    person = ("--operator", "9", "--operator-name", "Zhao", "--clusters", "fish")
    token = eomd(site, "token", "add", "zhao", "--role", "operator", *person).strip()
    users = tmp_path / "users.csv"
    users.write_text("1\n2\n")
    asked = ("query", str(users), "--cluster", "fish", "--eids", "1001")
    assert eomd(site, *asked, token=token).count("OK") == 2
    shown = json.loads(eomd(site, "operations", "list", "--json", token=token))
    assert [(item["operatorid"], item["operatorname"]) for item in shown["items"]] == [(9, "Zhao")]
    assert "you are operator 9" in eomd(site, *asked, "--operatorid", "8", token=token, code=1)


def test_a_link_is_made_on_the_machine_itself(site: Site, tmp_path: Path) -> None:
    person = ("--operator", "10", "--operator-name", "Sun")
    eomd(site, "user", "add", "sun", "--role", "viewer", *person, typed=PASSWORD + "\n")
    config = tmp_path / "eomd.toml"
    config.write_text(f'data_dir = "{site.data.path}"\n[server]\nlisten = "0.0.0.0:8600"\n')
    runtime = runtime_folder(site.data.path, os.environ)
    make_runtime_folder(runtime)
    (runtime / API_SOCKET).symlink_to(site.api)
    try:
        said = run("user", "link", "sun", "-c", str(config), "--at", "https://eomd.example/")
        assert said.startswith("https://eomd.example/console/enter#")
        assert run("user", "link", "sun", "-c", str(config)).startswith(
            f"http://{socket.gethostname()}:8600/"
        )
    finally:
        remove_runtime_folder(runtime)
    entered = Browser(site).request("POST", "/session", {"link": said.strip().partition("#")[2]})
    assert (entered.status, entered.data["name"]) == (201, "user sun")


def run(*words: str) -> str:
    command = [sys.executable, "-m", "eomd", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
