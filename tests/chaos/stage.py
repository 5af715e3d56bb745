"""Plays the acts: puts faults on, waits until they are noticed, takes them off, waits until all is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from threading import Event, Lock, Thread

from tests.chaos.complaints import Complaints
from tests.chaos.fault import Fault
from tests.chaos.plan import Entry, settle
from tests.chaos.record import Record
from tests.chaos.system import System

#: a fault of an act, and what it is made by
Casting = tuple[Entry, type[Fault]]

#: between two looks
LOOK_S = 0.03
NOTICE_S_MAX, HEAL_S_MAX, WELL_S_MAX = 40.0, 120.0, 120.0


class Stage:
    """Plays one act after another."""

    def __init__(self, system: System, complaints: Complaints, say: Callable[[str], None]) -> None:
        self._system, self._complaints, self._say = system, complaints, say
        self._lock = Lock()
        self._never = Event()
        self.records: list[Record] = []

    def play(self, act: Sequence[Casting]) -> None:
        """Play the act until all is well again; those that cannot stand beside the others come after it."""
        while act and not self._complaints:
            drawn = [(entry, fault(self._system, Random(entry.seed))) for entry, fault in act]
            together = settle([fault.subject for _, fault in drawn])
            self._play_together([pair for pair, may in zip(drawn, together, strict=True) if may])
            act = [casting for casting, may in zip(act, together, strict=True) if not may]

    def _play_together(self, cast: Sequence[tuple[Entry, Fault]]) -> None:
        names = " + ".join(fault.name for _, fault in cast)
        self._say(names)
        threads = [
            Thread(target=self._guard, args=(entry, fault, len(cast) == 1), daemon=True)
            for entry, fault in cast
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not self._complaints and self._wait(lambda: not self._system.eyes.troubles(), WELL_S_MAX) is None:
            troubles = "; ".join(self._system.eyes.troubles())
            self._complaints.add(f"not well again {WELL_S_MAX:.0f} s after {names}: {troubles}")

    def _guard(self, entry: Entry, fault: Fault, alone: bool) -> None:
        try:
            self._go_through(entry, fault, alone)
        except Exception as error:
            self._complaints.add(f"the rig broke at {fault.name}: {error!r}")
            raise

    def _go_through(self, entry: Entry, fault: Fault, alone: bool) -> None:
        self._never.wait(entry.delay_s)
        begun_s = time.monotonic()
        fault.inject()
        noticed_s = None if fault.silent else self._wait(fault.noticed, NOTICE_S_MAX, begun_s)
        if noticed_s is None and not fault.silent and alone:
            self._complaints.add(
                f"{fault.name} ({fault.subject}) was not noticed within {NOTICE_S_MAX:.0f} s"
            )
        if not fault.passing:
            self._never.wait(entry.stay_s)
            begun_s = time.monotonic()
            fault.heal()
        healed_s = self._wait(fault.healed, HEAL_S_MAX, begun_s)
        if healed_s is None:
            self._complaints.add(f"{fault.name} ({fault.subject}) was not got over within {HEAL_S_MAX:.0f} s")
            return
        with self._lock:
            self.records.append(Record(fault.name, alone, noticed_s, healed_s))

    def _wait(
        self, condition: Callable[[], bool], seconds: float, since_s: float | None = None
    ) -> float | None:
        """Return the seconds since then until the condition held; None where it did not in time."""
        since_s = time.monotonic() if since_s is None else since_s
        while not condition():
            if time.monotonic() - since_s > seconds:
                return None
            self._never.wait(LOOK_S)
        return time.monotonic() - since_s
