"""The commands against a running server, and without one."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from eomd.cli.main import COMMANDS
from eomd.config import load_settings
from tests.world import World, wait_until, write_users

DATA = Path(__file__).parents[1] / "data"
HAND_IN = ("--cluster", "fish", "--eids", "1001,1002")


@pytest.fixture
def running(world: World) -> World:
    """A world with fish: users 1 to 1000, EIDs 1001 and 1002."""
    world.simulate("fish", 2, "--users", "1-1000", "--eid", "1001", "--eid", "1002", "--fill", "1")
    world.configure()
    world.serve()
    return world


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eomd", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environ}
    )


# --- query and modify


def test_query_fetches_the_result_and_ends_with_0(running: World, tmp_path: Path) -> None:
    source = write_users(tmp_path / "users.csv", range(1, 101))
    done = running.run("query", str(source), *HAND_IN, "-o", str(tmp_path / "result.csv"))
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "result.csv").read_text().splitlines()
    assert lines[0] == "userid,status,detail,1001,1002"
    assert len(lines) == 101
    assert "100 of 100 rows OK" in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.glob(".*.part")] == []


def test_without_an_output_the_result_goes_to_standard_output(running: World, tmp_path: Path) -> None:
    source = write_users(tmp_path / "users.csv", [7])
    done = running.run("query", str(source), *HAND_IN)
    assert done.stdout.splitlines()[0] == "userid,status,detail,1001,1002"
    assert done.stdout.splitlines()[1].startswith("7,OK,,")


def test_rows_that_failed_end_with_3(running: World, tmp_path: Path) -> None:
    source = write_users(tmp_path / "users.csv", [1, 5000])
    done = running.run("query", str(source), *HAND_IN)
    assert done.returncode == 3
    assert "1 of 2 rows OK, 1 failed" in done.stderr


def test_modify_changes_counters_and_a_dry_run_does_not(running: World, tmp_path: Path) -> None:
    source = write_users(tmp_path / "users.csv", [1])
    modify = ("modify", str(source), "--cluster", "fish", "--eids", "1001", "--mode", "inc", "--amount", "5")
    before, planned = running.run(*modify, "--dry-run").stdout.splitlines()[1].split(",")[3:]
    assert int(planned) == int(before) + 5
    assert running.run(*modify).stdout.splitlines()[1].split(",")[3:] == [before, planned]
    again = running.run(*modify, "--operatorid", "8")
    assert "operation 3\n  operation 2 changed exactly this before: " in again.stderr


def test_a_plan_s_commit_leaves_alone_what_moved_if_the_dry_run_said_so(
    running: World, tmp_path: Path
) -> None:
    source = write_users(tmp_path / "users.csv", [1])
    modify = ("modify", str(source), "--cluster", "fish", "--eids", "1001", "--mode", "inc", "--amount", "5")
    refused = running.run(*modify, "--only-if-unchanged")
    assert (refused.returncode, "only_if_unchanged" in refused.stderr) == (1, True)
    assert running.run(*modify, "--dry-run", "--only-if-unchanged").returncode == 0
    assert running.run(*modify).returncode == 0
    committed = running.run("commit", "1")
    assert committed.returncode == 3
    assert "0 of 1 rows OK, 1 failed" in committed.stderr


def test_the_operator_is_whoever_runs_the_command(running: World, tmp_path: Path) -> None:
    source = write_users(tmp_path / "users.csv", [1])
    running.run("query", str(source), *HAND_IN, "--description", "why not")
    running.run("query", str(source), *HAND_IN, "--operatorid", "7", "--operatorname", "ann")
    assert running.client.operation(1)["operatorid"] == os.getuid()
    assert running.client.operation(1)["description"] == "why not"
    assert running.client.operation(2)["operatorname"] == "ann"


def test_a_bad_file_is_told_with_its_lines(running: World) -> None:
    done = running.run("query", str(DATA / "bad-ragged.csv"), *HAND_IN)
    assert done.returncode == 1
    assert all(line.startswith("eomd: ") for line in done.stderr.splitlines() if "bytes" not in line)
    assert "eomd: line 3: " in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_the_operation_alone(world: World, tmp_path: Path) -> None:
    world.simulate("fish", 1, "--users", "1-1000", "--eid", "1001", "--eid", "1002", "--silent")
    world.configure()
    world.serve()
    source = write_users(tmp_path / "users.csv", [1])
    command = [sys.executable, "-m", "eomd", "query", str(source), *HAND_IN, "-c", str(world.config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(lambda: process.stderr.readline() == "operation 1\n", "the operation")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "eomd: operation 1 goes on; see: eomd operations show 1" in process.stderr.read()
    assert world.client.operation(1)["state"] not in ("cancelled", "failed")


def test_following_outlives_a_restart_of_the_server(world: World, tmp_path: Path) -> None:
    world.simulate("fish", 1, "--users", "1-200000", "--eid", "1001", "--eid", "1002", "--latency-ms", "20")
    world.configure(connections=1)
    server = world.serve("up")
    source = write_users(tmp_path / "users.csv", range(1, 200_001))
    command = [sys.executable, "-m", "eomd", "query", str(source), *HAND_IN, "-c", str(world.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: (world.data / "operations").exists() and world.client.get("/health"), "life")
        wait_until(lambda: world.client.get("/queryoperationsbyoperatorid")["total"], "the operation")
        psutil.Process(server.process.pid).children()[0].kill()
        result, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert result.count(b"\n") == 200_001
    assert server.stop() == 0


# --- the others


def test_operations_are_listed_shown_and_acted_on(running: World, tmp_path: Path) -> None:
    source = write_users(tmp_path / "users.csv", [1])
    running.run("query", str(source), *HAND_IN, "--description", "捕鱼")
    listed = running.run("operations", "list").stdout
    assert "捕鱼" in listed
    assert "query 1001,1002" in listed
    assert json.loads(running.run("operations", "list", "--state", "failed", "--json").stdout)["total"] == 0
    assert json.loads(running.run("operations", "show", "1", "--json").stdout)["state"] == "succeeded"
    done = running.run("operations", "cancel", "1")
    assert done.returncode == 1
    assert done.stderr == "eomd: operation 1 is succeeded: cancel is not possible\n"
    assert running.run("operations", "show", "99").returncode == 1


def test_a_token_is_all_that_stands_on_standard_output_and_works(world: World) -> None:
    world.configure()
    world.config.write_text(world.config.read_text().replace("enabled = false", "enabled = true"))
    world.serve()
    token = world.run("token", "add", "mis", "--role", "operator").stdout.strip()
    assert token.split() == [token]
    remote = ("--url", f"http://127.0.0.1:{world.port}")
    assert world.run("eids", "list", *remote).returncode == 1
    assert world.run("eids", "list", *remote, "--token", token).returncode == 0
    assert run("eids", "list", EOMD_URL=remote[1], EOMD_TOKEN=token).returncode == 0
    assert world.run("token", "list", *remote, "--token", token).returncode == 1
    (listed,) = json.loads(world.run("token", "list", "--json").stdout)
    assert token not in json.dumps(listed)
    assert world.run("token", "revoke", listed["id"]).returncode == 0
    assert world.run("eids", "list", *remote, "--token", token).returncode == 1


def test_eids_go_in_and_come_out_as_csv(running: World, tmp_path: Path) -> None:
    text = (
        "cluster,eid,name,unit,minimum,maximum,editable\nfish,1001,积分,分,0,100,true\nfish,1002,x,,,,false\n"
    )
    (tmp_path / "eids.csv").write_bytes(text.encode("gb18030"))
    done = running.run("eids", "import", str(tmp_path / "eids.csv"))
    assert done.stdout == "2 definitions taken, 2 known now\n"
    assert running.run("eids", "export").stdout == text
    (tmp_path / "eids.csv").write_text("EID,cluster\n5,label\n")
    assert running.run("eids", "import", str(tmp_path / "eids.csv")).stdout.endswith("3 known now\n")
    assert "积分" in running.run("eids", "list", "--cluster", "fish").stdout
    assert running.run("eids", "import", "--replace", str(tmp_path / "eids.csv")).stdout.endswith(
        "1 known now\n"
    )


def test_a_wrong_eids_file_is_told_with_its_lines(running: World, tmp_path: Path) -> None:
    (tmp_path / "eids.csv").write_text("cluster,eid,minimum\nfish,x,\n,7,1.5\n")
    done = running.run("eids", "import", str(tmp_path / "eids.csv"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "eomd: line 2, column eid: expected a whole number (and 2 more)"


def test_status_is_0_only_when_all_is_well(running: World) -> None:
    wait_until(lambda: running.client.get("/health")["status"] == "ok", "health")
    done = running.run("status")
    assert done.returncode == 0
    assert done.stdout.startswith("eomd is ok ")
    running.simulations[0].kill()
    wait_until(lambda: running.client.get("/health")["status"] != "ok", "the cluster's loss")
    done = running.run("status", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "degraded"


def test_without_a_server_each_command_says_so_in_one_line(world: World, tmp_path: Path) -> None:
    world.configure()
    source = write_users(tmp_path / "users.csv", [1])
    for arguments in (("query", str(source), *HAND_IN), ("operations", "list"), ("token", "list")):
        done = world.run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("eomd: no server is running here; start one with: eomd up")
        assert done.stderr.count("\n") == 1
    assert json.loads(world.run("status", "--json").stdout)["status"] == "down"
    assert world.run("status").returncode == 1


# --- without a server


def test_the_configuration_is_taken_before_and_after_the_commands_name(world: World) -> None:
    world.configure()
    after = run("check", "-c", str(world.config))
    before = run("-c", str(world.config), "check")
    assert after.stdout == before.stdout == run("check", EOMD_CONFIG=str(world.config)).stdout
    assert after.stdout.startswith("configuration is good\n")


def test_check_lists_problems_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "eomd.toml"
    file.write_text("data_dir = 'data'\n[server]\nlisen = 1\n[log]\nlevel = 'x'\n")
    done = run("check", "-c", str(file))
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [f"{file} line 3", f"{file} line 5"]
    file.write_text("data_dir = 'data'\n[clusters.fish]\nnodes = ['a:1']\ncodec = 'evt9'\n")
    assert run("check", "-c", str(file)).stdout.startswith("[clusters.fish] codec: no codec named 'evt9'")


@pytest.mark.parametrize("name", ["TKEvtOperationService.ini", "TKEvtOperationService.gbk.ini"])
def test_what_import_ini_writes_passes_the_check(tmp_path: Path, name: str) -> None:
    output, password = tmp_path / "eomd.toml", tmp_path / "ledger-password"
    done = run("import-ini", str(DATA / "legacy" / name), "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert "not-a-real-password" not in done.stdout + done.stderr + output.read_text()
    assert password.read_text() == "not-a-real-password\n"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert len(load_settings(output, {}).clusters) == 6
    assert run("check", "-c", str(output), EOMD_DATA_DIR=str(tmp_path / "data")).returncode == 0


def test_import_ini_overwrites_only_when_told(tmp_path: Path) -> None:
    output = tmp_path / "eomd.toml"
    output.write_text("precious")
    arguments = ("import-ini", str(DATA / "legacy/TKEvtOperationService.ini"), "-o", str(output))
    done = run(*arguments)
    assert (done.returncode, output.read_text()) == (1, "precious")
    assert done.stderr == f"eomd: {output} is there already; --force overwrites it\n"
    assert not (tmp_path / "ledger-password").exists()
    assert run(*arguments, "--force").returncode == 0


def test_migrate_says_first_and_does_then(world: World) -> None:
    world.configure()
    assert world.run("migrate", "--check").returncode == 3
    done = world.run("migrate")
    assert done.returncode == 0, done.stderr
    assert "define_optgroup" in done.stdout
    assert world.run("migrate", "--check").stdout == "the ledger is up to date\n"


def test_wrong_usage_ends_with_2_and_suggests(tmp_path: Path) -> None:
    done = run("statsu")
    assert done.returncode == 2
    assert "Did you mean status?" in done.stderr
    assert run("query", str(tmp_path / "absent.csv"), *HAND_IN).returncode == 2


IMPORTS = """
import sys
from eomd.cli.main import main
sys.argv = ["eomd", "version"]
try:
    main()
except SystemExit:
    print([name for name in ("numpy", "pyarrow", "sqlalchemy", "tornado", "rich") if name in sys.modules])
"""


def test_quick_commands_import_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    version, heavy = done.stdout.splitlines()
    assert version.startswith("eomd ")
    assert heavy == "[]"


def test_every_command_helps() -> None:
    for name in COMMANDS:
        assert run(name, "--help").returncode == 0, name
