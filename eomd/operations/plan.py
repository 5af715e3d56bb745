"""The plan that a dry run leaves: digests of all it was made from, so that commit carries out exactly that.

The plan's rows are the dry run's rows and its result; what is kept here tells whether they, the order, the
cluster's settings and the counters' limits are still the same. No decisions. Blocks on the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from eomd.durable import write_atomically
from eomd.evt.settings import ClusterSettings
from eomd.model import EidDefinition, Order

FORMAT = 1
#: the parts of a plan, as people are told which of them has changed
PARTS = {
    "source": "its source",
    "rows": "its rows",
    "result": "its result",
    "order": "what was asked for",
    "cluster": "the cluster's configuration",
    "limits": "the counters' limits",
}


#: in the place of a digest: no plan can be made good that was made from two of these
MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Plan:
    """SHA-256, in hex, of each of PARTS."""

    digests: Mapping[str, str]

    @property
    def hash(self) -> str:
        """One for all of them."""
        return _digest({"format": FORMAT, **self.digests})

    def under(self, conditions: Conditions) -> Plan:
        """Return the plan as its dry run went, whatever has changed since it began."""
        return Plan({**self.digests, **conditions.digests})

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps({"format": FORMAT, **self.digests}).encode())

    @classmethod
    def load(cls, path: Path) -> Plan | None:
        """Return a plan as it was saved; None where there is none that this version understands."""
        try:
            fields = json.loads(path.read_bytes())
            known = fields.pop("format") == FORMAT and fields.keys() == PARTS.keys()
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return cls(fields) if known else None

    def changed(self, now: Plan) -> list[str]:
        """Say in words what is not as it was."""
        return [words for part, words in PARTS.items() if self.digests[part] != now.digests[part]]


class Conditions:
    """What a dry run goes by from its first row to its last, restarts too; what changes on the way shows."""

    def __init__(self, order: Order, kept: Mapping[str, str]) -> None:
        self._order = order
        self._settings: ClusterSettings | None = None
        self._limits: dict[str, object] | None = None
        #: of `cluster` and `limits` once they are known: as they were at first, MOVED once they were not
        self.digests = dict(kept)

    def see(self, settings: ClusterSettings, definitions: Mapping[int, EidDefinition]) -> None:
        """Rows are read from a cluster of these settings, and held against these limits."""
        if settings is not self._settings:
            self._settings = settings
            self._keep("cluster", _digest(_spell(settings)))
        limits = _limits_of(self._order, definitions)
        if limits != self._limits:
            self._limits = limits
            self._keep("limits", _digest(limits))

    def _keep(self, part: str, digest: str) -> None:
        if self.digests.setdefault(part, digest) != digest:
            self.digests[part] = MOVED


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan is made from, besides its cluster."""

    order: Order
    source: Path
    rows: Path
    result: Path

    def draw(self, settings: ClusterSettings, definitions: Mapping[int, EidDefinition]) -> Plan:
        """Return the plan as all of it is now. Raises OSError."""
        return Plan(
            {
                "source": _digest_file(self.source),
                "rows": _digest_file(self.rows),
                "result": _digest_file(self.result),
                "order": _digest(asdict(self.order)),
                "cluster": _digest(_spell(settings)),
                "limits": _digest(_limits_of(self.order, definitions)),
            }
        )


def _limits_of(order: Order, definitions: Mapping[int, EidDefinition]) -> dict[str, object]:
    return {str(eid): asdict(definitions[eid]) for eid in order.eids if eid in definitions}


def _spell(settings: ClusterSettings) -> dict[str, object]:
    """Spell out whom it means and how it is spoken to; its pace may change."""
    return {
        "name": settings.name,
        "nodes": [[str(node), node.connections] for node in settings.nodes],
        "codec": settings.codec.name,
        "origin": settings.origin.hex(),
        "reply_timeout_s": settings.reply_timeout_s,
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
