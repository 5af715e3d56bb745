"""What systemd is told (sd_notify(3)); nothing where systemd did not start us."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Mapping

log = logging.getLogger(__name__)

STATUS_CHARACTERS_MAX = 200
UNSAID_MAX = 20


class Notifier:
    """A service must not end because nobody listens: what cannot be said is logged once, and said later."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._failing = False
        #: a listener that is slow loses nothing that matters
        self._unsaid: deque[str] = deque(maxlen=UNSAID_MAX)
        #: how often systemd wants to hear that the loop runs; None: not at all
        self.watchdog_s = _watchdog_s(environ) if self._address else None

    def ready(self) -> None:
        self._tell("READY=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._tell(f"STATUS={' '.join(text.split())[:STATUS_CHARACTERS_MAX]}")

    def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` says that it has been."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Say that the loop runs."""
        if self.flush():
            self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask for so much time from now, for a start or stop that is under way."""
        if self.flush():
            self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def flush(self) -> bool:
        """Say what could not be said before; tell whether all of it is said now."""
        while self._unsaid and self._send(self._unsaid[0]):
            self._unsaid.popleft()
        return not self._unsaid

    def _tell(self, message: str) -> None:
        if self._address:
            self._unsaid.append(message)
            self.flush()

    def _send(self, message: str) -> bool:
        if not self._address:
            return True
        # a leading @ stands for the abstract name space
        place = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), place)
        except OSError as error:
            if not self._failing:
                log.warning("systemd was not told, and will be: %s", error)
            self._failing = True
            return False
        self._failing = False
        return True


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return half of what systemd allows between two signs (sd_watchdog_enabled(3))."""
    for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    allowed_us = environ.get("WATCHDOG_USEC", "")
    return int(allowed_us) / 2e6 if for_us and allowed_us.isdigit() and int(allowed_us) else None
