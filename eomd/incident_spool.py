"""`spool/incidents/`: changes of incidents, which the watchdog writes and the server takes.

`NNNNNNNNNNNN.json` are changes in the order of their numbers, each a list of whole incidents. Blocks on the
disk; knows the standard library only.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from eomd.durable import write_atomically
from eomd.model import Incident

log = logging.getLogger(__name__)

#: files that wait for the server; over it the oldest is given up
WAITING_MAX = 10_000

#: the folder's name in `spool/`
INCIDENTS = "incidents"

_NAME = re.compile(r"[0-9]{12}\.json")


class IncidentSpool:
    """The folder; it need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number: int | None = None

    def put(self, changed: Sequence[Incident]) -> None:
        """Write a change behind all others. For one writer. Raises OSError: do it again then."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        waiting = self.waiting()
        for path in waiting[: max(0, len(waiting) - WAITING_MAX + 1)]:
            log.error("too many incidents wait for the server: %s is given up", path.name)
            path.unlink(missing_ok=True)
        if self._number is None:
            self._number = int(waiting[-1].stem) if waiting else 0
        write_atomically(self._folder / f"{self._number + 1:012}.json", encode_incidents(changed))
        self._number += 1

    def waiting(self) -> list[Path]:
        """Return the changes that nobody has taken, oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))

    def read(self, path: Path) -> list[Incident]:
        """Return a change's incidents; none where another has taken it. What cannot be read is set aside."""
        try:
            return decode_incidents(path.read_bytes())
        except FileNotFoundError:
            return []
        except (KeyError, TypeError, ValueError) as error:
            log.error("incidents in %s cannot be read, and are set aside: %s", path.name, error)
            self.set_aside(path)
            return []

    def set_aside(self, path: Path) -> None:
        """Keep a change that cannot be taken, for a person to look at."""
        path.rename(path.with_suffix(".aside"))

    def remove(self, path: Path) -> None:
        """Forget a change that has been taken."""
        path.unlink(missing_ok=True)


def encode_incidents(incidents: Sequence[Incident]) -> bytes:
    """Return a JSON list of whole incidents."""
    listed = [incident.format() for incident in incidents]
    return json.dumps(listed, ensure_ascii=False).encode("utf-8", "replace")


def decode_incidents(content: bytes) -> list[Incident]:
    """Return what `encode_incidents` got. Raises KeyError, TypeError or ValueError for anything else."""
    return [Incident.parse(fields) for fields in json.loads(content)]
