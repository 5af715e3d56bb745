"""What systemd, the watchdog and the checkpoint make of it together: nobody is needed after anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.boot.machine import Machine
from tests.boot.service import (
    PORT,
    UNIT,
    configure,
    health,
    install,
    main_pid,
    now,
    operations,
    own_start_s,
    serving_since,
    show,
)
from tests.journal import count_applied, read_result
from tests.wheel import ROOT
from tests.world import wait_until, write_users

pytestmark = pytest.mark.boot

Note = Callable[[str, float], None]

FIRST_USER = 100_000_000
ROWS = 240_000
USERS = range(FIRST_USER, FIRST_USER + ROWS)
#: the operation outlasts several boots
ROWS_PER_S = 15_000


@pytest.fixture
def served(machine: Machine) -> Machine:
    """A machine with the service and a cluster."""
    configure(machine)
    install(machine)
    return machine


@contextmanager
def calling(machine: Machine) -> Iterator[dict[str, int]]:
    """Have a client ask the server all the time; afterwards hold how its requests ended."""
    command = (sys.executable, "-m", "tests.boot.caller", str(PORT))
    caller = machine.start_beside(*command, cwd=ROOT)
    ends: dict[str, int] = {}
    try:
        yield ends
    finally:
        said, _ = caller.communicate("", timeout=60)
        ends |= json.loads(said)


# --- the main promise


def start_increment(machine: Machine) -> None:
    write_users(machine.path("/root/inc.csv"), USERS, 5)
    order = ("modify", "/root/inc.csv", "--cluster", "fish", "--eids", "1001", "--mode", "inc")
    machine.start("client", "eomd", *order)


def rows_done(machine: Machine) -> int:
    return sum(operation["rows"]["done"] for operation in operations(machine))


def wait_for_rows(machine: Machine, rows: int) -> None:
    wait_until(lambda: rows_done(machine) >= rows, f"{rows} rows are done")


def wait_for_end(machine: Machine) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        return next((o for o in operations(machine) if o["rows"]["done"] == ROWS), None)

    return dict(wait_until(ended, "the operation ends", 120))


def assert_applied_once(machine: Machine, operation: dict[str, Any]) -> None:
    assert operation["state"] == "succeeded"
    assert operation["rows"] == {"total": ROWS, "done": ROWS, "ok": ROWS, "failed": 0, "uncertain": 0}
    applied = count_applied(machine.path("/var/lib/evtsim"))
    assert set(applied) == set(USERS)
    assert set(applied.values()) == {1}
    result = machine.path(f"/var/lib/eomd/files/{operation['resultname']}").read_bytes()
    _, *rows = read_result(result.removeprefix("\ufeff".encode()))
    assert rows == [[str(user), "OK", "", "0", "5"] for user in USERS]


def test_a_power_cut_costs_no_row_and_no_person(machine: Machine, note: Note) -> None:
    configure(machine, rows_per_s=ROWS_PER_S)
    install(machine)
    start_increment(machine)
    for cut in range(1, 4):
        wait_for_rows(machine, ROWS * cut // 5)
        machine.cut_power()
        switched_on = now()
        machine.power_on()
        ready = serving_since(machine, switched_on)
        note(f"power cut {cut}: switched on → serving", ready - switched_on)
        note(f"power cut {cut}: started by systemd → serving", own_start_s(machine))
    assert_applied_once(machine, wait_for_end(machine))


def test_an_operation_goes_on_over_a_reboot(machine: Machine, note: Note) -> None:
    configure(machine, rows_per_s=ROWS_PER_S)
    install(machine)
    start_increment(machine)
    wait_for_rows(machine, ROWS // 4)
    ordered = now()
    machine.reboot()
    note("reboot ordered → serving again", serving_since(machine, ordered) - ordered)
    assert_applied_once(machine, wait_for_end(machine))


# --- the watchdog's death


def kill_watchdog(machine: Machine, signal: str) -> None:
    main_pid(machine)
    machine.run("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", UNIT)


def test_a_killed_watchdog_comes_back_with_its_server(served: Machine, note: Note) -> None:
    before = main_pid(served)
    with calling(served) as ends:
        killed = now()
        kill_watchdog(served, "KILL")
        note("watchdog killed -9 → both serving again", serving_since(served, killed) - killed)
    assert "ConnectionRefusedError" not in ends
    assert ends["200"] > 0
    assert main_pid(served) != before
    assert health(served) == "eomd is ok"


def test_a_frozen_watchdog_is_noticed_and_replaced(served: Machine, note: Note) -> None:
    before = main_pid(served)
    with calling(served) as ends:
        frozen = now()
        kill_watchdog(served, "STOP")
        note("watchdog frozen → both serving again", serving_since(served, frozen) - frozen)
    assert "ConnectionRefusedError" not in ends
    assert "Watchdog timeout" in served.journal(f"--unit={UNIT}", "--grep=Watchdog timeout")
    assert main_pid(served) != before


def test_many_deaths_in_a_row_are_no_reason_to_give_up(served: Machine) -> None:
    # by default systemd gives up after five in ten seconds
    for _ in range(8):
        before = main_pid(served)
        kill_watchdog(served, "KILL")
        wait_until(lambda before=before: main_pid(served) != before, "the next watchdog")
    wait_until(lambda: health(served) == "eomd is ok", "serving")
    assert int(show(served, "NRestarts")) >= 8


# --- orders of a person


def test_no_caller_is_refused_while_the_service_restarts(served: Machine, note: Note) -> None:
    with calling(served) as ends:
        ordered = now()
        served.run("systemctl", "restart", UNIT)
        note("systemctl restart → serving again", now() - ordered)
    assert set(ends) == {"200"}


def test_a_reload_takes_the_configuration_over(served: Machine) -> None:
    before = main_pid(served)
    served.write("/etc/eomd/clusters.d/label.toml", 'nodes = ["127.0.0.1:30719:4"]\n')
    served.run("systemctl", "reload", UNIT)
    wait_until(lambda: "label" in served.run("eomd", "check"), "the new cluster")
    assert main_pid(served) == before


def test_a_server_that_a_person_stopped_stays_so_over_a_reboot(served: Machine) -> None:
    served.run("eomd", "stop")
    served.reboot()
    assert health(served) != "eomd is ok"
    with calling(served) as ends:
        wait_until(lambda: show(served, "ActiveState") == "active", "the watchdog")
    assert set(ends) <= {"503"}
    served.run("eomd", "start")
    wait_until(lambda: health(served) == "eomd is ok", "serving")
