"""Which keys of the configuration take effect while eomd runs, and which wait for a restart, and of what.

The one table about that; `docs/configuration.md` says the same in words. Knows the standard library only: the
watchdog reads it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: (clusters, fish, nodes)
Path = tuple[str, ...]


class Takes(StrEnum):
    """What a change of a key needs to take effect."""

    #: a reload, which a changed file brings about by itself
    RELOAD = "at once"
    #: another server process
    SERVER = "a restart of the server"
    #: another watchdog process too
    UP = "a restart of eomd up"


#: by table, or by key where the table's keys differ; the longest name counts
TAKES: Mapping[str, Takes] = {
    # the sockets, the lock of the data folder and the runtime folder are the watchdog's, as long as it lives
    "data_dir": Takes.UP,
    "server.listen": Takes.UP,
    # the certificate in these files is read again at each reload
    "server.tls_cert": Takes.SERVER,
    "server.tls_key": Takes.SERVER,
    "server.trusted_proxies": Takes.RELOAD,
    # connections, their password and the tables' names are set up once
    "ledger": Takes.SERVER,
    "clusters": Takes.RELOAD,
    "inbox": Takes.RELOAD,
    "watchdog": Takes.RELOAD,
    "modify": Takes.RELOAD,
    "approval": Takes.RELOAD,
    "limits": Takes.RELOAD,
    "auth": Takes.RELOAD,
    "retention": Takes.RELOAD,
    "log": Takes.RELOAD,
}


def takes(path: Path) -> Takes:
    """Return what a change of this key needs. Raises KeyError for one that the table does not name."""
    for length in range(len(path), 0, -1):
        found = TAKES.get(".".join(path[:length]))
        if found is not None:
            return found
    raise KeyError(".".join(path))


@dataclass(frozen=True, slots=True)
class Change:
    """One key that has another value, or a whole table that has come or gone."""

    path: Path
    #: "new" or "gone" for a table, empty for a value
    kind: str = ""

    def __str__(self) -> str:
        name = ".".join(self.path)
        return f"{name} ({self.kind})" if self.kind else name


def find_changes(before: Mapping[str, Any], after: Mapping[str, Any], under: Path = ()) -> Iterator[Change]:
    """Yield what differs between two configurations, each a mapping of tables, in the order of their keys."""
    for key in (*before, *(key for key in after if key not in before)):
        path = (*under, key)
        if key not in after:
            yield Change(path, "gone")
        elif key not in before:
            yield Change(path, "new")
        elif isinstance(before[key], Mapping) and isinstance(after[key], Mapping):
            yield from find_changes(before[key], after[key], path)
        elif before[key] != after[key]:
            yield Change(path)
