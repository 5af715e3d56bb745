"""What keeps a process from running, seen with real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from eomd.watchdog.pressure import Sample, describe, kept_share, take_sample
from tests.world import wait_until

SPIN = "while True: pass"
SLEEP = "import sys; sys.stdin.read()"

Start = Callable[[str], int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python process on the first of our processors; return its pid."""
    started: list[subprocess.Popen[bytes]] = []
    (first, *_) = sorted(os.sched_getaffinity(0))

    def run(code: str) -> int:
        process = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE)
        os.sched_setaffinity(process.pid, {first})
        started.append(process)
        return process.pid

    yield run
    for process in started:
        process.kill()
        process.communicate()


def sample(pid: int) -> Sample:
    taken = take_sample(pid)
    assert taken is not None
    return taken


def share_over(pid: int, seconds: float) -> float:
    before, began = sample(pid), time.monotonic()
    wait_until(lambda: time.monotonic() - began > seconds, "a while")
    return kept_share(before, sample(pid), time.monotonic() - began)


def test_one_of_many_on_a_processor_is_kept_from_running(start: Start) -> None:
    crowd = [start(SPIN) for _ in range(4)]
    wait_until(lambda: all(psutil.Process(pid).cpu_times().user > 0.05 for pid in crowd), "all of them run")
    assert share_over(crowd[0], 1.0) > 0.4


def test_one_that_sleeps_is_kept_by_nothing(start: Start) -> None:
    sleeper = start(SLEEP)
    wait_until(lambda: sample(sleeper).letter == "S", "it sleeps")
    start(SPIN)
    assert share_over(sleeper, 0.3) < 0.1


def test_one_that_was_stopped_is_seen_as_such(start: Start) -> None:
    pid = start(SPIN)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: sample(pid).stopped, "it is stopped")
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not sample(pid).stopped, "it goes on")


def test_one_that_is_gone_has_no_sample() -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    assert take_sample(gone.pid) is None


def make(letter: str, queued_s: dict[int, float], processor_s: float = 0.0, memory_s: float = 0.0) -> Sample:
    return Sample(letter, queued_s, processor_s, memory_s)


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        (make("R", {1: 5.0}), make("R", {1: 5.5}), 0.5),
        (make("S", {1: 5.0, 2: 1.0}), make("S", {1: 5.0, 2: 1.25}), 0.25),
        (make("S", {1: 5.0}), make("S", {1: 5.0, 2: 0.25}), 0.25),
        (make("R", {1: 0.0}), make("D", {1: 0.0}), 1.0),
        (make("R", {1: 0.0}, memory_s=1.0), make("R", {1: 0.0}, memory_s=1.75), 0.75),
        (make("S", {1: 0.0}, memory_s=1.0), make("S", {1: 0.0}, memory_s=1.75), 0.0),
        (make("R", {}, processor_s=1.0), make("R", {}, processor_s=1.5), 0.5),
        (make("S", {}, processor_s=1.0), make("S", {}, processor_s=1.5), 0.0),
        (make("R", {1: 0.0}), make("R", {1: 9.0}), 1.0),
        (make("R", {1: 9.0}), make("R", {1: 0.0}), 0.0),
    ],
)
def test_what_counts_as_kept_from_running(before: Sample, after: Sample, share: float) -> None:
    assert kept_share(before, after, 1.0) == share


def test_a_kernel_without_these_files_keeps_nobody(tmp_path: Path) -> None:
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    (tmp_path / "7" / "stat").write_text("7 (a name) with ) in it) R 1 7 7")
    taken = take_sample(7, tmp_path)
    assert taken == Sample("R", {}, 0.0, 0.0)


def test_people_are_told_in_percent() -> None:
    told = describe(make("R", {1: 0.0}), make("R", {1: 0.5}, processor_s=0.25, memory_s=0.1), 1.0)
    assert told == "kept from running 50%, processors short 25%, memory short 10%"
