"""What the configuration lets operations do: one record that all of them read at each use, so that a reload
takes effect at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from eomd.operations.approval import ApprovalRules
from eomd.operations.brake import BrakeLimits
from eomd.storage.csv_reader import ReadLimits


@dataclass(slots=True)
class Rules:
    """Shared by all parts of the operations room; only `become` changes it."""

    #: of a file handed in
    read: ReadLimits
    #: waiting operations; one more is refused
    queued_operations_max: int
    #: operations pause below so much free space, hand-ins are refused below twice that
    min_free_mb: int
    #: EIDs that are not listed for a cluster that has any listed
    refuse_unknown_eids: bool
    #: sources and results are kept so long; 0: for good
    files_days: int
    #: logs are kept so long; 0: for good
    log_days: int
    #: of one file handed in
    upload_bytes_max: int
    #: where files are dropped
    inbox: Path
    #: a modify that changes what another one of late has changed needs `confirm_repeat`
    refuse_repeats: bool
    #: which modifies need a second person
    approval: ApprovalRules
    #: of a modify that does not say how many
    canary_rows: int
    #: by cluster; `brake` is for the others
    brakes: Mapping[str, BrakeLimits]
    brake: BrakeLimits
    #: whether dropped files are taken
    inbox_enabled: bool = True
    #: by folder of the inbox: what its files are handed in with, ready for JSON
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def brake_of(self, cluster: str) -> BrakeLimits:
        return self.brakes.get(cluster, self.brake)

    def become(self, other: Rules) -> None:
        """Take over every rule of another record."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
