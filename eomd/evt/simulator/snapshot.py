"""A picture of the simulated cluster's counters and tokens, so that a start need not read the whole journal.

It replaces the one before it at once or not at all. It is never needed: all it says stands in the journal.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from eomd.evt.codec import I64, U8, U32, U64

SNAPSHOT_NAME = "snapshot.npz"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a store knew when its journal had so many blocks."""

    #: names the users, counters and first values; another cluster's picture is of no use
    layout: str
    #: uint64[blocks], where the journal's blocks start
    starts: U64
    #: where the journal ended, in bytes
    end: int
    #: int64[users, counters]
    values: I64
    #: the tokens, as TokenIndex exports them
    origins: U8
    operations: U64
    numbers: U32
    entries: I64

    @property
    def nbytes(self) -> int:
        """Return how much memory it takes."""
        return sum(column.nbytes for column in (self.starts, self.values, self.entries))


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Replace the folder's snapshot. Raises OSError, the old one being there still."""
    new = folder / f"{SNAPSHOT_NAME}.new"
    try:
        with open(new, "wb") as file:
            np.savez(file, **{field.name: getattr(snapshot, field.name) for field in fields(snapshot)})
        os.replace(new, folder / SNAPSHOT_NAME)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def read_snapshot(folder: Path, layout: str) -> Snapshot | None:
    """Return the folder's snapshot; None where there is none, or none of use."""
    try:
        with open(folder / SNAPSHOT_NAME, "rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["layout"]) != layout:
                return None
            found = {field.name: stored[field.name] for field in fields(Snapshot)}
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        _logger.warning("the snapshot is not readable, the whole journal is read instead: %s", error)
        return None
    return Snapshot(**found | {"layout": layout, "end": int(found["end"])})
