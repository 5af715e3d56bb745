"""The pages' examples for curl, run as they stand but for address, token, ids and an upload's name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pages import fences, read
from tests.world import World, write_users

PREAMBLE = """
set -eu
curl() { command curl -sS --max-time 60 "$@" && echo; }
"""

PASSWORD = "a-long-word-for-li"


@pytest.fixture
def running(world: World) -> World:
    """A world with fish that asks for tokens."""
    world.simulate("fish", 1, "--users", "1-1000", "--eid", "1001", "--eid", "1002")
    world.configure()
    world.serve(EOMD_AUTH__ENABLED="true")
    return world


def answers(world: World, folder: Path, script: str) -> list[Any]:
    """Run an example beside a file players.csv; return the answers of the API that it prints."""
    write_users(folder / "players.csv", range(1, 21))
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "EOMD_CONFIG": str(world.config),
    }
    done = subprocess.run(
        ["bash", "-c", PREAMBLE + script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"code"')]


def put_in(script: str, world: World) -> str:
    """Put this world's address and ids into an example."""
    script = script.replace("http://127.0.0.1:8600", f"http://127.0.0.1:{world.port}")
    return (
        script.replace("operations/12", "operations/1")
        .replace("12-result.csv", "1-result.csv")
        .replace("operations/13", "operations/2")
    )


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readmes_calls_work(running: World, tmp_path: Path, page: str) -> None:
    hand_in, fetch, *_ = fences(read(page), "sh")
    bearer = '-H "Authorization: Bearer $TOKEN"'
    until_it_ends = f"curl {bearer} -N http://127.0.0.1:8600/operations/12/events >/dev/null\n"
    made, shown = answers(running, tmp_path, put_in(hand_in + until_it_ends + fetch, running))
    assert (made["code"], made["data"]["id"], made["data"]["note"]) == (0, 1, "inc_1001")
    assert (shown["data"]["state"], shown["data"]["rows"]["ok"]) == ("succeeded", 20)
    lines = (tmp_path / "players-result.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[:2] == ["userid,status,detail,1001_before,1001_after", "1,OK,,0,5"]


def log_in(script: str) -> str:
    """Put a user, the password and the word of the session into an example."""
    word = """'"$(curl -b jar $EOMD/session | sed 's/.*"xsrf_token": *"\\([^"]*\\)".*/\\1/')"'"""
    added = f"echo {PASSWORD} | eomd user add li --role operator --operator 7 --operator-name Li >/dev/null\n"
    return added + script.replace('"password": "…"', f'"password": "{PASSWORD}"').replace(
        "X-XSRF-Token: …", f"X-XSRF-Token: {word}"
    )


def test_the_calls_on_the_apis_page_work(running: World, tmp_path: Path) -> None:
    token = running.run("token", "add", "tests", "--role", "admin").stdout.strip()
    own = running.run("token", "add", "wang", "--role", "approver", "--operator", "9").stdout.strip()
    page = put_in("".join(fences(read("docs/http-api.md"), "sh")), running)
    script = page.replace(
        "AUTH_OF_WANG='Authorization: Bearer eomd_…'", f"AUTH_OF_WANG='Authorization: Bearer {own}'"
    )
    script = script.replace("eomd_…", token)
    upload = f"""'"$(cd {running.data}/files && ls upload-*.csv)"'"""
    before, comment, after = script.partition("upload-….csv")
    whole = log_in(before + comment + after.replace("upload-….csv", upload))
    found = answers(running, tmp_path, whole)
    calls = script.count("curl ") - sum(map(script.count, ("/download", "/events", "/evidence")))
    assert len(found) == calls
    assert {answer.get("error") for answer in found} == {None, "WRONG_STATE"}
    assert (tmp_path / "players-result.csv").read_bytes().startswith(b"\xef\xbb\xbfuserid,")
