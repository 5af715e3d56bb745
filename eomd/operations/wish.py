"""What ends the work on an operation before its last row, and why it pauses."""

from __future__ import annotations

from enum import IntEnum

from eomd.model import PausedBy

#: a pause, where nothing else is said about it
BY_A_PERSON = (PausedBy.PERSON, "paused by a person")


class Wish(IntEnum):
    """How the work is to end before its last row; of several the highest counts."""

    NONE = 0
    #: to go on with another pool
    MOVE = 1
    DRAIN = 2
    PAUSE = 3
    CANCEL = 4
