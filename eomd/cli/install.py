"""`eomd install` and `eomd uninstall`: a service of systemd, made and taken away."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eomd.cli.context import Context, config_option
from eomd.errors import EomdError

if TYPE_CHECKING:
    from eomd.watchdog.charge import Charge


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@config_option
@click.pass_obj
def install(context: Context, dry_run: bool) -> int:
    """Make eomd a service that systemd keeps running from the boot on.

    What is there already is left as it is: after a change of the configuration call it again.
    """
    from eomd.config import SYSTEM_FILE, choose_file
    from eomd.install.plan import check_as_service, plan_files, plan_units
    from eomd.install.site import make_site
    from eomd.install.steps import carry_out

    config = choose_file(context.config, os.environ) or SYSTEM_FILE
    if not dry_run:
        refuse_unless_possible("install")
    program = find_program()
    refuse_hidden(program)
    charge = read_charge(config)
    site = make_site(charge, program, config)
    os.umask(0o022)
    count = carry_out(plan_files(site), click.echo, dry_run=dry_run)
    if not dry_run:
        check_as_service(site)
    count += carry_out(plan_units(site), click.echo, dry_run=dry_run)
    if not count:
        click.echo("nothing to change")
    if not dry_run:
        click.echo(prove_up(charge))
    return os.EX_OK


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@config_option
@click.pass_obj
def uninstall(context: Context, dry_run: bool) -> int:
    """Take the service away; data and configuration stay."""
    from eomd.config import SYSTEM_FILE, choose_file
    from eomd.install.plan import plan_removal
    from eomd.install.steps import USER, carry_out

    if not dry_run:
        refuse_unless_possible("uninstall")
    count = carry_out(plan_removal(find_program()), click.echo, dry_run=dry_run)
    if not count:
        click.echo("nothing to take away")
    config = choose_file(context.config, os.environ) or SYSTEM_FILE
    kept = [config, read_charge(config).data_dir] if config.exists() else []
    for path in kept:
        click.echo(f"kept: {path}")
    click.echo(f"kept: the user {USER}, whose files these are")
    return os.EX_OK


def refuse_unless_possible(name: str) -> None:
    """Raises EomdError, one line, where this cannot be done here or by us."""
    from eomd.install.systemd import is_booted

    if not is_booted():
        raise EomdError(f"eomd {name} needs systemd, which does not run this machine; `eomd up` does without")
    if os.geteuid() != 0:
        raise EomdError(f"eomd {name} needs root: sudo {find_program()} {name}")


def find_program() -> Path:
    """Return the command `eomd` of this environment."""
    return Path(sysconfig.get_path("scripts")) / "eomd"


def refuse_hidden(program: Path) -> None:
    """Raises EomdError where no service could run it."""
    from eomd.install.site import is_hidden

    if not program.exists():
        raise EomdError(f"{program} is not there: install eomd with pip, which makes it")
    for place in (program, Path(sys.executable), Path(__file__)):
        if is_hidden(place):
            raise EomdError(f"{place} cannot be seen by a service: install eomd elsewhere, as in /opt/eomd")


def read_charge(config: Path) -> Charge:
    """Return what the configuration says to a service, which our own environment does not reach.

    Where there is none yet, what the one will say that is written. Raises ConfigurationError.
    """
    from eomd.cli.charge import make_charge
    from eomd.config import PREFIX, load_settings
    from eomd.install.shipped import EXAMPLE, shipped

    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return make_charge(load_settings(config if config.exists() else shipped(EXAMPLE), environ))


def prove_up(charge: Charge) -> str:
    """Return how the server says it is. Raises EomdError where it does not answer, or can do nothing."""
    from eomd.cli.client import Client, Target
    from eomd.runtime import API_SOCKET

    health = Client(Target(socket=charge.runtime / API_SOCKET)).get("/health")
    if health["status"] == "down":
        raise EomdError("the service runs, but has neither a ledger nor a cluster: eomd status says why")
    return f"eomd is up at {charge.listen}: {health['status']}"
