"""Operations and what comes of them, for tests: run to their end, refused, and what they left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from eomd.errors import InvalidConfigError, WrongStateError
from eomd.evt.simulator import SimulatedCluster
from eomd.model import Kind, Operation
from eomd.operations.desk import Desire
from tests.integration.life import CALLER, Life, order

#: nobody has these
STRANGERS = range(5_000_000, 5_000_010)


async def run(life: Life, mode: str, content: bytes, **fields: Any) -> Operation:
    operation = await life.hand_in(order(mode, **fields), content)
    return await life.reach(operation.id)


async def derive(life: Life, kind: Kind, parent: int, **desire: Any) -> Operation:
    """Have a child made, and wait for its end."""
    child, created = await life.desk.derive(kind, parent, Desire(**desire), CALLER)
    assert created
    return await life.reach(child.id)


async def refused(life: Life, kind: Kind, parent: int, **desire: Any) -> str:
    with pytest.raises((WrongStateError, InvalidConfigError)) as raised:
        await life.desk.derive(kind, parent, Desire(**desire), CALLER)
    assert life.data.staged() == []
    return str(raised.value)


def values(fish: SimulatedCluster, rows: Any, *eids: int) -> list[list[int]]:
    return fish.values(eids or (1001,), rows).tolist()


def outcomes(life: Life, operation: int) -> Mapping[str, str]:
    """Return each user's status, as the result has it."""
    return {row[0]: row[1] for row in life.result(operation)[1:]}
