"""Every fault there is."""

from __future__ import annotations

from tests.chaos.cluster_faults import (
    ClusterKilled,
    NodeCorrupting,
    NodeDown,
    NodeGarbling,
    NodeLosesAnswers,
    NodeMute,
    NodeOfAnother,
    NodeSlow,
)
from tests.chaos.fault import Fault
from tests.chaos.ledger_faults import LedgerCrowded, LedgerFrozen, LedgerKilled, LedgerReadOnly
from tests.chaos.place_faults import (
    Burst,
    ClockJumped,
    ClusterFileBroken,
    ClusterFileRemoved,
    ConfigurationBroken,
    DiskFull,
    DiskShort,
)
from tests.chaos.process_faults import Restarted, ServerFrozen, ServerKilled, WatchdogFrozen, WatchdogKilled

#: in the table's order
FAULTS: tuple[type[Fault], ...] = (
    ServerKilled,
    ServerFrozen,
    WatchdogKilled,
    WatchdogFrozen,
    Restarted,
    NodeDown,
    NodeMute,
    NodeSlow,
    NodeCorrupting,
    NodeGarbling,
    NodeLosesAnswers,
    NodeOfAnother,
    ClusterKilled,
    LedgerKilled,
    LedgerFrozen,
    LedgerReadOnly,
    LedgerCrowded,
    DiskShort,
    DiskFull,
    Burst,
    ConfigurationBroken,
    ClusterFileBroken,
    ClusterFileRemoved,
    ClockJumped,
)
