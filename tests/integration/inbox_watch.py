"""The watchdog's inbox on real folders, with a clerk in the server's place that answers as it is told."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

from eomd.inbox_layout import REFUSED, TAKEN
from eomd.model import Incident
from eomd.watchdog.charge import Charge, InboxCharge, LedgerCharge, LogCharge, WatchdogCharge
from eomd.watchdog.inbox import Inbox
from eomd.watchdog.incident_files import IncidentFiles
from eomd.watchdog.incidents import Incidents
from eomd.watchdog.schedule import Schedule
from eomd.watchdog.server_link import ServerAwayError
from eomd.watchdog.supervisor import ServerState
from tests.integration.life import until

QUIET_S = 0.2
#: so long that nothing found without an event is taken during a test
NEVER_S = 3600.0
DAILY = {"cluster": "fish", "model": "query", "eids": [1001, 1002]}
NAME = "query_fish_1001_x.csv"


def make_charge(
    folder: Path,
    *,
    path: Path | None = None,
    quiet_s: float = NEVER_S,
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
    enabled: bool = True,
    min_free_mb: int = 1,
) -> Charge:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    return Charge(
        source=None,
        data_dir=data,
        runtime=folder / "run",
        listen="",
        tls_cert="",
        tls_key="",
        min_free_mb=min_free_mb,
        files_days=0,
        watchdog=WatchdogCharge(0.5, 3.0, 2.0, (0.1, 10.0), 1024, False),
        ledger=LedgerCharge("", None, ""),
        clusters=(),
        inbox=InboxCharge(path or data / "inbox", enabled, 5, "night", quiet_s, recipes or {}),
        log=LogCharge("info", "text"),
    )


class Clerk:
    """Answers offers; refuses what has a problem, as the server does."""

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        #: how often each taken name was admitted or refused
        self.admitted: Counter[str] = Counter()
        self.refused: dict[str, str] = {}
        #: the last claim offered of each taken name
        self.offered: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.away = False
        #: the answer to everything, instead of his own
        self.always: dict[str, Any] | None = None

    async def call(self, method: str, path: str, body: Any = None, *, timeout_s: float) -> tuple[int, Any]:
        assert (method, path) == ("POST", "/internal/inbox")
        self.calls += 1
        if self.away:
            raise ServerAwayError("nobody there")
        await asyncio.sleep(0)
        return 200, {"data": {"answers": [self._answer(claim) for claim in body["claims"]]}}

    def _answer(self, claim: dict[str, Any]) -> dict[str, Any]:
        taken = claim["taken"]
        self.offered[taken] = claim
        if self.always is not None:
            return {"taken": taken, "reason": "as told", **self.always}
        if taken in self.admitted:
            return {"taken": taken, "verdict": "admitted", "operation": 1}
        if claim["problem"] is not None:
            with_problem = self._inbox / TAKEN / taken
            if with_problem.exists() or with_problem.is_symlink():
                with_problem.rename(self._inbox / REFUSED / taken)
            self.refused[taken] = claim["problem"]
            return {"taken": taken, "verdict": "refused", "reason": claim["problem"]}
        if not (self._inbox / TAKEN / taken).exists():
            return {"taken": taken, "verdict": "missing", "reason": "it is not there"}
        self.admitted[taken] += 1
        return {"taken": taken, "verdict": "admitted", "operation": 1}

    @property
    def names(self) -> list[str]:
        """Return the names that were admitted, as they were dropped."""
        return sorted(self.offered[taken]["name"] for taken in self.admitted)


class Watched:
    """A running inbox."""

    def __init__(self, charge: Charge, clerk: Clerk, incidents: Incidents) -> None:
        loop = asyncio.get_running_loop()
        self.charge, self.clerk, self.incidents = charge, clerk, incidents
        self.path = charge.inbox.path
        self.part = Inbox(charge, incidents, clerk, Schedule(loop.time, loop.call_at, Random()))

    @property
    def state(self) -> Any:
        return self.part.view()["state"]

    def drop(self, name: str, content: bytes = b"1\n", recipe: str = "") -> None:
        """Write a file and close it."""
        path = self.path / recipe / name if recipe else self.path / name
        path.write_bytes(content)

    def left(self) -> list[str]:
        """Return what lies in the inbox itself."""
        return sorted(name for name in os.listdir(self.path) if not name.startswith("."))

    def taken(self) -> list[str]:
        return sorted(name for name in os.listdir(self.path / TAKEN) if not name.startswith("."))

    async def admitted(self, *names: str) -> None:
        """Wait until exactly these were admitted, each once."""
        await until(lambda: len(self.clerk.admitted) >= len(names), f"{len(names)} files are admitted")
        assert self.clerk.names == sorted(names)

    async def reach(self, state: str) -> None:
        await until(lambda: self.state == state, f"the inbox is {state}")

    def open_incident(self, subject: str) -> Incident | None:
        return self.incidents.find_open("inbox_unreadable", subject)

    def closed_incidents(self, kind: str = "inbox_unreadable") -> list[Incident]:
        return [i for i in self.incidents.recent(100) if i.kind == kind and i.closed is not None]


@asynccontextmanager
async def watching(
    charge: Charge, clerk: Clerk | None = None, *, ready: bool = True, wait: bool = True
) -> AsyncIterator[Watched]:
    """Run an inbox; a server is there from the beginning unless told otherwise."""
    files = IncidentFiles(charge.folder, charge.data_dir / "spool" / "incidents")
    watched = Watched(charge, clerk or Clerk(charge.inbox.path), Incidents(files))
    if ready:
        watched.part.hear_server(ServerState.READY)
    running = asyncio.create_task(watched.part.run())
    try:
        if wait:
            await until(lambda: watched.state == "watching" or running.done(), "the inbox is watched")
        yield watched
        assert not running.done(), running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@contextmanager
def as_nobody(*folders: Path) -> Iterator[None]:
    """Let the process be somebody without rights, who owns these folders; it is so already unless root."""
    if os.geteuid() != 0:
        yield
        return
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
