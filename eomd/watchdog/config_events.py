"""Hints that the configuration's files have changed, so that nobody waits for the next look at them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from eomd.watchdog.config_stamp import Folders
from eomd.watchdog.inotify import FolderEvents, make_manager
from eomd.watchdog.off_loop import OffLoop

log = logging.getLogger(__name__)


class ConfigEvents:
    """Watches the folders that hold the files. For one loop; whoever listens also looks now and then."""

    def __init__(self, stir: Callable[[], None]) -> None:
        """`stir` is called when something may have changed."""
        self._stir = stir
        self._off_loop: OffLoop[Any] = OffLoop("config-events")
        self._events: FolderEvents | None = None
        #: what is watched, under the folder's path
        self._watched: Folders = {}
        self._files: frozenset[Path] = frozenset()
        self._clusters: Path | None = None
        self._troubled = False

    async def follow(self, folders: Folders, files: Collection[Path], clusters: Path | None) -> None:
        """Watch these folders from now on: for the files, and for every `*.toml` in `clusters`."""
        self._files, self._clusters = frozenset(files) | ({clusters} if clusters else set()), clusters
        if folders == self._watched:
            return
        try:
            await self._watch(folders)
        except OSError as error:
            if not self._troubled:
                log.warning("changes of the configuration are noticed late: %s", error)
            self._troubled = True
        else:
            self._troubled = False
            # for what has happened in them before they were watched
            self._stir()

    async def _watch(self, folders: Folders) -> None:
        if self._events is None:
            manager = await self._off_loop.run(make_manager)
            self._events = FolderEvents(manager, self._hear, self._hear_gone, self._stir, any_change=True)
        for path in set(self._watched) - set(folders):
            self._events.forget(str(path))
            del self._watched[path]
        for path, identity in folders.items():
            if self._watched.get(path) != identity:
                self._watched.pop(path, None)
                self._events.watch(str(path), str(path))
                self._watched[path] = identity

    def close(self) -> None:
        if self._events is not None:
            self._events.close()
        self._events, self._watched = None, {}

    def _hear(self, folder: str, name: str) -> None:
        path = Path(folder, name)
        if path in self._files or (path.parent == self._clusters and path.suffix == ".toml"):
            self._stir()

    def _hear_gone(self, folder: str) -> None:
        with suppress(KeyError):
            del self._watched[Path(folder)]
        self._stir()
