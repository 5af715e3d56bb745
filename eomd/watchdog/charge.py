"""The charge: what the watchdog knows of the configuration.

Plain records, no pydantic: validation runs in a child process (`eomd charge`) and arrives here as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eomd.errors import EomdError
from eomd.model import NodeAddress


@dataclass(frozen=True, slots=True)
class WatchdogCharge:
    """The table `[watchdog]`."""

    heartbeat_s: float
    hang_after_s: float
    probe_s: float
    #: first pause, longest pause
    restart_backoff_s: tuple[float, float]
    rss_limit_mb: int
    standby: bool


@dataclass(frozen=True, slots=True)
class LedgerCharge:
    #: without a password; an SQLite path is absolute
    url: str
    #: holds the password alone; None: none, or see `password`
    password_file: Path | None
    #: only where it stands in the environment or in the configuration itself
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClusterCharge:
    name: str
    codec: str
    nodes: tuple[NodeAddress, ...]


@dataclass(frozen=True, slots=True)
class InboxCharge:
    """The table `[inbox]`."""

    #: absolute
    path: Path
    enabled: bool
    operatorid: int
    operatorname: str
    quiet_s: float
    #: recipe → the fields of a hand-in, as its table states them
    recipes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LogCharge:
    level: str
    format: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be kept running, and how."""

    #: the configuration file in use; None: the embedded default
    source: Path | None
    data_dir: Path
    #: where sockets and pid files stand
    runtime: Path
    #: `server.listen`
    listen: str
    tls_cert: str
    tls_key: str
    min_free_mb: int
    #: `retention.files_days`; 0: for good
    files_days: int
    watchdog: WatchdogCharge
    ledger: LedgerCharge
    clusters: tuple[ClusterCharge, ...]
    inbox: InboxCharge
    log: LogCharge

    @property
    def folder(self) -> Path:
        """The watchdog's own folder."""
        return self.data_dir / "watchdog"

    @property
    def clusters_folder(self) -> Path | None:
        return self.source.parent / "clusters.d" if self.source else None

    @property
    def secrets(self) -> list[str]:
        """What must not show in a log."""
        return [self.ledger.password] if self.ledger.password else []

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Charge:
        """Return what `to_json` wrote. Raises EomdError where another version of eomd has written it."""
        try:
            return cls._parse(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            # the package was replaced under a running watchdog
            raise EomdError(
                "the configuration was read by another version of eomd: restart the watchdog"
            ) from error

    @classmethod
    def _parse(cls, raw: Mapping[str, Any]) -> Charge:
        return cls(
            **{
                **raw,
                "source": _path(raw["source"]),
                "data_dir": Path(raw["data_dir"]),
                "runtime": Path(raw["runtime"]),
                "watchdog": _watchdog(raw["watchdog"]),
                "ledger": LedgerCharge(
                    **{**raw["ledger"], "password_file": _path(raw["ledger"]["password_file"])}
                ),
                "clusters": tuple(_cluster(cluster) for cluster in raw["clusters"]),
                "inbox": InboxCharge(**{**raw["inbox"], "path": Path(raw["inbox"]["path"])}),
                "log": LogCharge(**raw["log"]),
            }
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _watchdog(raw: Mapping[str, Any]) -> WatchdogCharge:
    first_s, longest_s = raw["restart_backoff_s"]
    return WatchdogCharge(**{**raw, "restart_backoff_s": (first_s, longest_s)})


def _cluster(raw: Mapping[str, Any]) -> ClusterCharge:
    return ClusterCharge(raw["name"], raw["codec"], tuple(NodeAddress(**node) for node in raw["nodes"]))
