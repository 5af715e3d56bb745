"""What keeps a process from running: read from /proc, compared over a while.

The run queue of its threads (schedstat), an uninterruptible wait, the machine's stall information (PSI). A
process that sleeps is kept by nothing: what it waits for is its own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Sample:
    """A process and its machine at one moment."""

    #: of the main thread, the kernel's letter: R runs, S sleeps, D waits for a device, T is stopped
    letter: str
    #: thread → seconds it has spent in the run queue; empty where the kernel does not count
    queued_s: Mapping[int, float]
    #: seconds in which some task of the machine waited for a processor
    processor_s: float
    #: seconds in which all of its tasks waited for memory
    memory_s: float

    @property
    def stopped(self) -> bool:
        return self.letter in "Tt"


def take_sample(pid: int, proc: Path = _PROC) -> Sample | None:
    """Return how the process is; None where it is gone."""
    try:
        stat = (proc / str(pid) / "stat").read_text(errors="replace")
        tasks = [int(path.name) for path in (proc / str(pid) / "task").iterdir()]
    except OSError:
        return None
    return Sample(
        letter=stat.rpartition(")")[2].split()[0],
        queued_s=_read_queued(proc / str(pid) / "task", tasks),
        processor_s=_read_stalled(proc / "pressure/cpu", "some"),
        memory_s=_read_stalled(proc / "pressure/memory", "full"),
    )


def _read_queued(folder: Path, tasks: list[int]) -> dict[int, float]:
    queued: dict[int, float] = {}
    for task in tasks:
        try:
            queued[task] = int((folder / str(task) / "schedstat").read_text().split()[1]) / 1e9
        except (OSError, LookupError):
            continue
    return queued


def _read_stalled(path: Path, kind: str) -> float:
    """Return the total of a line such as `full avg10=0.00 avg60=0.00 … total=1234`; 0 without it."""
    try:
        for line in path.read_text().splitlines():
            word, *_, total = line.split()
            if word == kind:
                return int(total.removeprefix("total=")) / 1e6
    except (OSError, ValueError):
        pass
    return 0.0


def kept_share(before: Sample, after: Sample, elapsed_s: float) -> float:
    """Return the share of the time between two samples in which the process could not run: 0 … 1."""
    if after.letter == "D":
        return 1.0
    if after.queued_s:
        waited_s = max(after.queued_s[task] - before.queued_s.get(task, 0.0) for task in after.queued_s)
    else:
        # nobody counts whose wait it was
        waited_s = after.processor_s - before.processor_s if after.letter == "R" else 0.0
    if after.letter == "R":
        waited_s = max(waited_s, after.memory_s - before.memory_s)
    return min(1.0, max(0.0, waited_s / elapsed_s)) if elapsed_s > 0 else 0.0


def describe(before: Sample, after: Sample, elapsed_s: float) -> str:
    """Return the same for people."""
    processor, memory = (
        min(1.0, max(0.0, (late - early) / elapsed_s)) if elapsed_s > 0 else 0.0
        for early, late in ((before.processor_s, after.processor_s), (before.memory_s, after.memory_s))
    )
    kept = kept_share(before, after, elapsed_s)
    return f"kept from running {kept:.0%}, processors short {processor:.0%}, memory short {memory:.0%}"
