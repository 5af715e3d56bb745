"""A machine that boots a real systemd, in systemd-nspawn; its power can be cut."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from tests.boot.tree import binds, clone
from tests.world import wait_until

BOOT_S_MAX = 180.0
COMMAND_S_MAX = 180.0
ENVIRONMENT = ("PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root")
#: nspawn's exit code when the machine has rebooted itself
REBOOTED = 133
#: what Debian boots with; on the older hierarchies systemd in a container does not hear of processes that end
CGROUPS = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
FLAGS = ("--boot", "--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off",
         "--timezone=off")  # fmt: skip
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
NEEDED = ("systemd-nspawn", "mmdebstrap", "nsenter")

#: of machines and cgroups; the test run's pid and a number follow
PREFIX = "eomd-boot"

_numbers = itertools.count(1)


def refuse_unless_possible() -> None:
    """Say what is missing where no machine can boot."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise RuntimeError(f"no {' and '.join(missing)} here: run scripts/test --boot, which installs them")
    if os.geteuid() != 0:
        raise RuntimeError("booting a machine needs root")
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"booting a machine needs namespaces, as of a privileged container: {done.stderr}")
    for folder in find_cgroups():
        if not os.access(folder, os.W_OK):
            raise RuntimeError(f"booting a machine needs {folder} writable, as in a privileged container")


def find_cgroups() -> list[Path]:
    """Return where cgroups are made: in the unified hierarchy, and in systemd's own where there is one."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 ") or "name=systemd" in kind:
            found.append(Path(place.split()[4]))
    if not found:
        raise RuntimeError("booting a machine needs cgroups: no hierarchy is mounted here")
    return found


def clear_up() -> None:
    """End the machines of test runs that were killed before they could."""
    for cgroup in (found for root in find_cgroups() for found in root.glob(f"{PREFIX}-*")):
        if not psutil.pid_exists(int(cgroup.name.removeprefix(f"{PREFIX}-").partition("-")[0])):
            # a folder that takes a moment longer is the next run's to remove
            _remove_cgroup(cgroup)


class Machine:
    """One machine, off until `power_on`. With a network of its own unless `network`."""

    def __init__(self, tree: Path, folder: Path, *flags: str, network: bool = False) -> None:
        self.name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self.root = folder / "root"
        self._console = folder / "console.log"
        clone(tree, self.root)
        own = [] if network else ["--private-network"]
        self._flags = [*FLAGS, *own, *flags, *binds(tree, self.root)]
        self._cgroups = [folder / self.name for folder in find_cgroups()]
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader: psutil.Process | None = None

    # --- power

    def power_on(self) -> None:
        """Boot, and wait until systemd has started all it wants to start."""
        for cgroup in self._cgroups:
            cgroup.mkdir(exist_ok=True)
        enter = "while [ $1 != -- ]; do echo 0 >$1/cgroup.procs; shift; done"
        command = ["systemd-nspawn", f"--machine={self.name}", f"--directory={self.root}", *self._flags]
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-ec", f'{enter}; shift; exec "$@"', "sh", *self._cgroups, "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, **CGROUPS},
                start_new_session=True,
            )
        wait_until(self._has_booted, f"{self.name} boots", BOOT_S_MAX)

    def _has_booted(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self._console.read_text(errors="replace")[-4000:]
        with suppress(psutil.NoSuchProcess):
            self._leader = next(iter(psutil.Process(self._nspawn.pid).children()), None)
            if self._leader is not None and self._leader.name() == "systemd":
                asked = self.try_run("systemctl", "is-system-running")
                return asked.stdout.strip() in ("running", "degraded")
        return False

    def cut_power(self) -> None:
        """Everything inside is gone at once, without a word; the disk keeps what was written."""
        assert self._leader is not None
        self._leader.send_signal(signal.SIGKILL)
        self._wait_for_end()

    def reboot(self) -> None:
        """Let the machine reboot itself, in good order."""
        self.try_run("systemctl", "reboot")
        assert self._wait_for_end() == REBOOTED
        self.power_on()

    def _wait_for_end(self) -> int:
        assert self._nspawn is not None
        code = self._nspawn.wait(BOOT_S_MAX)
        self._nspawn = self._leader = None
        return code

    def destroy(self) -> None:
        """Leave nothing behind: no process, no cgroup, no file."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            # never nspawn itself: the machine would run on without it
            for child in psutil.Process(self._nspawn.pid).children():
                child.kill()
            self._wait_for_end()
        for cgroup in self._cgroups:
            wait_until(lambda cgroup=cgroup: _remove_cgroup(cgroup), f"the end of {cgroup}")
        shutil.rmtree(self.root)

    # --- inside

    def _inside(self, *command: str) -> list[str]:
        assert self._leader is not None
        return ["nsenter", f"--target={self._leader.pid}", *NAMESPACES, "env", "-i", *ENVIRONMENT, *command]

    def try_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside as root, to whatever end."""
        return subprocess.run(
            self._inside(*command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )

    def run(self, *command: str) -> str:
        """Run a command inside as root; return what it prints. Where it fails the journal is told, too."""
        done = self.try_run(*command)
        said = f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, f"{said}\n{self.journal()}"
        return done.stdout

    def start(self, unit: str, *command: str) -> None:
        """Start a command inside as a unit of its own: what nsenter brings in would outlive a shutdown."""
        self.run("systemd-run", "--quiet", "--collect", f"--unit={unit}", *command)

    def start_beside(self, *command: str, cwd: Path) -> subprocess.Popen[str]:
        """Start a command of ours outside that sees the machine's network."""
        assert self._leader is not None
        enter = ["nsenter", f"--target={self._leader.pid}", "--net", "--"]
        return subprocess.Popen(
            [*enter, *command], cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def path(self, inside: str) -> Path:
        """Return where a file of the machine stands outside."""
        return self.root / inside.lstrip("/")

    def write(self, inside: str, text: str) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def journal(self, *words: str) -> str:
        return self.try_run("journalctl", "--no-pager", "--lines=80", *words).stdout


def _remove_cgroup(cgroup: Path) -> bool:
    """Remove it with all below it, deepest first; what still runs there is killed and may take a moment."""
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with suppress(OSError):
            # 0 stands for one that we cannot see, and to kill it is to kill ourselves
            for pid in filter(None, map(int, Path(folder, "cgroup.procs").read_text().split())):
                os.kill(pid, signal.SIGKILL)
            os.rmdir(folder)
    return not cgroup.exists()
