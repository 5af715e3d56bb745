"""Small words about waiting on the loop."""

from __future__ import annotations

import asyncio
from typing import Any


async def next_time(event: asyncio.Event) -> None:
    """Wait until an event is set from now on."""
    event.clear()
    await event.wait()


async def end(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has ended, however that was."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def now_s() -> float:
    """Return the loop's clock."""
    return asyncio.get_running_loop().time()
