"""`python dying_server.py N serve …`: eomd that dies right before its N-th step on the disk."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from eomd.cli.main import main

STEPS = ("fsync", "replace", "rename", "link", "unlink", "ftruncate", "mkdir")


def die_at(last: int) -> None:
    """Count every step, on whatever thread; the last one is not taken."""
    taken = count(1)

    def dying(step: Callable[..., Any]) -> Callable[..., Any]:
        def take(*arguments: Any, **named: Any) -> Any:
            if next(taken) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **named)

        return take

    for name in STEPS:
        setattr(os, name, dying(getattr(os, name)))


if __name__ == "__main__":
    die_at(int(sys.argv.pop(1)))
    main()
