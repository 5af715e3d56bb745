"""One zip holds what was asked, decided, done and seen, with the sum of each file; the audit only grows."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_homes import NOON, Home, MariaHome, SqliteHome

from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings
from eomd.model import Role
from eomd.operations.plan import PARTS
from eomd.storage.evidence_zip import Entry, Written, write_zip
from eomd.storage.ledger import AuditEntry, Ledger
from eomd.storage.migrate import migrate
from tests.integration.http_site import CONFIG, Site, open_site
from tests.mariadb import MariaDb


@pytest.fixture
def fish() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(SimulatorSettings()) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "mariadb"])
def ledger_home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return (
        SqliteHome(tmp_path) if request.param == "sqlite" else MariaHome(request.getfixturevalue("mariadb"))
    )


# --- the zip


def unzip(pieces: list[bytes]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_zip_is_written_in_pieces_and_says_what_was_written(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(50_000)))
    told: list[Written] = []

    def conclude(written: object) -> list[Entry]:
        told.extend(written)  # type: ignore[arg-type]
        return [Entry("end", b"x")]

    pieces = list(write_zip([Entry("a/large", large), Entry("空", b"")], conclude))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 2**20
    assert unzip(pieces) == {"a/large": large.read_bytes(), "空": b"", "end": b"x"}
    assert [(each.name, each.size) for each in told] == [("a/large", 1_600_000), ("空", 0)]
    assert told[0].sha256 == hashlib.sha256(large.read_bytes()).hexdigest()


def test_a_file_that_is_gone_breaks_it_off(tmp_path: Path) -> None:
    steps = write_zip([Entry("a", b"x"), Entry("gone", tmp_path / "gone")], lambda written: [])
    with pytest.raises(FileNotFoundError):
        list(steps)


# --- over HTTP


def fetch(site: Site, operation: int) -> dict[str, bytes]:
    answer = site.request("GET", f"/operations/{operation}/evidence", role=Role.APPROVER)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert f"operation-{operation}-evidence.zip" in answer.headers["Content-Disposition"]
    return unzip([answer.body])


def test_everything_there_is_stands_in_it_with_its_sum(tmp_path: Path, fish: SimulatedCluster) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001], "verify": "all", "wait_s": 0}
    with open_site(tmp_path, {"fish": fish}, approval={"rows": 1}) as site:
        made = site.hand_in(modify, b"100000000\n100000001\n").data
        path = f"/operations/{made['id']}"
        early = site.request("GET", f"{path}/evidence", role=Role.APPROVER)
        assert (early.status, early.error) == (409, "WRONG_STATE")
        wang = site.make_person(8)
        assert site.request("POST", f"{path}/approve", None, wang, json_body={"reason": "好"}).status == 200
        site.ended(made["id"])
        assert site.get(f"{path}/summary").status == 200
        files = fetch(site, made["id"])
        assert set(files) == {
            *("source.csv", "result.csv", "log.txt", "verify.csv", "summary.json", "manifest.json"),
            *("operation.json", "approval.json", "audit.json", "evidence.json", "SHA256SUMS"),
        }
        assert files["source.csv"] == b"100000000\n100000001\n"
        assert files["result.csv"] == site.data.result(made["id"]).read_bytes()
        assert json.loads(files["approval.json"])["decision"]["reason"] == "好"
        assert [entry["action"] for entry in json.loads(files["audit.json"])] == ["hand_in", "approve"]
        about = json.loads(files["evidence.json"])
        assert (about["operation"], about["missing"], about["made_for"]) == (made["id"], [], "token approver")
        assert set(about["eomd"]) == {"version", "commit"}
        sums = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())
        assert set(sums) == set(files) - {"evidence.json", "SHA256SUMS"}
        assert {name: hashlib.sha256(files[name]).hexdigest() for name in sums} == sums
        assert {each["name"]: each["sha256"] for each in about["files"]} == sums
        # who fetched it is known to the next one
        again = json.loads(fetch(site, made["id"])["audit.json"])
        assert [entry["action"] for entry in again] == ["hand_in", "approve", "evidence"]


def test_what_is_not_there_any_more_is_named(tmp_path: Path, fish: SimulatedCluster) -> None:
    with open_site(tmp_path, {"fish": fish}) as site:
        site.hand_in(CONFIG, b"100000000\n")
        site.data.source(1).unlink()
        files = fetch(site, 1)
        assert json.loads(files["evidence.json"])["missing"] == ["source.csv"]
        assert "source.csv" not in files
        assert site.request("GET", "/operations/99/evidence", role=Role.APPROVER).status == 404
        assert site.get("/operations/1/evidence", Role.OPERATOR).status == 403


def test_of_what_carries_out_a_plan_the_plan_stands_in_it_too(tmp_path: Path, fish: SimulatedCluster) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001], "dry_run": True}
    with open_site(tmp_path, {"fish": fish}) as site:
        plan = site.hand_in(modify, b"100000000\n").data["id"]
        made = site.request("POST", f"/operations/{plan}/commit", role=Role.OPERATOR).data["id"]
        site.ended(made)
        files = fetch(site, made)
    assert {"plan/source.csv", "plan/result.csv", "plan/operation.json"} <= set(files)
    assert json.loads(files["plan/operation.json"])["id"] == plan
    [planned, committed] = json.loads(files["plan/audit.json"])
    assert (planned["action"], committed["detail"]["child"]) == ("hand_in", made)
    [commit] = json.loads(files["audit.json"])
    assert (commit["action"], commit["detail"]["parent"]) == ("commit", plan)


def test_an_undo_holds_the_plan_that_it_was_made_from(tmp_path: Path, fish: SimulatedCluster) -> None:
    modify = {**CONFIG, "mode": "inc", "amount": 5, "eids": [1001]}
    with open_site(tmp_path, {"fish": fish}) as site:
        changed = site.hand_in(modify, b"100000000\n").data["id"]
        path = f"/operations/{changed}/undo"
        plan = site.request("POST", path, json_body={"dry_run": True}).data["id"]
        site.ended(plan)
        summary = site.get(f"/operations/{plan}/summary").data["plan"]
        made = site.request("POST", f"/operations/{plan}/commit").data
        assert made["parent"] == changed
        site.ended(made["id"])
        files = fetch(site, made["id"])
        assert files["plan/result.csv"] == site.data.result(plan).read_bytes()
        assert json.loads(files["plan/operation.json"])["id"] == plan
        assert set(json.loads(files["plan/plan.json"])) == {"format", *PARTS}
        assert len(summary["hash"]) == 64
        # one that was not planned has none
        alone = site.request("POST", f"/operations/{made['id']}/undo").data["id"]
        site.ended(alone)
        assert [name for name in fetch(site, alone) if name.startswith("plan/")] == []


def test_what_was_decided_about_uncertain_rows_stands_in_it(tmp_path: Path) -> None:
    faults = Faults(no_idempotent=True, close_after=3)
    content = b"".join(b"%d\n" % user for user in range(1, 101))
    with (
        SimulatedCluster(SimulatorSettings(max_rows=10, faults=faults)) as fish,
        open_site(tmp_path, {"fish": fish}) as site,
    ):
        made = site.hand_in({**CONFIG, "mode": "inc", "amount": 5}, content).data
        path, wang = f"/operations/{made['id']}/settle", site.make_person(8)
        first = site.get(f"{path}?limit=1").data["items"][0]["row"]
        for body in ({"rows": [first], "as": "applied"}, {"rows": "all", "as": "not_applied"}):
            assert site.request("POST", path, headers=wang, json_body=body).status == 200
        head, *verdicts = fetch(site, made["id"])["settlement.csv"].decode().splitlines()
        words = [line.split(",")[1] for line in verdicts]
        assert (head, verdicts[0]) == ("row,settled,batch", f"{first},applied,")
        assert words[1:] == ["not_applied"] * (made["rows"]["uncertain"] - 1)
        # one that cannot be read is no reason to hold the rest back
        site.data.operation(made["id"]).settlement.write_bytes(b"x")
        files = fetch(site, made["id"])
        assert json.loads(files["evidence.json"])["missing"] == ["settlement.csv"]


# --- the audit


def entry(subject: str, action: str = "pause") -> AuditEntry:
    return AuditEntry(NOON, "token x", action, subject, {"a": "王"}, "127.0.0.1")


def test_entries_of_a_subject_come_in_their_order(ledger_home: Home) -> None:
    entries = [entry("operation 1"), entry("operation 12"), entry("operation 1", "resume")]

    async def scenario(ledger: Ledger) -> None:
        await ledger.audit(entries)
        assert await ledger.audit_of("operation 1") == [entries[0], entries[2]]
        assert await ledger.audit_of("operation") == []

    ledger_home.run(scenario)


@pytest.mark.parametrize("deed", ["UPDATE eom_audit SET who = 'nobody'", "DELETE FROM eom_audit"])
def test_nobody_changes_or_removes_an_entry(ledger_home: Home, deed: str) -> None:
    ledger_home.run(lambda ledger: ledger.audit([entry("operation 1")]))
    with pytest.raises(Exception, match="eom_audit is only ever appended to"):
        ledger_home.execute(deed)
    assert ledger_home.column("SELECT who FROM eom_audit") == ["token x"]


def test_a_user_without_triggers_goes_without_and_is_warned(
    mariadb: MariaDb, caplog: pytest.LogCaptureFixture
) -> None:
    home = MariaHome(mariadb)
    user = home.user("SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON {}.*")
    migrate(home.settings(url=mariadb.url(home.database, user)))
    assert "eom_audit is not protected from changes" in caplog.text
    home.run(lambda ledger: ledger.audit([entry("operation 1")]))
