"""The inbox's incidents: folders that cannot be used, files that cannot be taken, events that were lost."""

from __future__ import annotations

from collections.abc import Container, Sequence

from eomd.watchdog.inbox_places import Places
from eomd.watchdog.incidents import Incidents, Kind

FILES = "files in the inbox"
CLAIMS = "files taken from the inbox"
EVENTS = "events of the inbox"
#: names that one summary lists
NAMED_MAX = 3


class InboxWord:
    """Opens and closes them. May be told the same again and again."""

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    def tell_places(self, places: Places, replaced: Container[str]) -> None:
        """Say of each folder whether it can be used; `replaced`: recipes whose folder is another one now."""
        for place in places.drops:
            if place.trouble is not None:
                self._say(place.subject, f"{place.path}: {place.trouble}")
                continue
            if place.recipe in replaced:
                how = "was gone and has been made again" if place.made else "is not the folder it was"
                self._say(
                    place.subject, f"{place.path} {how}: deleted, moved, or another one mounted over it"
                )
            self._incidents.close(Kind.INBOX_UNREADABLE, place.subject, "it is watched")

    def tell_events(self, trouble: str | None) -> None:
        self._tell(EVENTS, trouble and f"{trouble}: the inbox is looked at every few seconds instead")

    def tell_files(self, troubles: Sequence[tuple[str, str]]) -> None:
        """Say which files cannot be taken, by (name, reason); none: all is well."""
        named = "; ".join(f"{_printable(name)}: {reason}" for name, reason in troubles[:NAMED_MAX])
        more = f" (and {len(troubles) - NAMED_MAX} more)" if len(troubles) > NAMED_MAX else ""
        self._tell(FILES, named + more if troubles else None)

    def tell_lost(self, names: Sequence[str]) -> None:
        """Say which claims wait for a `.taken` folder that is not there."""
        named = ", ".join(map(_printable, names[:NAMED_MAX]))
        self._tell(
            CLAIMS, names and f"{len(names)} are not in .taken, which is another folder now: {named} …"
        )

    def tell_overflow(self) -> None:
        self._incidents.open(
            Kind.INBOX_OVERFLOW, "inbox", "more files came at once than the kernel keeps events of"
        )

    def tell_looked_through(self) -> None:
        self._incidents.close(Kind.INBOX_OVERFLOW, "inbox", "the folder was looked through; nothing is lost")

    def forget_others(self, subjects: Sequence[str]) -> None:
        """Close what is open about folders that are not the inbox's any more."""
        own = {*subjects, FILES, CLAIMS, EVENTS}
        for incident in self._incidents.open_now:
            if incident.kind == Kind.INBOX_UNREADABLE and incident.subject not in own:
                self._incidents.close(Kind.INBOX_UNREADABLE, incident.subject, "it is not watched any more")

    def _tell(self, subject: str, trouble: object) -> None:
        if trouble:
            self._say(subject, str(trouble))
        else:
            self._incidents.close(Kind.INBOX_UNREADABLE, subject)

    def _say(self, subject: str, summary: str) -> None:
        self._incidents.open(Kind.INBOX_UNREADABLE, subject, summary)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
