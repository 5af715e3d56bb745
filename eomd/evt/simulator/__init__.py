"""A simulated EVT/1 cluster: nodes that share one set of counters kept on disk, with faults to order."""

from eomd.evt.simulator.cluster import SimulatedCluster
from eomd.evt.simulator.faults import Faults
from eomd.evt.simulator.journal import JournalBlock, read_journal
from eomd.evt.simulator.settings import Counter, SimulatorSettings, UserRange

__all__ = [
    "Counter",
    "Faults",
    "JournalBlock",
    "SimulatedCluster",
    "SimulatorSettings",
    "UserRange",
    "read_journal",
]
