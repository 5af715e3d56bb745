"""The incidents' files: what the watchdog remembers, and what waits for the server. Blocks on the disk.

`incidents.json` is a list of incidents, replaced whole. `spool/incidents/NNNNNNNNNNNN.json` are changes in
the order of their numbers, each a list of whole incidents; the server deletes what it has taken.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from eomd.durable import write_atomically
from eomd.model import Incident

log = logging.getLogger(__name__)

#: files that wait for the server; over it the oldest is given up
SPOOLED_MAX = 10_000

_NAME = re.compile(r"[0-9]{12}\.json")


class IncidentFiles:
    """Used by one thread at a time."""

    def __init__(self, folder: Path, spool: Path) -> None:
        """`folder`: the watchdog's own, `spool`: what the server takes from. Neither need exist."""
        self._memory, self._spool = folder / "incidents.json", spool
        self._number: int | None = None

    def load(self) -> list[Incident]:
        """Return what the last watchdog remembered; nothing where it left nothing that can be read."""
        try:
            return [Incident.parse(fields) for fields in json.loads(self._memory.read_bytes())]
        except FileNotFoundError:
            return []
        except (OSError, KeyError, TypeError, ValueError) as error:
            log.error("what the last watchdog knew of incidents cannot be read: %s", error)
            return []

    def keep(self, known: Sequence[Incident], changed: Sequence[Incident]) -> None:
        """Remember these, and have the server told what has changed. Raises OSError: do it again then."""
        for folder in (self._memory.parent, self._spool):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if changed:
            self._put(changed)
        write_atomically(self._memory, _encode(known))

    def _put(self, changed: Sequence[Incident]) -> None:
        waiting = sorted(path for path in self._spool.iterdir() if _NAME.fullmatch(path.name))
        for path in waiting[: max(0, len(waiting) - SPOOLED_MAX + 1)]:
            log.error("too many incidents wait for the server: %s is given up", path.name)
            with suppress(FileNotFoundError):
                path.unlink()
        if self._number is None:
            self._number = int(waiting[-1].stem) if waiting else 0
        write_atomically(self._spool / f"{self._number + 1:012}.json", _encode(changed))
        self._number += 1


def _encode(incidents: Sequence[Incident]) -> bytes:
    return json.dumps([incident.format() for incident in incidents], ensure_ascii=False).encode(
        "utf-8", "replace"
    )
