"""One run from its start to the proof."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from eomd.inbox_layout import REFUSED, parse_taken
from eomd.model import ENDED
from tests.chaos.catalogue import FAULTS
from tests.chaos.complaints import Complaints
from tests.chaos.customers import Customers
from tests.chaos.disk import may_mount
from tests.chaos.dropper import Dropper
from tests.chaos.inquest import Inquest, read_rows
from tests.chaos.leftovers import check_ended, check_running, count_descriptors
from tests.chaos.plan import draw_acts
from tests.chaos.record import format_table
from tests.chaos.stage import Stage
from tests.chaos.system import System
from tests.world import wait_until

#: after the last fault everything that was handed in has to end within this
DRAIN_S_MAX = 300.0


class Run:
    """The system, those who use it, and those who break it. Everything is taken down at the end of `with`."""

    def __init__(
        self, folder: Path, seed: int, names: Sequence[str], burst: int, complaints: Complaints
    ) -> None:
        self._folder, self._complaints = folder, complaints
        self._began_s = time.monotonic()
        self.system = System(folder, seed, complaints)
        self._faults = [fault for fault in FAULTS if fault.name in names and fault.possible(self.system)]
        self._customers = Customers(self.system.client, folder / "sources", seed, complaints)
        self._dropper = Dropper(self.system.inbox, self.system.disk, seed, complaints)
        self.system.drop_burst = lambda: self._dropper.burst(burst)
        self._stage = Stage(self.system, complaints, self._say)

    def __enter__(self) -> Run:
        try:
            self._say_what_is_left_out()
            self.system.start()
        except BaseException:
            self.save()
            self.system.close()
            raise
        self._descriptors = count_descriptors(self.system)
        self._customers.start()
        self._dropper.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.system.close()
        self.system.disk.close()

    def play(self, random: Random, until_s: float) -> None:
        """Play acts until the time is over or something has gone wrong."""
        for act in draw_acts(random, len(self._faults)):
            if time.monotonic() >= until_s or self._complaints:
                return
            self._stage.play([(entry, self._faults[entry.fault]) for entry in act])

    def end(self) -> None:
        """Let everything that was handed in end, hold the inquest, stop the service, print the table."""
        self._say("all faults are healed: waiting for what was handed in")
        self._dropper.close()
        self._customers.close(DRAIN_S_MAX)
        if not self._complaints:
            self._wait_for_the_inbox()
            self._wait_for_the_ledger()
        if not self._complaints:
            self._hold_inquest()
        self.system.unit.stop()
        for complaint in check_ended(self.system):
            self._complaints.add(complaint)
        print(format_table([fault.name for fault in self._faults], self._stage.records))

    def _wait_for_the_inbox(self) -> None:
        """Wait until each dropped file has a result or a list of problems."""
        try:
            wait_until(lambda: not self._unanswered(), "an answer to each dropped file", DRAIN_S_MAX)
        except AssertionError as error:
            self._complaints.add(f"{error}: {sorted(self._unanswered())[:5]}")

    def _wait_for_the_ledger(self) -> None:
        """Wait until the ledger has heard of every end: it is told after the files are written."""
        try:
            wait_until(lambda: not self._unended(), "the ledger to know of every end", DRAIN_S_MAX)
        except AssertionError as error:
            self._complaints.add(f"{error}: {self._unended()[:5]}")

    def _unended(self) -> list[int]:
        return [row.id for row in read_rows(self.system) if row.state not in ENDED]

    def _unanswered(self) -> set[str]:
        results = {path.name for path in self.system.outbox.glob("*-result.csv")}
        refused = {parse_taken(path.name) for path in (self.system.inbox / REFUSED).glob("*.csv")}
        names = {asked.name for asked in self._dropper.dropped} - refused
        return {name for name in names if f"{name.removesuffix('.csv')}-result.csv" not in results}

    def _hold_inquest(self) -> None:
        self._say("everything has ended: holding the inquest")
        inquest = Inquest(self.system, self._customers.handed_in, self._dropper.dropped)
        for complaint in [*inquest.complaints(), *check_running(self.system, self._descriptors)]:
            self._complaints.add(complaint)
        handed_in, dropped = len(self._customers.handed_in), len(self._dropper.dropped)
        rows = ", ".join(f"{count:,} {status}" for status, count in inquest.statuses.most_common())
        print(f"{handed_in} hand-ins over HTTP, {dropped} dropped files; rows: {rows}")
        print("requests: " + ", ".join(f"{n:,} {what}" for what, n in sorted(self._customers.counts.items())))
        print(f"the watchdog was started again {self.system.unit.restarts} times")

    def save(self) -> None:
        """Bring what lies on the small disk to where it stays."""
        if may_mount():
            self.system.unit.close()
            shutil.copytree(self.system.data, self._folder / "data", ignore_dangling_symlinks=True)

    def _say_what_is_left_out(self) -> None:
        if not may_mount():
            self._say("left out: disk short, disk full (no namespaces here to mount a small disk in)")
        if not self.system.clock.can_jump:
            self._say("left out: clock jumped (no libfaketime here)")

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began_s:7.1f} s  {what}", flush=True)
