"""Measure what a fault costs under eomd's watchdog, beside supervisord and circus, and print tables.

    python bench/supervision.py [--times 5] [--files 50000] [--only kept|system|inbox]

supervisord and circus come from PyPI into an environment that is thrown away. Each keeps a bare Tornado page
alive, and then `eomd serve`. A client asks all the while, each time over a connection of its own; refused
connections are counted. Figures are seconds, median and worst, unless they say otherwise.
"""

from __future__ import annotations

import argparse
import http.client
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from threading import Event, Thread

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.keepers import (
    Circus,
    CircusEomd,
    CircusSocket,
    EomdStandby,
    EomdUp,
    Keeper,
    Supervisord,
    SupervisordEomd,
    make_venv,
)
from bench.whole_system import measure_inbox, measure_system
from tests.world import wait_until

#: a process that nobody has put down this long after it froze stays frozen
FREEZE_S_MAX = 15.0
IDLE_S = 20.0
#: between two calls of the client
CALL_PAUSE_S = 0.005
#: before the next fault, so that nobody takes it for a crash loop
REST_S = 3.0
HEADER = ("kept by", "noticed", "serving", "refused", "noticed", "serving", "refused", "% of a core", "MB")


class Caller(Thread):
    """Asks again and again, and remembers when an answer came and how often nobody was there."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(daemon=True)
        self._port, self._path = port, path
        self._done = Event()
        self.refused = 0
        #: when the request began that was answered last
        self.answered_s = 0.0

    def run(self) -> None:
        while not self._done.wait(CALL_PAUSE_S):
            began_s = time.monotonic()
            with suppress(OSError, http.client.HTTPException):
                if self._ask():
                    self.answered_s = began_s

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _ask(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", self._path)
            return connection.getresponse().status == 200
        except ConnectionRefusedError:
            self.refused += 1
            return False
        finally:
            connection.close()


class Measured:
    """What one kind of fault took, each time it was put on."""

    def __init__(self) -> None:
        self.noticed_s: list[float] = []
        self.serving_s: list[float] = []
        self.refused: list[int] = []

    def format(self) -> tuple[str, str, str]:
        if not self.serving_s:
            return "never", "never", "–"
        return format_seconds(self.noticed_s), format_seconds(self.serving_s), f"{median(self.refused):.0f}"


def format_seconds(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.2f} {max(seconds):.2f}"


@contextmanager
def calling(keeper: Keeper) -> Iterator[Caller]:
    """Yield a client that has been answered."""
    caller = Caller(keeper.port, keeper.path)
    caller.start()
    try:
        wait_until(lambda: caller.answered_s, f"{keeper.name}: an answer")
        yield caller
    finally:
        caller.stop()


def strike(keeper: Keeper, caller: Caller, number: int, measured: Measured) -> bool:
    """Send the kept process a signal and measure until another one answers; False where none comes."""
    former = wait_until(keeper.kept, f"{keeper.name} keeps something")
    refused, struck_s = caller.refused, time.monotonic()
    former.send_signal(number)
    try:
        # gone and waited for: its keeper has seen its end
        wait_until(lambda: not psutil.pid_exists(former.pid), "the end of the former", FREEZE_S_MAX)
    except AssertionError:
        former.send_signal(signal.SIGCONT)
        return False
    measured.noticed_s.append(time.monotonic() - struck_s)
    wait_until(lambda: caller.answered_s > struck_s, "an answer by another")
    wait_until(keeper.kept, "another")
    measured.serving_s.append(time.monotonic() - struck_s)
    measured.refused.append(caller.refused - refused)
    select.select([], [], [], REST_S)
    return True


def measure_idle(keeper: Keeper) -> tuple[float, float]:
    """Return (share of a core, MB) of the keeper itself, the kept process left out."""
    processes = keeper.own()
    before = [sum(process.cpu_times()[:2]) for process in processes]
    select.select([], [], [], IDLE_S)
    used_s = sum(sum(p.cpu_times()[:2]) - s for p, s in zip(processes, before, strict=True))
    return used_s / IDLE_S, sum(p.memory_info().rss for p in processes) / 2**20


def measure(keeper: Keeper, times: int) -> list[str]:
    """Return the keeper's line of the table."""
    killed, frozen = Measured(), Measured()
    keeper.start()
    try:
        with calling(keeper) as caller:
            select.select([], [], [], REST_S)
            for _ in range(times):
                strike(keeper, caller, signal.SIGKILL, killed)
            for _ in range(times):
                if not strike(keeper, caller, signal.SIGSTOP, frozen):
                    break
        share, megabytes = measure_idle(keeper)
    finally:
        keeper.stop()
    return [keeper.name, *killed.format(), *frozen.format(), f"{share:.2%}", f"{megabytes:.0f}"]


def print_line(cells: Sequence[str]) -> None:
    first, *others = cells
    print(f"{first:<32}" + "".join(f"{cell:>12}" for cell in others), flush=True)


def measure_kept(folder: Path, times: int) -> None:
    """Print the table of all keepers."""
    programs = make_venv(folder / "venv")
    print(f"{'':<32}{'killed -9':^36}{'frozen':^36}{'idle':^24}")
    print_line(HEADER)
    makers: list[Callable[[Path], Keeper]] = [
        lambda place: Supervisord(place, programs),
        lambda place: Circus(place, programs),
        lambda place: CircusSocket(place, programs),
        lambda place: SupervisordEomd(place, programs),
        lambda place: CircusEomd(place, programs),
        EomdUp,
        EomdStandby,
    ]
    for number, make in enumerate(makers):
        print_line(measure(make(folder / f"{number}"), times))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--times", type=int, default=5, help="each fault, the median and the worst are printed"
    )
    parser.add_argument("--files", type=int, default=50_000, help="dropped into the inbox at once")
    parser.add_argument("--only", choices=["kept", "system", "inbox"])
    options = parser.parse_args(arguments)
    os.chdir(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory(prefix="eomd-bench-") as folder:
        parts: dict[str, Callable[[], None]] = {
            "kept": lambda: measure_kept(Path(folder), options.times),
            "system": lambda: measure_system(Path(folder) / "system", options.times),
            "inbox": lambda: measure_inbox(options.files),
        }
        for name in [options.only] if options.only else parts:
            parts[name]()


if __name__ == "__main__":
    main()
