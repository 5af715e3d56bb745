"""Where `eomd status` looks, as a user to whom it is not open: that is told, and nothing breaks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eomd.cli.context import Context
from eomd.cli.status_picture import draw
from eomd.cli.status_sources import look_around

STRANGER = 65534


def as_stranger(work: Callable[[], Any]) -> Any:
    """Return what the work returns, JSON, in a process without our rights."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(STRANGER)
                os.setuid(STRANGER)
            os.write(writer, json.dumps(work()).encode())
        except BaseException as error:
            os.write(writer, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        answer = json.loads(said.read())
    os.waitpid(child, 0)
    return answer


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("EOMD_DATA_DIR", str(tmp_path / "data"))
    context = Context()
    # read now: a stranger may not even find the modules that it takes
    assert context.settings.data_dir == tmp_path / "data"
    return context


def picture(context: Context) -> dict[str, Any]:
    return draw(look_around(context, os.environ), datetime.now(UTC))


@pytest.mark.parametrize("closed", ["data", "data/watchdog"])
def test_a_stranger_is_told_so(context: Context, tmp_path: Path, closed: str) -> None:
    (tmp_path / "data/watchdog").mkdir(parents=True)
    (tmp_path / closed).chmod(0)
    found = as_stranger(lambda: picture(context))
    (tmp_path / closed).chmod(0o700)
    assert (found["status"], found["watchdog"]["state"], found["server"]["state"]) == ("unknown",) * 3
    assert "configuration" not in found
    assert found["wrong"][0]["what"] == (
        f"{tmp_path}/data/watchdog is for the user who runs eomd, and for root"
    )


def test_where_nothing_ever_ran_nothing_runs(context: Context) -> None:
    found = picture(context)
    assert (found["status"], found["watchdog"]["state"], found["server"]["state"]) == ("down", "none", "gone")
    assert found["wrong"][0]["what"] == "nothing runs here"
    assert (found["ledger"]["state"], found["disk"]["state"]) == ("unknown", "unreachable")
