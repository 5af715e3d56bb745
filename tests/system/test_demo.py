"""`eomd demo` shows the main job and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_does_its_job_serves_and_goes_without_a_trace(tmp_path: Path, number: int) -> None:
    demo = start(tmp_path, "--batch", "2000")
    try:
        wait_until(lambda: "Ctrl-C ends it" in demo.log.read_text(), "the job's end")
        said = demo.log.read_text()
        url = next(line.split()[4].rstrip(";") for line in said.splitlines() if "listens at" in line)
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
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
        wait_until(lambda: "Ctrl-C ends it" in demo.log.read_text(), "the job's end")
    finally:
        demo.kill()
    wait_until(lambda: not remains(tmp_path / "tmp"), "the children's end")
