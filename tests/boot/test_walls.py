"""The service within the walls of its unit: what they keep in, and all that eomd does in spite of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from eomd.install.shipped import shipped
from tests.boot.machine import Machine
from tests.boot.service import CONFIG, UNIT, configure, health, install, operations
from tests.boot.tree import VENV
from tests.mariadb import MariaDb
from tests.world import free_port, wait_until

pytestmark = pytest.mark.boot

PASSWORD = "it's a secret"
#: in place of the service's own command; the walls stay
PROBE = f"""
[Service]
Type=oneshot
Sockets=
Restart=no
WatchdogSec=0
ExecReload=
ExecStart=
ExecStart={VENV}/bin/python /srv/probe.py
"""


def probe(machine: Machine, script: str) -> None:
    """Run this script as the service would; it fails by an exception."""
    name = "probe.service"
    machine.write("/srv/probe.py", script)
    machine.write(f"/etc/systemd/system/{name}", shipped(f"systemd/{UNIT}").read_text(encoding="utf-8"))
    machine.write(f"/etc/systemd/system/{name}.d/probe.conf", PROBE)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", name)


def test_what_eomd_does_passes_the_walls(machine: Machine) -> None:
    install(machine)
    probe(machine, Path(__file__).with_name("within_walls.py").read_text())


def test_what_eomd_does_not_do_is_refused(machine: Machine) -> None:
    install(machine)
    probe(machine, Path(__file__).with_name("against_walls.py").read_text())


def test_a_frozen_server_is_found_killed_and_replaced(machine: Machine) -> None:
    configure(machine)
    install(machine)
    machine.run("sh", "-c", f"kill -STOP $(systemctl show --property=ControlGroup --value {UNIT} | "
                "xargs -I G sed -n 2p /sys/fs/cgroup/G/cgroup.procs)")  # fmt: skip
    wait_until(lambda: "stuck" in machine.journal(f"--unit={UNIT}"), "the watchdog's notice")
    wait_until(lambda: health(machine) == "eomd is ok", "serving")
    assert int(machine.run("systemctl", "show", "--property=NRestarts", "--value", UNIT)) == 0


@pytest.mark.parametrize("way", ["tcp", "socket"])
def test_mariadb_is_reached_with_the_password_that_systemd_keeps(
    tree: Path, tmp_path: Path, mariadb: MariaDb, way: str
) -> None:
    database = mariadb.create_database()
    for host in ("127.0.0.1", "localhost"):
        mariadb.execute(f"CREATE OR REPLACE USER eomd@{host!r} IDENTIFIED BY %s", (PASSWORD,))
        mariadb.execute(f"GRANT ALL ON {database}.* TO eomd@{host!r}")
    url = f"mysql+pymysql://eomd@127.0.0.1:{mariadb.port}/{database}"
    if way == "socket":
        url = f"mysql+pymysql://eomd@localhost/{database}?unix_socket=/srv/mariadb.sock"
    bind = f"--bind={mariadb.folder / 's.sock'}:/srv/mariadb.sock"
    machine = Machine(tree, tmp_path, bind, network=True)
    try:
        machine.power_on()
        machine.write(CONFIG, f'[server]\nlisten = "127.0.0.1:{free_port()}"\n[ledger]\nurl = "{url}"\n')
        machine.write("/etc/credstore/eomd.ledger-password", PASSWORD)
        machine.path("/etc/credstore/eomd.ledger-password").chmod(0o600)
        install(machine)
        assert health(machine) == "eomd is ok"
        assert operations(machine) == []
        tables = {name for (name,) in mariadb.execute(f"SHOW TABLES FROM {database}")}
        assert "define_optgroup" in tables
        assert PASSWORD not in machine.journal("--lines=1000")
    finally:
        machine.destroy()
