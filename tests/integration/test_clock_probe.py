"""Noticing that the clock was set: with clocks in the test's hand, and with a whole process's clock moved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eomd.model import Severity
from eomd.watchdog.clock_probe import ClockProbe
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents

#: where Debian's libfaketime lies
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class Clocks:
    wall_s = 1_750_000_000.0
    steady_s = 50.0

    def go_on(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


@pytest.fixture
def incidents(tmp_path: Path) -> Incidents:
    return Incidents(IncidentFiles(tmp_path, tmp_path / "spool"))


@pytest.mark.parametrize(
    ("jump_s", "summary"),
    [(3600.0, "set forward by 3600.0 s"), (-90.5, "set back by 90.5 s"), (1.0, "set forward by 1.0 s")],
)
def test_a_jump_is_an_incident_that_is_over_at_once(
    incidents: Incidents, jump_s: float, summary: str
) -> None:
    clocks = Clocks()
    probe = ClockProbe(incidents, lambda: clocks.wall_s, lambda: clocks.steady_s)
    clocks.go_on(2.0)
    probe.look()
    assert incidents.recent(5) == []
    clocks.wall_s += jump_s
    for _ in range(3):
        clocks.go_on(2.0)
        probe.look()
    [incident] = incidents.recent(5)
    assert (incident.kind, incident.severity) == ("clock_jumped", Severity.NOTICE)
    assert summary in incident.summary
    assert incidents.open_now == []


def test_a_clock_that_is_slewed_and_a_watchdog_that_was_held_up_are_no_jumps(incidents: Incidents) -> None:
    clocks = Clocks()
    probe = ClockProbe(incidents, lambda: clocks.wall_s, lambda: clocks.steady_s)
    for seconds in (2.0, 500.0, 2.0):
        clocks.go_on(seconds)
        clocks.wall_s += 0.5
        probe.look()
    assert incidents.recent(5) == []


_SCRIPT = """
import sys
from pathlib import Path
from eomd.watchdog.clock_probe import ClockProbe
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents
folder = Path(sys.argv[1])
incidents = Incidents(IncidentFiles(folder, folder / "spool"))
probe = ClockProbe(incidents)
for line in sys.stdin:
    probe.look()
    print([incident.summary for incident in incidents.recent(5)], flush=True)
"""


def test_the_machines_clock_is_seen_to_jump(tmp_path: Path) -> None:
    assert FAKETIME, "no libfaketime here: run `apt-get install faketime`"
    moved = tmp_path / "moved"
    moved.write_text("+0")
    environ = {
        **os.environ,
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(moved),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
        text=True,
    )

    def look() -> str:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("look\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        assert look() == "[]"
        moved.write_text("+3600")
        assert look() == "['the clock was set forward by 3600.0 s']"
        moved.write_text("-100")
        assert "the clock was set back by 3700.0 s" in look()
    finally:
        process.communicate()
