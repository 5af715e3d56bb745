"""The steps of an installation: each knows what it is for, whether it is done already, and how to do it."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eomd.durable import write_atomically
from eomd.errors import EomdError
from eomd.install.commands import run_well

USER = "eomd"
#: names an installation in its data folder, from its first start on
INSTALLATION = "installation"


@dataclass(frozen=True, slots=True)
class Step:
    #: as an order: `make folder /etc/eomd`
    what: str
    is_done: Callable[[], bool]
    do: Callable[[], None]


def carry_out(steps: Iterable[Step], say: Callable[[str], None], *, dry_run: bool = False) -> int:
    """Do what is not done yet, telling each; return how much that was. Raises EomdError, OSError."""
    count = 0
    for step in steps:
        if not step.is_done():
            say(step.what)
            count += 1
            if not dry_run:
                step.do()
    return count


def make_user() -> Step:
    """The user that the service runs as, and its group; neither is ever taken away: files are theirs."""

    def do() -> None:
        group = ["--gid", USER] if _group_id() is not None else ["--user-group"]
        home = ["--home-dir", "/nonexistent", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        run_well("useradd", "--system", *group, *home, "--comment", "EVT operation manager", USER)

    return Step(f"make user {USER}", lambda: _user_id() is not None, do)


def make_folder(path: Path, mode: int) -> Step:
    """A folder that is left as it is where there is one."""

    def do() -> None:
        path.mkdir(parents=True)
        path.chmod(mode)

    return Step(f"make folder {path}", path.is_dir, do)


def own_folder(path: Path, mode: int) -> Step:
    """The service's own folder, made if need be: it gets all that is in it.

    Doing it raises EomdError where that is not an installation's.
    """

    def do() -> None:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / INSTALLATION).exists():
            raise EomdError(f"{path} holds files of somebody else: choose another folder, or empty it")
        for folder, _, names in os.walk(path):
            for name in ("", *names):
                _give(Path(folder, name))
        path.chmod(mode)

    return Step(f"give folder {path} to {USER}", lambda: _is_given(path), do)


def share_folder(path: Path, mode: int) -> Step:
    """A folder of the service, made if need be, whose files are whoever's they are."""

    def do() -> None:
        path.mkdir(parents=True, exist_ok=True)
        _give(path)
        path.chmod(mode)

    return Step(f"give folder {path} to {USER}", lambda: _is_given(path), do)


def give_file(path: Path) -> Step:
    """A file that the service alone is to read."""

    def is_done() -> bool:
        return path.stat().st_uid == _user_id()

    return Step(f"give {path} to {USER}", is_done, lambda: _give(path))


def _give(path: Path) -> None:
    user = pwd.getpwnam(USER)
    os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _is_given(path: Path) -> bool:
    return path.is_dir() and path.stat().st_uid == _user_id()


def write_file(path: Path, content: str, mode: int = 0o644) -> Step:
    def do() -> None:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content.encode())
        path.chmod(mode)

    return Step(f"write {path}", lambda: _read(path) == content, do)


def keep_or_write(path: Path, content: str) -> Step:
    """A file that is written once and then a person's."""
    step = write_file(path, content)
    return Step(step.what, path.exists, step.do)


def link(path: Path, target: Path) -> Step:
    """A way to the command, where nothing of that name is."""
    return Step(f"link {path} to {target}", lambda: os.path.lexists(path), lambda: path.symlink_to(target))


def unlink(path: Path) -> Step:
    """Take a file away, and its folder if it was the last one there."""

    def do() -> None:
        path.unlink()
        if path.parent.suffix == ".d":
            with suppress(OSError):
                path.parent.rmdir()

    return Step(f"remove {path}", lambda: not os.path.lexists(path), do)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _user_id() -> int | None:
    try:
        return pwd.getpwnam(USER).pw_uid
    except KeyError:
        return None


def _group_id() -> int | None:
    try:
        return grp.getgrnam(USER).gr_gid
    except KeyError:
        return None
