"""Waiting: for whichever comes first, for what somebody will tell."""

from __future__ import annotations

import asyncio
from typing import Any


async def first_of(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    """Wait until one of them is done, or the time is over."""
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


class News:
    """Told to everybody who waits for it at that moment."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[str]] = set()

    async def wait(self, seconds: float) -> str:
        """Return what is told next. Raises TimeoutError."""
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.add(told)
        try:
            async with asyncio.timeout(seconds):
                return await told
        finally:
            self._waiting.discard(told)

    def tell(self, said: str) -> None:
        for told in self._waiting:
            if not told.done():
                told.set_result(said)
