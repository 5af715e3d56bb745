"""`eomd operations` with the tokens of people who may see everything, and of those who may not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from eomd.model import Role
from tests.integration.http_site import CONFIG, Site, open_site

OTHER = os.getuid() + 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with an operation of ours (1) and one of somebody else's (2)."""
    with open_site(tmp_path_factory.mktemp("site"), {"fish": "127.0.0.1:1:1"}) as opened:
        for operatorid in (os.getuid(), OTHER):
            config = {**CONFIG, "operatorid": operatorid, "wait_s": 0}
            assert opened.hand_in(config).status == 201
        yield opened


def listed(site: Site, role: Role, *arguments: str) -> tuple[list[int], str]:
    """Return the ids that `operations list` shows, and what it says beside them."""
    where = ["--url", f"http://127.0.0.1:{site.port}", "--token", site.tokens[role], "--json"]
    command = [sys.executable, "-m", "eomd", "operations", "list", *where, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [item["id"] for item in json.loads(done.stdout)["items"]], done.stderr


def test_an_approver_sees_everybodys(site: Site) -> None:
    assert listed(site, Role.APPROVER) == ([2, 1], "")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_lower_role_sees_its_own_and_is_told_what_to_add(site: Site, role: Role) -> None:
    ids, said = listed(site, role)
    assert ids == [1]
    assert f"operatorid {os.getuid()}" in said
    assert "--operatorid ID" in said


def test_a_named_operator_is_asked_for_as_named(site: Site) -> None:
    assert listed(site, Role.OPERATOR, "--operatorid", str(OTHER)) == ([2], "")


def run(site: Site, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ["--url", f"http://127.0.0.1:{site.port}", "--token", token]
    command = [sys.executable, "-m", "eomd", "operations", *arguments, *where]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_second_person_decides_and_fetches_the_evidence(tmp_path: Path) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001], "wait_s": 0}
    with open_site(tmp_path, {"fish": "127.0.0.1:1:1"}, approval={"clusters": ["fish"]}) as site:
        for _ in range(2):
            assert site.hand_in(modify).data["state"] == "awaiting_approval"
        service, wang = site.tokens[Role.APPROVER], site.make_token("approver", operatorid=8)
        named = ("--operatorid", "8", "--operatorname", "王")
        for who in ((), named):
            nobody = run(site, service, "reject", "1", "--reason", "wrong file", *who)
            assert (nobody.returncode, "a person decides" in nobody.stderr) == (1, True)
        rejected = run(site, wang, "reject", "1", "--reason", "wrong file", *named)
        assert (rejected.returncode, rejected.stdout) == (0, "operation 1 is rejected\n")
        approved = run(site, wang, "approve", "2", "--reason", "agreed")
        assert approved.returncode == 0, approved.stderr
        place = tmp_path / "evidence.zip"
        fetched = run(site, service, "evidence", "1", "-o", str(place))
        assert fetched.returncode == 0, fetched.stderr
        with zipfile.ZipFile(place) as archive:
            assert json.loads(archive.read("approval.json"))["decision"]["reason"] == "wrong file"
        early = run(site, service, "evidence", "2", "-o", str(tmp_path / "early.zip"))
        assert (early.returncode, (tmp_path / "early.zip").exists()) == (1, False)


def test_the_refusal_itself_says_what_to_add(site: Site) -> None:
    answer = site.get("/queryoperationsbyoperatorid")
    assert (answer.status, answer.error) == (403, "FORBIDDEN")
    assert "add operatorid" in answer.json["msg"]
