"""The listening sockets: systemd's or our own, taken over from a watchdog that was killed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from socket import socket

from eomd.errors import FolderInUseError, ListenError
from eomd.handover import API, HTTP
from eomd.listen import close_sockets, open_sockets, open_unix, parse_listen, systemd_sockets
from eomd.runtime import API_SOCKET, SERVER_PID, running_pid
from eomd.watchdog.charge import Charge
from eomd.watchdog.leaving import Leaving
from eomd.watchdog.orphan import find_orphans

log = logging.getLogger(__name__)

#: between two looks whether it has let go
PAUSE_S = 0.05


class Doors:
    """Open from `open` to `close`, whatever becomes of the servers behind them."""

    def __init__(self, charge: Charge, environ: Mapping[str, str], leaving: Leaving) -> None:
        self._charge, self._leaving = charge, leaving
        self._opened: dict[str, socket] = {}
        #: by name, complete once `open` has returned
        self.sockets = systemd_sockets(environ)

    async def open(self, former: int | None) -> None:
        """Get all sockets. `former`: the pid of a watchdog that left its pid file behind.

        Raises ListenError for an address that cannot be had, FolderInUseError for a server started by hand.
        """
        orphans = list(find_orphans(former)) if former is not None else []
        for orphan in orphans:
            orphan.terminate()
            log.warning("process %d lost its watchdog: it was told to end", orphan.pid)
            # one that still answers somebody may do so while we work already
            self._leaving.let(orphan)
        while True:
            alone = all(orphan.exited.done() for orphan in orphans)
            holder = running_pid(self._charge.runtime / SERVER_PID)
            if holder is not None and alone:
                raise FolderInUseError(f"a server without a watchdog runs as process {holder}: end it first")
            if holder is None and self._open(last=alone):
                return
            await asyncio.sleep(PAUSE_S)

    def _open(self, *, last: bool) -> bool:
        """Open what systemd has not; False where that fails and this is not the last try."""
        try:
            if HTTP not in self.sockets:
                self._add(open_sockets(parse_listen(self._charge.listen), None))
            if API not in self.sockets:
                self._add({API: open_unix(self._charge.runtime / API_SOCKET, 0o600)})
        except ListenError:
            if last:
                raise
            return False
        return True

    def _add(self, opened: Mapping[str, socket]) -> None:
        self.sockets |= opened
        self._opened |= opened

    def close(self) -> None:
        """Close them, and leave no socket file behind that we made."""
        close_sockets(self._opened, remove=True)
        close_sockets(self.sockets)
