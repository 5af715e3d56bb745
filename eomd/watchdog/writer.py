"""One thread for all that the watchdog's core writes, in order: its loop never waits for a disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Writer:
    """For one loop."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._failing = False

    def later(self, work: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
        """Have it done some time soon. A disk that takes nothing costs what was to be written, no more."""
        self._executor.submit(work, *arguments, **named).add_done_callback(self._look_after)

    async def now(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Have it done after all that was asked for before. Raises what it raises."""
        return await asyncio.wrap_future(self._executor.submit(work, *arguments, **named))

    def close(self) -> None:
        """Wait until all is written."""
        self._executor.shutdown()

    def _look_after(self, done: Future[object]) -> None:
        error = done.exception()
        if isinstance(error, OSError):
            if not self._failing:
                log.error("the watchdog's files cannot be written: %s", error)
        elif error is not None:
            log.error("writing failed", exc_info=error)
        self._failing = error is not None
