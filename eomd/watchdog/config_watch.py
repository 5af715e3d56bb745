"""The configuration is watched: what changes in its files is checked, taken over, and told to the server.

The files are the truth, looked at every few seconds; events only make that sooner. A configuration that is
wrong changes nothing: what was good before stays in use, and an incident says what is wrong, and where.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from eomd.errors import ConfigurationError, EomdError
from eomd.watchdog.charge import Charge
from eomd.watchdog.chronicle import Chronicle
from eomd.watchdog.config_events import ConfigEvents
from eomd.watchdog.config_stamp import Folders, Stamp, files_of, take_look
from eomd.watchdog.configuration import Configuration
from eomd.watchdog.liveness import SERVING, ServerState
from eomd.watchdog.off_loop import OffLoop
from eomd.watchdog.server_link import ServerAwayError, ServerLink
from eomd.watchdog.supervisor import Supervisor
from eomd.watchdog.writer import Writer

log = logging.getLogger(__name__)

#: between two looks at the files, should the kernel not tell of their changes
LOOK_S = 10.0
#: files are read once they have stood still for so long: a writer may not be done
STILL_S = 0.2
#: so long a reload tells what was taken over before anybody asked for it
OF_LATE = timedelta(minutes=5)
#: what is wrong may be cured by something else than these files: a folder's rights, a missing program
RETRY_S = 30.0
#: for the server to take a configuration over
SERVER_S_MAX = 20.0
OK = 200

ITSELF = "its files have changed"


class ConfigWatch:
    """A part of the watchdog."""

    name = "configuration"

    def __init__(
        self,
        configuration: Configuration,
        supervisor: Supervisor,
        link: ServerLink,
        chronicle: Chronicle,
        writer: Writer,
        hand_on: Callable[[], None],
    ) -> None:
        """`hand_on` has every part go on with the configuration as it is then."""
        self._configuration, self._supervisor, self._link = configuration, supervisor, link
        self._chronicle, self._writer, self._hand_on = chronicle, writer, hand_on
        self._off_loop: OffLoop[tuple[Stamp, Folders]] = OffLoop("config-watch")
        self._stirred = asyncio.Event()
        self._events = ConfigEvents(self._stirred.set)
        #: as of the last look
        self._folders: Folders = {}
        self._reading = asyncio.Lock()
        #: as the files were when they were read last; None: read them whatever they are
        self._stamp: Stamp | None = None
        #: what was last said to be wrong
        self._told: tuple[str, ...] = ()
        #: the server has to be told
        self._untold = False
        #: keys that the watch has taken over, and when
        self._taken: tuple[list[str], datetime] | None = None
        #: keys that have changed and wait for another server
        self._waiting: tuple[str, ...] = ()
        self._read = datetime.now(UTC)
        #: how it stood when that was last asked for, and since when
        self._state, self._since = "good", self._read
        supervisor.add_listener(self._hear_server)

    def view(self) -> dict[str, object]:
        problems = self._configuration.problems
        state = "wrong" if problems else "good"
        if state != self._state:
            self._state, self._since = state, datetime.now(UTC)
        return {
            "state": state,
            "since": self._since.isoformat(timespec="seconds"),
            "source": str(self._configuration.source),
            "problems": list(problems),
            "needs_restart": self._needs_restart,
        }

    def take_charge(self, charge: Charge) -> None:
        """It is this part that hands charges on."""

    async def run(self) -> None:
        """Watch until cancelled."""
        self._tell_problems()
        try:
            self._stamp = await self._look()
            if self._configuration.has_changed():
                self._stamp = None
            await self._watch()
        finally:
            self._events.close()

    async def _watch(self) -> None:
        while True:
            await self._look_after_files()
            charge = self._configuration.charge
            await self._events.follow(self._folders, self._files, charge.clusters_folder)
            await self._tell_server_if_needed()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._stirred.wait()
            self._stirred.clear()

    async def reload(self, who: str) -> dict[str, Any]:
        """Read the configuration now; return what came of it. Raises ConfigurationError, EomdError.

        `taken` are the keys in force now, `before` those that came into force by themselves of late.
        """
        outcome = await self._take(who, await self._look())
        return {**outcome, "before": self._taken_of_late(), "needs_restart": self._needs_restart}

    def _taken_of_late(self) -> dict[str, object] | None:
        if self._taken is None or datetime.now(UTC) - self._taken[1] > OF_LATE:
            return None
        return {"at": self._taken[1].isoformat(timespec="seconds"), "keys": self._taken[0]}

    # --- the files

    async def _look(self) -> Stamp:
        look = partial(take_look, self._files, self._configuration.charge.clusters_folder)
        stamp, self._folders = await self._off_loop.run(look)
        return stamp

    @property
    def _files(self) -> list[Path]:
        return files_of(self._configuration.charge, self._configuration.source)

    async def _look_after_files(self) -> None:
        """Read the files where they are others than those read last, or where it is time to try again."""
        stamp = await self._look()
        if stamp == self._stamp and not self._is_retry_due():
            return
        while (later := await self._look_later()) != stamp:
            stamp = later
        try:
            await self._take(ITSELF, stamp)
        except ConfigurationError:
            # it is told where it is found
            return
        except EomdError as error:
            log.warning("the configuration could not be read, and will be read again: %s", error)

    async def _look_later(self) -> Stamp:
        await asyncio.sleep(STILL_S)
        return await self._look()

    def _is_retry_due(self) -> bool:
        age_s = (datetime.now(UTC) - self._read).total_seconds()
        return bool(self._configuration.problems) and age_s >= RETRY_S

    # --- taking over

    async def _take(self, who: str, stamp: Stamp) -> dict[str, Any]:
        async with self._reading:
            was_wrong = bool(self._configuration.problems)
            try:
                await self._configuration.load()
            except ConfigurationError:
                self._stamp = stamp
                self._read = datetime.now(UTC)
                self._tell_problems()
                raise
            self._stamp, self._read = stamp, datetime.now(UTC)
            self._hand_on()
            return await self._bring_to_server(who, was_wrong)

    def _tell_problems(self) -> None:
        problems = self._configuration.problems
        if problems and problems != self._told:
            for problem in problems:
                log.error("the configuration is wrong: %s", problem)
            self._chronicle.configuration_wrong("; ".join(problems), "stays in use")
        self._told = problems

    async def _bring_to_server(self, who: str, was_wrong: bool) -> dict[str, Any]:
        said = self._set_server_aside(was_wrong)
        return {"taken": [], "outcome": said} if said else await self._tell_server(who)

    def _set_server_aside(self, was_wrong: bool) -> str:
        """Return why there is no server to be told; "" where there is."""
        supervisor = self._supervisor
        if supervisor.stopped_by_person:
            self._chronicle.configuration_good()
            return "a person stopped the server; it reads the configuration when it starts"
        if supervisor.runs_copy:
            # it reads the copy: only another one reads what is good again
            supervisor.replace("the configuration is good again")
            return "the server is replaced: it ran with the last good configuration"
        if supervisor.state in SERVING:
            return ""
        if was_wrong:
            supervisor.replace("the configuration is good again")
        self._untold = True
        return f"the server is {supervisor.state}; it is told when it serves"

    async def _tell_server_if_needed(self) -> None:
        if self._untold and self._supervisor.state in SERVING:
            with suppress(ConfigurationError):
                async with self._reading:
                    await self._tell_server(ITSELF)

    async def _tell_server(self, who: str) -> dict[str, Any]:
        """Have the server read it; return what it has taken. Raises ConfigurationError where it does not."""
        self._untold = True
        try:
            answer = await self._ask()
        except ServerAwayError as error:
            log.warning("the server was not told of the configuration, and will be: %s", error)
            return {"taken": [], "outcome": f"the server is told later: {error}"}
        self._untold = False
        if answer["problems"]:
            problems = tuple(answer["problems"])
            self._configuration.refuse_loaded(problems)
            self._tell_problems()
            raise ConfigurationError(*problems)
        self._waiting = tuple(answer["needs_restart"])
        self._configuration.prove_loaded(self._writer)
        self._chronicle.configuration_good()
        if who == ITSELF and answer["taken"]:
            self._taken = answer["taken"], datetime.now(UTC)
        if answer["taken"] or answer["needs_restart"]:
            self._chronicle.reloaded(who, answer["taken"], self._needs_restart)
        return {"taken": answer["taken"], "outcome": ""}

    async def _ask(self) -> Mapping[str, Any]:
        status, answer = await self._link.call("POST", "/internal/reload", timeout_s=SERVER_S_MAX)
        if status != OK:
            raise ServerAwayError(f"it answers with status {status}: {answer}")
        data: Mapping[str, Any] = answer["data"]
        return data

    @property
    def _needs_restart(self) -> list[str]:
        fixed = self._configuration.needs_restart
        return [*fixed, *(key for key in self._waiting if key not in fixed)]

    def _hear_server(self, state: ServerState) -> None:
        if state is ServerState.STARTING:
            # it reads the files itself
            self._waiting, self._untold = (), False
        elif state in SERVING and self._untold:
            self._stirred.set()
