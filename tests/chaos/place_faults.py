"""Faults of the place eomd lives in: disk, inbox, configuration, clock."""

from __future__ import annotations

from eomd.watchdog.kinds import Kind
from tests.chaos.disk import may_mount
from tests.chaos.fault import Fault, IncidentFault
from tests.chaos.system import MIN_FREE_MB, System


class _DiskFault(IncidentFault):
    subject = "disk"
    kinds: tuple[str, ...] = (Kind.DISK_LOW,)
    left_mb: float

    @staticmethod
    def possible(system: System) -> bool:
        return may_mount()

    def begin(self) -> None:
        self.system.disk.shrink(self.left_mb)

    def heal(self) -> None:
        self.system.disk.grow()

    def healed(self) -> bool:
        return self.system.eyes.serves() and self.closed()


class DiskShort(_DiskFault):
    name = "disk short"
    left_mb = MIN_FREE_MB / 2


class DiskFull(_DiskFault):
    """Not a byte is left: what cannot be written down waits."""

    name = "disk full"
    silent = True
    left_mb = 0.0


class ConfigurationBroken(IncidentFault):
    """Broken where it is read again: the last good one stays."""

    name = "configuration broken"
    subject = "configuration"
    kinds = (Kind.CONFIGURATION,)

    def begin(self) -> None:
        self.system.write_config(extra="[sever]\nlisten = 1")
        self.system.reload()

    def heal(self) -> None:
        self.system.write_config()
        self.system.reload()

    def healed(self) -> bool:
        return self.system.eyes.serves() and self.closed()


class ClusterFileBroken(IncidentFault):
    """A file of clusters.d that is wrong: the cluster stays as it was."""

    name = "clusters.d file broken"
    subject = "late"
    kinds = (Kind.CONFIGURATION,)

    def begin(self) -> None:
        self.system.write_late(extra="rows_per_s = -1\n")

    def heal(self) -> None:
        self.system.write_late()

    def healed(self) -> bool:
        return self.closed() and _knows_late(self)


class ClusterFileRemoved(Fault):
    """Takes effect by itself, both ways; nothing is wrong."""

    name = "clusters.d file removed"
    subject = "late"

    def inject(self) -> None:
        self.system.late.unlink()

    def noticed(self) -> bool:
        return self.system.eyes.ask("/clusters") is not None and not _knows_late(self)

    def heal(self) -> None:
        self.system.write_late()

    def healed(self) -> bool:
        return _knows_late(self)


def _knows_late(fault: Fault) -> bool:
    return any(cluster["name"] == "late" for cluster in fault.system.eyes.ask("/clusters") or [])


class ClockJumped(IncidentFault):
    name = "clock jumped"
    subject = "clock"
    kinds = (Kind.CLOCK_JUMPED,)

    @staticmethod
    def possible(system: System) -> bool:
        return system.clock.can_jump

    def begin(self) -> None:
        self.system.clock.shift(self.random.choice([-3600, -60, 60, 86_400]))

    def heal(self) -> None:
        self.system.clock.shift(0)

    def healed(self) -> bool:
        return self.system.eyes.serves()


class Burst(Fault):
    """Many files at once; noticed when all are claimed, got over when all are answered."""

    name = "files dropped at once"
    subject = "inbox"
    passing = True

    def inject(self) -> None:
        self._names = [asked.name for asked in self.system.drop_burst()]

    def noticed(self) -> bool:
        left = {path.name for path in self.system.inbox.iterdir()}
        return left.isdisjoint(self._names)

    def healed(self) -> bool:
        answered = {path.name for path in self.system.outbox.glob("*")}
        return all(f"{name.removesuffix('.csv')}-result.csv" in answered for name in self._names)
