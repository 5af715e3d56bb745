"""eomd as a service on a machine: configured, installed and asked from the machine's own command line."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.boot.machine import Machine
from tests.boot.tree import VENV
from tests.world import wait_until

EOMD = f"{VENV}/bin/eomd"
CONFIG = "/etc/eomd/eomd.toml"
UNIT = "eomd.service"
PORT = 8600

CLUSTER = """
[clusters.fish]
nodes = ["127.0.0.1:30717:4", "127.0.0.1:30718:4"]
rows_per_s = {rows_per_s}
"""
#: keeps its counters over power cuts, as a cluster elsewhere would
SIMULATOR = f"""
[Service]
ExecStart={EOMD} evtsim --listen 127.0.0.1:30717 --listen 127.0.0.1:30718 --state /var/lib/evtsim
Restart=always
[Install]
WantedBy=multi-user.target
"""


def configure(machine: Machine, text: str = "", *, rows_per_s: int = 0) -> None:
    """Write the configuration of a service with one cluster, and run that cluster."""
    machine.write(CONFIG, text + CLUSTER.format(rows_per_s=rows_per_s))
    machine.write("/etc/systemd/system/evtsim.service", SIMULATOR)
    machine.run("systemctl", "enable", "--now", "--quiet", "evtsim.service")


def install(machine: Machine) -> list[str]:
    """Return what `eomd install` says."""
    return machine.run(EOMD, "install").splitlines()


def show(machine: Machine, name: str, unit: str = UNIT) -> str:
    """Return a property of a unit."""
    return machine.run("systemctl", "show", "--value", f"--property={name}", unit).strip()


def main_pid(machine: Machine) -> int:
    """Return the watchdog's pid inside. Never 0, which would be whoever kills it."""
    return int(wait_until(lambda: int(show(machine, "MainPID")), "a main process"))


def serving_since(machine: Machine, after: float) -> float:
    """Wait until the service has become ready after this moment; return when (both monotonic, in s)."""

    def since() -> float | None:
        ready = int(show(machine, "ActiveEnterTimestampMonotonic")) / 1e6
        return ready if ready > after and show(machine, "ActiveState") == "active" else None

    return float(wait_until(since, "the service is ready again"))


def own_start_s(machine: Machine) -> float:
    """Return what the service's last start took, from systemd's order to ready."""
    ready = int(show(machine, "ActiveEnterTimestampMonotonic"))
    return (ready - int(show(machine, "InactiveExitTimestampMonotonic"))) / 1e6


def health(machine: Machine) -> str:
    """Return what `eomd status` says first, or why it cannot."""
    done = machine.try_run("eomd", "status")
    return (done.stdout or done.stderr).partition("\n")[0].partition("  ")[0]


def operations(machine: Machine) -> list[dict[str, Any]]:
    """Return all operations; none while the server does not answer."""
    done = machine.try_run("eomd", "operations", "list", "--json")
    items: list[dict[str, Any]] = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    return items


def now() -> float:
    """Return the time that systemd's monotonic stamps are of."""
    return time.monotonic()
