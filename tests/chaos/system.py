"""The whole system under test: a disk, a database, clusters, a clock, and `eomd up` under a systemd."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eomd.runtime import remove_runtime_folder, runtime_folder
from tests.chaos.clock import Clock
from tests.chaos.clusters import SPECS, Cluster, cluster_table
from tests.chaos.complaints import Complaints
from tests.chaos.disk import Disk
from tests.chaos.eyes import Eyes
from tests.chaos.hand_ins import HandIn
from tests.chaos.systemd import Unit, UnitSettings
from tests.mariadb import MariaDb
from tests.world import Client, wait_until

ROOT = Path(__file__).parents[2]
MIN_FREE_MB = 32
#: who eomd is to the database: read_only holds for it, and the last connection is not for it
USER = "eomd"


class System:
    """Made and started once; every part of it may be broken and mended by whoever holds it."""

    def __init__(self, folder: Path, seed: int, complaints: Complaints) -> None:
        self.folder, self.complaints = folder, complaints
        self.disk = Disk(folder / "disk")
        self.data = self.disk.folder / "data"
        self.config = folder / "eomd.toml"
        self.clock = Clock(folder)
        self.mariadb = MariaDb(folder / "mariadb")
        self.clusters: Mapping[str, Cluster] = {
            spec.name: Cluster(spec, folder, seed + place) for place, spec in enumerate(SPECS)
        }
        self.unit = self._make_unit()
        self.client = Client(self.unit.port)
        self.runtime = runtime_folder(self.data, os.environ)
        self.eyes = Eyes(self.data, self.runtime, self.client)
        #: drops many files at once and returns them; whoever drops says how
        self.drop_burst: Callable[[], Sequence[HandIn]] = list

    @property
    def inbox(self) -> Path:
        return self.data / "inbox"

    @property
    def outbox(self) -> Path:
        return self.data / "outbox"

    @property
    def late(self) -> Path:
        """The file of the cluster that comes and goes."""
        return self.folder / "clusters.d" / "late.toml"

    def start(self) -> None:
        self.mariadb.start()
        self.database = self.mariadb.create_database()
        self.mariadb.execute(f"CREATE USER {USER}@'127.0.0.1'")
        self.mariadb.execute(f"GRANT ALL ON {self.database}.* TO {USER}@'127.0.0.1'")
        self.late.parent.mkdir()
        self.write_late()
        self.write_config()
        self.unit.start()
        wait_until(self.eyes.serves, "the server answers")
        wait_until(lambda: not self.eyes.troubles(), "all is well")

    def write_config(self, extra: str = "") -> None:
        """Write a good configuration, in one step as an editor does, with this behind it."""
        lines = [f'data_dir = "{self.data}"', "[server]", f'listen = "127.0.0.1:{self.unit.port}"']
        lines += ["[auth]", "enabled = false", "[ledger]", f'url = "{self._ledger_url()}"']
        lines += ["[limits]", f"min_free_mb = {MIN_FREE_MB}", "[inbox]", "enabled = true"]
        for cluster in list(self.clusters.values())[:-1]:
            lines += [f"[clusters.{cluster.name}]", _table_of(cluster)]
        _replace(self.config, "\n".join([*lines, extra, ""]))

    def write_late(self, extra: str = "") -> None:
        _replace(self.late, _table_of(self.clusters["late"]) + extra)

    def reload(self) -> None:
        """Have the configuration read again."""
        self.unit.signal(signal.SIGHUP)

    def _ledger_url(self) -> str:
        return self.mariadb.url(self.database, USER)

    def _make_unit(self) -> Unit:
        command = [sys.executable, "-m", "eomd", "up", "-c", str(self.config)]
        settings = UnitSettings.read(ROOT / "etc" / "systemd" / "eomd.service")
        # whatever is installed: the eomd of this checkout
        environ = {**os.environ, **self.clock.environ, "PYTHONPATH": str(ROOT)}
        return Unit(command, environ, self.folder, settings, self.complaints)

    def close(self) -> None:
        """Kill what still runs, and clear up for it; the folder stays."""
        self.unit.close()
        for cluster in self.clusters.values():
            cluster.simulation.destroy()
        self.mariadb.kill()
        remove_runtime_folder(self.runtime)


def _table_of(cluster: Cluster) -> str:
    return cluster_table(cluster.spec, [cluster.address(node) for node in range(cluster.spec.nodes)])


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)
