"""Tell systemd how the service is (sd_notify(3)); nothing where systemd did not start it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


def notify(environ: Mapping[str, str], message: str) -> None:
    """Send `READY=1` and the like. A service must not end because nobody listens."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # a leading @ stands for the abstract name space
    place = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(message.encode(), place)
    except OSError as error:
        log.warning("systemd was not told: %s", error)
