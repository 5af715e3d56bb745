"""What happens in watched folders, by pyinotify on the loop. All that eomd knows of pyinotify stands here.

Events are hints: they may be lost, and whoever listens looks at the folder itself. The notifier is told to
read less at a time than it would: sixteen thousand events can wait, and the loop has others to serve.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
from collections.abc import Callable
from typing import Any

import pyinotify

#: taken from the kernel in one turn of the loop: at most 128 events, some two milliseconds
READ_BYTES_MAX = 4096
_HEAD = struct.Struct("iIII")
_READY = pyinotify.IN_CLOSE_WRITE | pyinotify.IN_MOVED_TO
_GONE = pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_UNMOUNT | pyinotify.IN_IGNORED
_MASK = pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_ONLYDIR
#: whatever can make what is read under a name another thing than before
_CHANGED = _READY | pyinotify.IN_CREATE | pyinotify.IN_DELETE | pyinotify.IN_MOVED_FROM | pyinotify.IN_ATTRIB

log = logging.getLogger(__name__)


def make_manager() -> Any:
    """Return what FolderEvents needs. Blocks: it asks other processes where the C library is.

    Raises OSError where the kernel has no more watches to give.
    """
    # it would talk to stderr by itself
    pyinotify.log.handlers.clear()
    pyinotify.log.setLevel(logging.CRITICAL)
    return pyinotify.WatchManager()


class FolderEvents:
    """Watches folders, each under a key of the caller's. For one loop."""

    def __init__(
        self,
        manager: Any,
        on_ready: Callable[[str, str], None],
        on_gone: Callable[[str], None],
        on_lost: Callable[[], None],
        *,
        any_change: bool = False,
    ) -> None:
        """Have these told: `on_ready` key and name of what was closed after writing or renamed into a folder,
        `on_gone` the key of a folder that is not where it was, `on_lost` that events were lost.

        With `any_change` `on_ready` is told too of what was made, renamed, deleted, or given other rights.
        """
        self._on_ready, self._on_gone, self._on_lost = on_ready, on_gone, on_lost
        self._heard = _CHANGED if any_change else _READY
        self._manager = manager
        self._watches: dict[str, int] = {}
        loop = asyncio.get_running_loop()
        # an overflow belongs to no watch: only the notifier's own function hears of it
        self._notifier = _Notifier(self._manager, loop, self._read_failed, self._hear_overflow)

    def watch(self, key: str, path: str) -> None:
        """Watch the folder that is at this path now, in the place of the key's former one. Raises OSError."""
        self.forget(key)
        try:
            watches = self._manager.add_watch(
                path, _MASK | self._heard, proc_fun=lambda event: self._hear(key, event), quiet=False
            )
        except (pyinotify.WatchManagerError, UnicodeError) as error:
            raise OSError(f"{path} cannot be watched: {error}") from error
        (self._watches[key],) = watches.values()

    def forget(self, key: str) -> None:
        """Stop watching a folder."""
        watch = self._watches.pop(key, None)
        if watch is not None and watch not in self._watches.values():
            self._manager.rm_watch(watch)

    def close(self) -> None:
        self._notifier.stop()

    def _hear(self, key: str, event: Any) -> None:
        if self._watches.get(key) != event.wd:
            # of a folder that was watched under this key before
            return
        if event.mask & self._heard:
            self._on_ready(key, event.name)
        elif event.mask & _GONE:
            self.forget(key)
            self._on_gone(key)

    def _hear_overflow(self, event: Any) -> None:
        if event.mask & pyinotify.IN_Q_OVERFLOW:
            self._on_lost()

    def _read_failed(self, error: Exception) -> None:
        log.error("events of watched folders could not be read: %s", error)
        self._on_lost()


class _Notifier(pyinotify.AsyncioNotifier):  # type: ignore[misc]
    """Reads a bounded number of events at a time, and names that are no UTF-8."""

    def __init__(
        self,
        manager: Any,
        loop: asyncio.AbstractEventLoop,
        on_error: Callable[[Exception], None],
        default: Callable[[Any], None],
    ) -> None:
        self._on_error = on_error
        super().__init__(manager, loop, default_proc_fun=default)

    def handle_read(self, *_: object) -> None:
        try:
            self.read_events()
            self.process_events()
        except Exception as error:  # of pyinotify's making; what it has not read comes with the next turn
            self._on_error(error)

    def read_events(self) -> None:
        data = os.read(self._fd, READ_BYTES_MAX)
        start = 0
        while start < len(data):
            watch, mask, cookie, length = _HEAD.unpack_from(data, start)
            start += _HEAD.size
            name = os.fsdecode(data[start : start + length].rstrip(b"\0"))
            start += length
            self.append_event(pyinotify._RawEvent(watch, mask, cookie, name))
