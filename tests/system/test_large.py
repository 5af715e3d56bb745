"""Operations larger than the distance that sending may be ahead of the checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from eomd.operations.reach import SENT_AHEAD_ROWS
from tests.world import World, write_users

ROWS = 2 * SENT_AHEAD_ROWS + 1
FIRST_USER = 100_000_000
USERS = range(FIRST_USER, FIRST_USER + ROWS)


@pytest.mark.parametrize(
    ("mode", "columns", "values"), [(None, "1001", "0"), ("inc", "1001_before,1001_after", "0,5")]
)
def test_two_million_rows_end_in_order(
    world: World, tmp_path: Path, mode: str | None, columns: str, values: str
) -> None:
    world.simulate("fish", 2, "--users", f"{USERS.start}-{USERS.stop - 1}")
    world.configure()
    world.serve()
    config = {"mode": mode, "amount": 5} if mode else {}
    identity = world.client.hand_in(write_users(tmp_path / "users.csv", USERS), **config).data["id"]
    operation = world.client.wait_for_state(identity, "succeeded", "partial", "failed")
    assert operation["rows"] == {"total": ROWS, "done": ROWS, "ok": ROWS, "failed": 0, "uncertain": 0}
    result = world.client.download(operation["resultname"]).decode()
    assert result == f"userid,status,detail,{columns}\n" + "".join(f"{user},OK,,{values}\n" for user in USERS)
