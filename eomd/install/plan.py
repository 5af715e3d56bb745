"""What belongs to an installation, in the order in which it is made, and in which it is taken away."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from eomd.errors import EomdError
from eomd.inbox_layout import SHARED_MODE
from eomd.install.commands import run
from eomd.install.shipped import EXAMPLE, shipped
from eomd.install.site import Site
from eomd.install.steps import (
    USER,
    Step,
    give_file,
    keep_or_write,
    link,
    make_folder,
    make_user,
    own_folder,
    share_folder,
    unlink,
    write_file,
)
from eomd.install.systemd import is_active, is_enabled, order
from eomd.install.units import SERVICE, SOCKET, UNITS_FOLDER, drop_in, format_service, format_socket

#: where the command is found without its whole path
LINK = Path("/usr/local/bin/eomd")
DATA_MODE = 0o750


def plan_files(site: Site) -> list[Step]:
    """User, folders and the configuration: what the service finds when it starts."""
    others = [share_folder(site.inbox, SHARED_MODE)] if site.inbox else []
    if site.ledger and not site.ledger.exists():
        others.append(share_folder(site.ledger, DATA_MODE))
    if site.secret and site.secret.exists():
        others.append(give_file(site.secret))
    return [
        make_user(),
        make_folder(site.config.parent, 0o755),
        make_folder(site.config.parent / "clusters.d", 0o755),
        keep_or_write(site.config, shipped(EXAMPLE).read_text(encoding="utf-8")),
        own_folder(site.data_dir, DATA_MODE),
        *others,
        link(LINK, site.program),
    ]


def plan_units(site: Site) -> list[Step]:
    """The units, known to systemd, enabled, and running as they are now."""
    texts = {SOCKET: format_socket(site), SERVICE: format_service(site)}
    files = {
        unit: [
            write_file(UNITS_FOLDER / unit, shipped(f"systemd/{unit}").read_text(encoding="utf-8")),
            write_file(drop_in(unit), text),
        ]
        for unit, text in texts.items()
    }
    changed = {unit for unit, steps in files.items() if not all(step.is_done() for step in steps)}
    return [
        *(step for steps in files.values() for step in steps),
        Step("have systemd read the units", lambda: not changed, lambda: order("daemon-reload")),
        Step(f"enable {SOCKET} and {SERVICE}", _are_enabled, lambda: order("enable", SOCKET, SERVICE)),
        _start(changed),
    ]


def _start(changed: set[str]) -> Step:
    """Both units running; the socket is left alone where it is right: it holds waiting clients."""
    runs = is_active(SERVICE)

    def do() -> None:
        if SOCKET in changed or not is_active(SOCKET):
            # systemd opens no port for a service that runs without it
            order("stop", SERVICE)
            order("restart", SOCKET)
        order("restart", SERVICE)

    return Step(
        f"{'restart' if runs else 'start'} {SERVICE}",
        lambda: not changed and is_active(SERVICE) and is_active(SOCKET),
        do,
    )


def _are_enabled() -> bool:
    return is_enabled(SERVICE) and is_enabled(SOCKET)


def plan_removal(program: Path) -> list[Step]:
    """Everything that `plan_units` makes, and the link; never data, configuration or user."""
    files = [path for unit in (SERVICE, SOCKET) for path in (drop_in(unit), UNITS_FOLDER / unit)]
    there = any(os.path.lexists(path) for path in files)
    return [
        Step(f"stop and disable {SERVICE} and {SOCKET}", _are_off, _turn_off),
        *(unlink(path) for path in files),
        Step("have systemd forget the units", lambda: not there, lambda: order("daemon-reload")),
        *([unlink(LINK)] if LINK.is_symlink() and LINK.readlink() == program else []),
    ]


def _are_off() -> bool:
    return not any(ask(unit) for ask in (is_active, is_enabled) for unit in (SERVICE, SOCKET))


def _turn_off() -> None:
    order("disable", "--now", SERVICE, SOCKET)
    with suppress(EomdError):
        # one that had failed would be listed as such for ever
        run("systemctl", "reset-failed", SERVICE, SOCKET)


def check_as_service(site: Site) -> None:
    """Have `eomd check` run as the service's user. Raises EomdError with all that it finds wrong."""
    as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--reset-env", "--")
    done = run(*as_user, str(site.program), "check", "-c", str(site.config))
    if done.returncode != 0:
        found = (done.stdout + done.stderr).splitlines()
        raise EomdError("\n".join([f"user {USER} cannot run eomd with {site.config}:", *found]))
