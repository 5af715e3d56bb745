"""`eomd evtsim`: run a simulated EVT cluster until it is told to stop, or give orders to a running one."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import click

from eomd.errors import EomdError, EvtError
from eomd.evt.frame import FRAME_BYTES_MAX
from eomd.evt.simulator import Counter, Faults, SimulatedCluster, SimulatorSettings, UserRange
from eomd.evt.simulator.control import send_order
from eomd.model import VALUE_MAX, VALUE_MIN

_DEFAULTS = SimulatorSettings()
_ENDING = {signal.SIGTERM, signal.SIGINT}


def parse_address(text: str) -> tuple[str, int]:
    """Return (host, port) of `host:port`, `[host]:port` or a port alone. Raises ValueError."""
    host, _, port = text.rpartition(":")
    number = int(port)
    if not 0 <= number <= 65535:
        raise ValueError(f"port {number}")
    return host.strip("[]") or "127.0.0.1", number


def parse_users(text: str) -> UserRange:
    """Return the range of `first-last` or of one user. Raises ValueError."""
    first, _, last = text.partition("-")
    return UserRange(int(first), int(last or first))


def parse_counter(text: str) -> Counter:
    """Return the counter of `EID[:min:max][:ro]`, min and max possibly empty. Raises ValueError."""
    match = re.fullmatch(r"(\d+)(?::(-?\d*):(-?\d*))?(:ro)?", text)
    if not match:
        raise ValueError(f"{text} is not EID[:MIN:MAX][:ro]")
    eid, minimum, maximum, read_only = match.groups()
    limits = int(minimum) if minimum else VALUE_MIN, int(maximum) if maximum else VALUE_MAX
    return Counter(int(eid), *limits, bool(read_only))


def parse_after(text: str) -> tuple[int, str]:
    """Return (n, when) of `N[:before|after]`. Raises ValueError."""
    number, _, when = text.partition(":")
    return int(number), when or "after"


_SHARE = click.FloatRange(0, 1)


@click.command()
@click.option("--cluster", default=_DEFAULTS.cluster, show_default=True, help="The cluster's name.")
@click.option(
    "--listen",
    type=parse_address,
    metavar="HOST:PORT",
    multiple=True,
    help="One node; repeatable; port 0 takes a free one.",
)
@click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path), help="Folder that keeps the counters."
)
@click.option(
    "--users", type=parse_users, metavar="FIRST-LAST", multiple=True, help="Users that exist; repeatable."
)
@click.option(
    "--locked",
    type=parse_users,
    metavar="FIRST-LAST",
    multiple=True,
    help="Users that cannot be modified; repeatable.",
)
@click.option(
    "--eid",
    "counters",
    type=parse_counter,
    metavar="EID[:MIN:MAX][:ro]",
    multiple=True,
    help="A counter that exists; repeatable.",
)
@click.option(
    "--fill", type=click.IntRange(0), metavar="SEED", help="Start counters at random values instead of 0."
)
@click.option("--max-rows", type=click.IntRange(1), default=_DEFAULTS.max_rows, show_default=True)
@click.option("--max-inflight", type=click.IntRange(1), default=_DEFAULTS.max_inflight, show_default=True)
@click.option("--max-frame", type=click.IntRange(64), default=FRAME_BYTES_MAX, show_default=True)
@click.option("--no-restore", is_flag=True, help="Do not serve mode 4.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of what faults leave to chance.")
@click.option("--latency-ms", type=click.FloatRange(0), help="Answer so much later.")
@click.option(
    "--jitter-ms", type=click.FloatRange(0), help="And by chance up to so much more, each for itself."
)
@click.option(
    "--close-after",
    type=parse_after,
    metavar="N[:before|after]",
    help="End a connection at its n-th request.",
)
@click.option(
    "--mute-after", type=parse_after, metavar="N[:before|after]", help="Say nothing from the n-th request on."
)
@click.option("--silent", is_flag=True, default=None, help="Take connections, and say and do nothing.")
@click.option("--wrong-crc-share", type=_SHARE, help="Of the replies.")
@click.option("--corrupt-share", type=_SHARE, help="Of the replies: one byte is wrong.")
@click.option("--busy-share", type=_SHARE, help="Of the rows.")
@click.option("--internal-share", type=_SHARE, help="Of the rows.")
@click.option("--overloaded-share", type=_SHARE, help="Of the requests: ERROR 4.")
@click.option(
    "--goaway-after", type=click.IntRange(1), metavar="N", help="GOAWAY after a connection's n-th request."
)
@click.option("--one-byte", is_flag=True, default=None, help="Send every byte on its own.")
@click.option("--claim-cluster", metavar="NAME", help="Say to be a node of this cluster.")
@click.option("--refuse-version", is_flag=True, default=None, help="Serve no version.")
@click.option("--no-idempotent", is_flag=True, default=None, help="Know no tokens.")
@click.option(
    "--control",
    type=parse_address,
    metavar="HOST:PORT",
    help="Take orders here; with --order: send one there.",
)
@click.option("--order", metavar="JSON", help="Send an order to a running simulator and print its answer.")
def evtsim(control: tuple[str, int] | None, order: str | None, **options: Any) -> None:
    """Run a simulated EVT/1 cluster that keeps its counters on disk, with faults to order."""
    if order is not None:
        _send(control, order)
        return
    try:
        _run(SimulatedCluster(_read_settings(control, options)))
    except (EomdError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _send(control: tuple[str, int] | None, order: str) -> None:
    if control is None:
        raise click.UsageError("--order needs --control HOST:PORT of the running simulator")
    try:
        answer = send_order(*control, json.loads(order))
    except json.JSONDecodeError as error:
        raise click.UsageError(f"--order is not JSON: {error}") from error
    except EvtError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(answer, indent=2))
    if not answer["ok"]:
        raise SystemExit(1)


def _run(cluster: SimulatedCluster) -> None:
    # blocked before the cluster's thread is there, so that it cannot be the one that is interrupted
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    with cluster:
        click.echo(f"state {cluster.state}" + ("" if cluster.settings.state else " (removed at the end)"))
        if cluster.control:
            click.echo(f"control {cluster.control}")
        for node in cluster.nodes:
            click.echo(f"listening {node.name} {node.address}")
        signal.sigwait(_ENDING)


def _read_settings(control: tuple[str, int] | None, options: dict[str, Any]) -> SimulatorSettings:
    return SimulatorSettings(
        cluster=options["cluster"],
        listen=options["listen"] or (("127.0.0.1", 0),),
        state=options["state"],
        users=options["users"] or _DEFAULTS.users,
        locked=options["locked"],
        counters=options["counters"] or _DEFAULTS.counters,
        fill=options["fill"],
        max_rows=options["max_rows"],
        max_inflight=options["max_inflight"],
        max_frame=options["max_frame"],
        restore=not options["no_restore"],
        faults=_read_faults(options),
        seed=options["seed"],
        control=control,
    )


def _read_faults(options: dict[str, Any]) -> Faults:
    given = {name: options[name] for name in Faults.__dataclass_fields__ if options.get(name) is not None}
    for name in ("close", "mute"):
        if value := options[f"{name}_after"]:
            given[f"{name}_after"], given[f"{name}_when"] = value
    return Faults().change(given)
