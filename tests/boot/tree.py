"""A small Debian tree with eomd in a venv, made with this machine's apt and pip and kept in .cache.

Machines share its /usr and /opt, read-only; `clone` gives each its own rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.commands import run
from tests.wheel import ROOT

CACHE = ROOT / ".cache/boot"
PACKAGES = "systemd,systemd-sysv,python3,python3-venv"
#: in the tree
VENV = "/opt/eomd"
#: folders that machines share
SHARED = ("usr", "opt")
APT = Path("/etc/apt")
DOWNLOAD_S_MAX = 900.0


@contextmanager
def open_tree(wheel: Path) -> Iterator[Path]:
    """Yield the tree with this wheel installed; another test run waits meanwhile."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
        tree = CACHE / suite
        _keep(tree, PACKAGES, lambda: _make_debian(tree, suite))
        needs = (ROOT / "setup.cfg").read_text(encoding="utf-8")
        _keep(tree / VENV[1:], needs, lambda: _make_venv(tree, wheel))
        shutil.copy(wheel, tree / "opt")
        _install(tree, "--no-deps", "--force-reinstall", f"/opt/{wheel.name}")
        yield tree


def _keep(folder: Path, facts: str, make: Callable[[], None]) -> None:
    """Make a folder anew unless it was made of the same facts."""
    stamp = folder / ".made-of"
    key = hashlib.sha256(facts.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != key:
        shutil.rmtree(folder, ignore_errors=True)
        make()
        stamp.write_text(key)


def _make_debian(tree: Path, suite: str) -> None:
    found = (APT / "sources.list", *sorted((APT / "sources.list.d").glob("*")))
    sources = [path for path in found if path.suffix in (".list", ".sources") and path.exists()]
    settings = [line for line in run("apt-config", "dump").splitlines() if line.startswith("Acquire::")]
    flags = ["--quiet", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io"]
    flags += [f"--include={PACKAGES}", *(f"--aptopt={line}" for line in settings)]
    run("mmdebstrap", *flags, suite, tree, *sources, deadline_s=DOWNLOAD_S_MAX)


def _make_venv(tree: Path, wheel: Path) -> None:
    """Bring along all that eomd needs, from wherever pip gets it on this machine."""
    run("chroot", tree, "python3", "-m", "venv", VENV)
    # pip runs out here, where it knows its way, for the Python in there
    pip = (sys.executable, "-m", "pip", "--quiet", "--quiet", "--python", tree / "usr/bin/python3")
    wheels = tree / "opt/wheels"
    run(*pip, "wheel", "--wheel-dir", wheels, wheel, deadline_s=DOWNLOAD_S_MAX)
    _install(tree, "--find-links", "/opt/wheels", "eomd")
    shutil.rmtree(wheels)


def _install(tree: Path, *words: str) -> None:
    run("chroot", tree, f"{VENV}/bin/pip", "--quiet", "install", "--no-index", *words, deadline_s=300)


def clone(tree: Path, root: Path) -> None:
    """Make a machine's own part of the tree."""
    root.mkdir()
    for entry in tree.iterdir():
        if entry.name not in SHARED:
            run("cp", "-a", "--reflink=auto", entry, root)
    # nspawn looks for it before it lays anything below
    (root / "usr/lib").mkdir(parents=True)
    shutil.copy(tree / "usr/lib/os-release", root / "usr/lib")
    shutil.copytree(tree / "usr/local", root / "usr-local", symlinks=True)
    (root / "var/log/journal").mkdir(exist_ok=True)


def binds(tree: Path, root: Path) -> list[str]:
    """Return the flags that lay the shared part below a machine."""
    shared = [f"--bind-ro={tree / name}:/{name}" for name in SHARED]
    return [*shared, f"--bind={root / 'usr-local'}:/usr/local"]
