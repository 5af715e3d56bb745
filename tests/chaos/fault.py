"""What every fault is: put on the system, seen by it, taken off it again, and got over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random

from tests.chaos.system import System


class Fault(ABC):
    """One fault, used once. `subject`: what it is put on; two of one subject never stand at once."""

    #: its row in the table
    name: str
    subject: str
    #: it ends by itself: the system has to get over it without help
    passing = False
    #: nothing has to be said of it: the system may go on as if there were none
    silent = False

    def __init__(self, system: System, random: Random) -> None:
        self.system, self.random = system, random

    @staticmethod
    def possible(system: System) -> bool:
        """Tell whether this machine lets it be put on."""
        return True

    @abstractmethod
    def inject(self) -> None:
        """Put it on."""

    def noticed(self) -> bool:
        """Tell whether the system says that there is something wrong."""
        return True

    def heal(self) -> None:  # noqa: B027 (one that passes by itself needs none)
        """Take it off."""

    @abstractmethod
    def healed(self) -> bool:
        """Tell whether the system is over it."""


class IncidentFault(Fault):
    """A fault that the watchdog opens an incident of, and closes it when it is over."""

    #: any of them will do
    kinds: tuple[str, ...]

    def inject(self) -> None:
        self._known = {incident.id for incident in self.system.eyes.incidents()}
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Put it on."""

    #: part of the incident's subject
    about = ""

    def noticed(self) -> bool:
        return any(
            self._is_ours(i.kind, i.subject) and i.id not in self._known for i in self.system.eyes.incidents()
        )

    def closed(self) -> bool:
        """Tell whether no incident of it is open any more."""
        return not any(
            self._is_ours(i.kind, i.subject) and i.closed is None for i in self.system.eyes.incidents()
        )

    def healed(self) -> bool:
        return self.closed()

    def _is_ours(self, kind: str, subject: str) -> bool:
        return kind in self.kinds and self.about in subject
