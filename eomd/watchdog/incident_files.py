"""The incidents on the disk: the watchdog's memory of them, and what waits for the server. Blocks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from eomd.durable import write_atomically
from eomd.incident_spool import IncidentSpool, decode_incidents, encode_incidents
from eomd.model import Incident

log = logging.getLogger(__name__)


class IncidentFiles:
    """Used by one thread at a time."""

    def __init__(self, folder: Path, spool: Path) -> None:
        """`folder`: the watchdog's own, `spool`: what the server takes from. Neither need exist."""
        self._memory, self._spool = folder / "incidents.json", IncidentSpool(spool)

    def load(self) -> list[Incident]:
        """Return what the last watchdog remembered; nothing where it left nothing that can be read."""
        try:
            return decode_incidents(self._memory.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, KeyError, TypeError, ValueError) as error:
            log.error("what the last watchdog knew of incidents cannot be read: %s", error)
            return []

    def keep(self, known: Sequence[Incident], changed: Sequence[Incident]) -> None:
        """Remember these, and have the server told what has changed. Raises OSError: do it again then."""
        if changed:
            self._spool.put(changed)
        self._memory.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_atomically(self._memory, encode_incidents(known))
