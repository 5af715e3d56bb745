"""What systemd makes of the units, and installing as far as it can be done without a machine to install on.

The rest is in tests/boot, on machines that boot.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eomd.errors import EomdError
from eomd.install.commands import run, run_well
from eomd.install.shipped import shipped
from eomd.install.site import Site
from eomd.install.steps import Step, carry_out, keep_or_write, link, make_folder, unlink, write_file
from eomd.install.units import (
    SERVICE,
    SOCKET,
    drop_in,
    find_stale,
    format_service,
    format_socket,
    is_installed_for,
)

#: of systemd-analyze security, in tenths: what the unit may expose at most
EXPOSURE_MAX = 20

USUAL = Site(
    program=Path("/bin/true"),
    config=Path("/etc/eomd/eomd.toml"),
    data_dir=Path("/var/lib/eomd"),
    inbox=None,
    ledger=None,
    secret=None,
    streams=("127.0.0.1:8600",),
)
UNUSUAL = replace(
    USUAL,
    config=Path("/srv/my eomd/50%.toml"),
    data_dir=Path("/srv/my eomd/数据"),
    inbox=Path("/mnt/drop here"),
    ledger=Path("/srv/db"),
    streams=("0.0.0.0:80", "[::1]:80", "/run/eomd/50% http.sock"),
)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def put_units(folder: Path, site: Site) -> None:
    for unit, text in ((SERVICE, format_service(site)), (SOCKET, format_socket(site))):
        shutil.copy(shipped(f"systemd/{unit}"), folder)
        write_file(drop_in(unit, folder), text).do()


@pytest.mark.parametrize("site", [USUAL, UNUSUAL], ids=["usual", "unusual"])
def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path, site: Site) -> None:
    put_units(tmp_path, site)
    done = analyze("verify", "--man=no", *(str(tmp_path / unit) for unit in (SERVICE, SOCKET)))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_names_what_is_wrong_in_a_unit(tmp_path: Path) -> None:
    put_units(tmp_path, USUAL)
    with (tmp_path / SERVICE).open("a") as file:
        file.write("[Service]\nRestarts=always\n")
    assert "'Restarts'" in analyze("verify", str(tmp_path / SERVICE)).stderr


@pytest.mark.parametrize("site", [USUAL, UNUSUAL], ids=["usual", "unusual"])
def test_the_service_is_locked_in(tmp_path: Path, site: Site) -> None:
    put_units(tmp_path, site)
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(tmp_path / SERVICE))
    assert done.returncode == 0, done.stdout + done.stderr


# --- steps


def test_a_step_is_told_done_and_not_done_again(tmp_path: Path) -> None:
    steps = [
        make_folder(tmp_path / "etc", 0o755),
        keep_or_write(tmp_path / "etc/eomd.toml", "a"),
        write_file(tmp_path / "etc/eomd.service.d/installed.conf", "b"),
        link(tmp_path / "eomd", Path("/opt/eomd/bin/eomd")),
    ]
    said: list[str] = []
    assert carry_out(steps, said.append) == 4
    assert said == [
        f"make folder {tmp_path}/etc",
        f"write {tmp_path}/etc/eomd.toml",
        f"write {tmp_path}/etc/eomd.service.d/installed.conf",
        f"link {tmp_path}/eomd to /opt/eomd/bin/eomd",
    ]
    assert carry_out(steps, said.append) == 0
    assert len(said) == 4


def test_a_persons_configuration_is_kept_and_a_unit_is_not(tmp_path: Path) -> None:
    for name in ("eomd.toml", "eomd.service"):
        (tmp_path / name).write_text("a person's")
    steps = [keep_or_write(tmp_path / "eomd.toml", "ours"), write_file(tmp_path / "eomd.service", "ours")]
    assert carry_out(steps, str) == 1
    assert (tmp_path / "eomd.toml").read_text() == "a person's"
    assert (tmp_path / "eomd.service").read_text() == "ours"


def test_a_dry_run_tells_and_does_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    assert carry_out([write_file(tmp_path / "x", "")], said.append, dry_run=True) == 1
    assert said == [f"write {tmp_path}/x"]
    assert list(tmp_path.iterdir()) == []


def test_a_drop_in_goes_with_its_folder_unless_a_person_put_something_there(tmp_path: Path) -> None:
    mine, theirs = drop_in(SERVICE, tmp_path), drop_in(SOCKET, tmp_path)
    for path in (mine, theirs):
        write_file(path, "").do()
    theirs.with_name("override.conf").touch()
    carry_out([unlink(mine), unlink(theirs)], str)
    assert [path.name for path in tmp_path.rglob("*")] == ["eomd.socket.d", "override.conf"]


def test_a_command_that_fails_is_quoted() -> None:
    with pytest.raises(EomdError, match=r"^sh -c echo no >&2; exit 3: no$"):
        run_well("sh", "-c", "echo no >&2; exit 3")
    with pytest.raises(EomdError, match=r"^/no/such cannot be run: No such file or directory$"):
        run("/no/such")


def test_what_fails_ends_the_steps() -> None:
    def fail() -> None:
        raise EomdError("no")

    said: list[str] = []
    steps = [Step("a", lambda: False, fail), Step("b", lambda: False, fail)]
    with pytest.raises(EomdError, match="no"):
        carry_out(steps, said.append)
    assert said == ["a"]


# --- units that do not fit the configuration any more


def test_units_that_fit_the_configuration_are_not_remarked_on(tmp_path: Path) -> None:
    put_units(tmp_path, UNUSUAL)
    assert is_installed_for(UNUSUAL.config, tmp_path)
    assert find_stale(replace(UNUSUAL, program=Path("/elsewhere")), tmp_path) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"streams": ("127.0.0.1:8601",)}, "[server] listen"),
        ({"data_dir": Path("/srv/eomd")}, "data_dir"),
        ({"inbox": Path("/mnt/drop")}, "[inbox] path"),
    ],
)
def test_what_systemd_does_not_know_yet_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    put_units(tmp_path, USUAL)
    (stale,) = find_stale(replace(USUAL, **change), tmp_path)
    assert named in stale
    assert stale.endswith("; run: eomd install")


def test_units_of_another_configuration_are_nobodys_business(tmp_path: Path) -> None:
    assert not is_installed_for(USUAL.config, tmp_path)
    put_units(tmp_path, USUAL)
    assert not is_installed_for(Path("/etc/eomd/eomd.tom"), tmp_path)
