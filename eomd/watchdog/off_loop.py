"""Work that may hang for good, off the loop: a dead file server, a database that never answers.

A thread that hangs is left behind as a daemon: neither the loop nor the end of the process waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OffLoop(Generic[T]):
    """One piece of work at a time: while one hangs, those who ask wait for it, and no other is begun."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._outcome: asyncio.Future[T] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises. Who is cancelled leaves it running."""
        if self._outcome is None:
            self._begin(work)
        assert self._outcome is not None
        return await asyncio.shield(self._outcome)

    def _begin(self, work: Callable[[], T]) -> None:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        # nobody may be left to look at it
        outcome.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._outcome = outcome

        def end(result: T | None, error: BaseException | None) -> None:
            self._outcome = None
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)  # type: ignore[arg-type]

        def carry_out() -> None:
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:
                failure = error
            try:
                loop.call_soon_threadsafe(end, result, failure)
            except RuntimeError:
                # the loop has ended meanwhile
                return

        threading.Thread(target=carry_out, name=self._name, daemon=True).start()
