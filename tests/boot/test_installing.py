"""`eomd install` and `eomd uninstall` on machines with a systemd of their own."""

from __future__ import annotations

import pytest

from eomd.install.shipped import EXAMPLE, shipped
from tests.boot.machine import Machine
from tests.boot.service import (
    CONFIG,
    EOMD,
    PORT,
    UNIT,
    configure,
    health,
    install,
    main_pid,
    operations,
    show,
)
from tests.boot.tree import VENV

pytestmark = pytest.mark.boot

UNITS = "/etc/systemd/system"
ASK = """import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(s.recv(12).decode())"""
EVERYTHING = [
    "make user eomd",
    "make folder /etc/eomd",
    "make folder /etc/eomd/clusters.d",
    f"write {CONFIG}",
    "give folder /var/lib/eomd to eomd",
    f"link /usr/local/bin/eomd to {EOMD}",
    f"write {UNITS}/eomd.socket",
    f"write {UNITS}/eomd.socket.d/installed.conf",
    f"write {UNITS}/eomd.service",
    f"write {UNITS}/eomd.service.d/installed.conf",
    "have systemd read the units",
    "enable eomd.socket and eomd.service",
    "start eomd.service",
]


def refused(machine: Machine, *command: str) -> str:
    """Return the complaint of a command that changed nothing."""
    done = machine.try_run(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert not machine.path(f"{UNITS}/eomd.service").exists()
    return done.stderr


def test_a_machine_with_nothing_gets_everything_once(machine: Machine) -> None:
    assert machine.run(EOMD, "install", "--dry-run").splitlines() == EVERYTHING
    assert not machine.path(CONFIG).exists()
    assert install(machine) == [*EVERYTHING, f"eomd is up at 127.0.0.1:{PORT}: ok"]
    assert machine.path(CONFIG).read_bytes() == shipped(EXAMPLE).read_bytes()
    assert health(machine) == "eomd is ok"
    before = main_pid(machine)
    assert install(machine) == ["nothing to change", f"eomd is up at 127.0.0.1:{PORT}: ok"]
    assert main_pid(machine) == before
    owner = machine.run("stat", "--format=%U:%G %a", "/var/lib/eomd", "/run/eomd").splitlines()
    assert owner == ["eomd:eomd 750", "eomd:eomd 755"]
    assert machine.run("eomd", "check").splitlines()[-1] == "  cluster   none configured"


def test_it_refuses_in_one_line_where_it_may_not(machine: Machine) -> None:
    nobody = ("setpriv", "--reuid=65534", "--clear-groups")
    assert (
        refused(machine, *nobody, EOMD, "install") == f"eomd: eomd install needs root: sudo {EOMD} install\n"
    )
    without = ("unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs /run && exec {EOMD} install")
    complaint = "eomd: eomd install needs systemd, which does not run this machine; `eomd up` does without\n"
    assert refused(machine, *without) == complaint


def test_a_wrong_configuration_is_not_installed(machine: Machine) -> None:
    machine.write(CONFIG, "[sever]\n")
    complaint = f"eomd: {CONFIG} line 1: sever: unknown key; did you mean server?\n"
    assert refused(machine, EOMD, "install") == complaint
    machine.write(CONFIG, 'data_dir = "/home/eomd"\n')
    complaint = "eomd: /home/eomd cannot be seen by a service: choose another place\n"
    assert refused(machine, EOMD, "install") == complaint


def test_what_the_services_user_cannot_read_is_found_before_the_start(machine: Machine) -> None:
    machine.write(CONFIG, '[server]\ntls_cert = "/etc/eomd/tls"\ntls_key = "/etc/eomd/tls"\n')
    machine.write("/etc/eomd/tls", "")
    machine.path("/etc/eomd/tls").chmod(0o600)
    done = machine.try_run(EOMD, "install")
    assert done.returncode == 1
    assert done.stderr == (
        f"eomd: user eomd cannot run eomd with {CONFIG}:\n"
        "eomd: [server] tls_cert: cannot read /etc/eomd/tls\n"
        "eomd: [server] tls_key: cannot read /etc/eomd/tls\n"
    )
    assert machine.try_run("systemctl", "is-active", UNIT).stdout == "inactive\n"


def test_the_passwords_file_is_given_to_the_service_and_a_dead_ledger_is_told(machine: Machine) -> None:
    machine.write(CONFIG, '[ledger]\nurl = "mysql+pymysql://eomd@127.0.0.1/CVS"\npassword_file = "secret"\n')
    machine.write("/etc/eomd/secret", "word")
    machine.path("/etc/eomd/secret").chmod(0o600)
    done = machine.try_run(EOMD, "install")
    assert "give /etc/eomd/secret to eomd" in done.stdout.splitlines()
    assert machine.run("stat", "--format=%U %a", "/etc/eomd/secret") == "eomd 600\n"
    assert done.returncode == 1
    complaint = "eomd: the service runs, but has neither a ledger nor a cluster: eomd status says why\n"
    assert done.stderr == complaint


def test_other_places_are_used_and_a_persons_files_kept(machine: Machine) -> None:
    config = "/srv/my eomd/eomd.toml"
    machine.write(
        config,
        'data_dir = "data"\n[server]\nlisten = "eomd.example:80"\n[inbox]\npath = "/srv/drop here"\n'
        '[ledger]\nurl = "sqlite:////srv/books/50%.db"\n',
    )
    machine.write("/etc/hosts", "127.0.0.9 eomd.example\n")
    machine.write(f"{UNITS}/{UNIT}.d/override.conf", "[Service]\nEnvironment=PERSON=yes\n")
    before = machine.path(config).read_bytes()
    machine.run("mkdir", "-m", "777", "/srv/my eomd/data")
    said = machine.run(EOMD, "install", "-c", config).splitlines()
    assert said[-1] == "eomd is up at eomd.example:80: ok"
    assert machine.path(config).read_bytes() == before
    assert machine.path("/srv/my eomd/data/installation").exists()
    assert machine.path("/srv/books/50%.db").exists()
    owner = machine.run("stat", "--format=%U:%G %a", "/srv/drop here", "/srv/my eomd/data").splitlines()
    assert owner == ["eomd:eomd 2770", "eomd:eomd 750"]
    assert listening(machine) == ["127.0.0.9:80"]
    assert "PERSON=yes" in show(machine, "Environment")
    machine.run(EOMD, "uninstall", "-c", config)
    assert machine.path(f"{UNITS}/{UNIT}.d/override.conf").exists()


def test_a_changed_address_is_noticed_and_taken_over(machine: Machine) -> None:
    configure(machine)
    install(machine)
    configure(machine, '[server]\nlisten = "127.0.0.1:8601"\n')
    complaint = "note: [server] listen: systemd holds another port; run: eomd install"
    assert machine.run("eomd", "check").splitlines()[-1] == complaint
    said = install(machine)
    assert said == [
        f"write {UNITS}/eomd.socket.d/installed.conf",
        "have systemd read the units",
        "restart eomd.service",
        "eomd is up at 127.0.0.1:8601: ok",
    ]
    assert listening(machine) == ["127.0.0.1:8601"]
    assert "note:" not in machine.run("eomd", "check")


def test_a_path_to_listen_at_outlives_a_stop(machine: Machine) -> None:
    configure(machine, '[server]\nlisten = "unix:/run/eomd/http.sock"\n')
    install(machine)
    machine.run("systemctl", "stop", "--quiet", UNIT)
    # asking starts the service again
    assert machine.run(f"{VENV}/bin/python", "-c", ASK, "/run/eomd/http.sock") == "HTTP/1.1 200\n"


def listening(machine: Machine) -> list[str]:
    """Return where the socket unit listens."""
    return [line.split(" (")[0] for line in show(machine, "Listen", "eomd.socket").splitlines()]


def test_uninstall_keeps_what_is_a_persons(machine: Machine) -> None:
    configure(machine)
    install(machine)
    machine.write("/root/users.csv", "userid\n100000000\n")
    machine.run("eomd", "query", "/root/users.csv", "--cluster", "fish", "--eids", "1001")
    said = machine.run("eomd", "uninstall").splitlines()
    assert said == [
        "stop and disable eomd.service and eomd.socket",
        f"remove {UNITS}/eomd.service.d/installed.conf",
        f"remove {UNITS}/eomd.service",
        f"remove {UNITS}/eomd.socket.d/installed.conf",
        f"remove {UNITS}/eomd.socket",
        "have systemd forget the units",
        "remove /usr/local/bin/eomd",
        f"kept: {CONFIG}",
        "kept: /var/lib/eomd",
        "kept: the user eomd, whose files these are",
    ]
    left = machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "eomd*")
    assert left == ""
    assert [path.name for path in machine.path(UNITS).rglob("eomd*")] == []
    assert machine.run(EOMD, "uninstall").splitlines()[0] == "nothing to take away"
    install(machine)
    (operation,) = operations(machine)
    assert operation["state"] == "succeeded"
    assert VENV in machine.run("readlink", "/usr/local/bin/eomd")
