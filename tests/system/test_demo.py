"""`eomd demo` shows the main job and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from eomd.runtime import runtime_folder
from tests.world import Child, wait_until


def remains(folder: Path) -> list[str]:
    """Return command lines that name the demo's folder."""
    lines = (" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"]))
    return [line for line in lines if str(folder) in line]


def start(folder: Path, *arguments: str) -> Child:
    (folder / "tmp").mkdir()
    return Child(["demo", *arguments], folder / "demo.log", {"TMPDIR": str(folder / "tmp")})


def wait_for_invitation(demo: Child) -> str:
    """Wait for the end of the main job; return what was said till then."""
    wait_until(lambda: demo.log.read_text().endswith("}'\n"), "the job's end")
    return demo.log.read_text()


def who_enters(url: str, said: str) -> str:
    """Return whom the printed one-time link logs in."""
    (link,) = (line.strip() for line in said.splitlines() if "/console/enter#" in line)
    assert link.startswith(f"{url}/")
    body = json.dumps({"link": link.partition("#")[2]}).encode()
    asked = urllib.request.Request(f"{url}/session", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        return str(json.load(answer)["data"]["name"])


def counters_of(url: str, said: str) -> dict[tuple[str, int], str]:
    """Return the names by which the console offers counters."""
    (token,) = (line.partition("=")[2] for line in said.splitlines() if "export EOMD_TOKEN=" in line)
    asked = urllib.request.Request(f"{url}/nosdata", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked) as answer:
        eids = json.load(answer)["data"]["eids"]
    return {(eid["cluster"], eid["eid"]): eid["name"] for eid in eids}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_does_its_job_serves_and_goes_without_a_trace(tmp_path: Path, number: int) -> None:
    demo = start(tmp_path, "--batch", "2000")
    try:
        said = wait_for_invitation(demo)
        url = next(line.split()[4].rstrip(";") for line in said.splitlines() if "listens at" in line)
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
        assert who_enters(url, said) == "user zhao"
        assert counters_of(url, said)["fish", 1001] == "活动积分"
        (world,) = (tmp_path / "tmp").iterdir()
        runtime = runtime_folder(world / "data", os.environ)
        assert runtime.exists()
        demo.kill(number)
        assert demo.process.wait(60) == 0
    finally:
        demo.destroy()
    assert said.count("2,000 of 2,000 rows OK") == 2
    assert "userid,status,detail,1001_before,1001_after" in said
    assert "rows/s" in said
    assert list((tmp_path / "tmp").iterdir()) == []
    assert remains(tmp_path / "tmp") == []
    assert not runtime.exists()


def test_the_lines_it_invites_to_copy_work(tmp_path: Path) -> None:
    demo = start(tmp_path, "--batch", "10")
    try:
        _, _, lines = wait_for_invitation(demo).partition("In another terminal:\n")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(["sh", "-e"], input=lines, capture_output=True, text=True,
                              env={**os.environ, "PATH": path})  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count('"code":0') == 2
        assert "succeeded" in done.stdout
        assert "/console/enter#" in done.stdout
        assert demo.stop() == 0
    finally:
        demo.destroy()


def test_an_early_ctrl_c_leaves_nothing_either(tmp_path: Path) -> None:
    demo = start(tmp_path, "--once")
    try:
        wait_until(lambda: list((tmp_path / "tmp").glob("*/eomd.log")), "the start")
        demo.kill(signal.SIGINT)
        assert demo.process.wait(60) == 130
    finally:
        demo.destroy()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert remains(tmp_path / "tmp") == []


def test_a_killed_demo_takes_its_processes_along(tmp_path: Path) -> None:
    demo = start(tmp_path, "--batch", "10")
    try:
        wait_for_invitation(demo)
    finally:
        demo.kill()
    wait_until(lambda: not remains(tmp_path / "tmp"), "the children's end")
