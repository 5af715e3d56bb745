"""The sign on the door while a person has stopped the server: each request is answered 503 and nobody waits.

Says what the server's own refusals say (`handlers/answer.py`), and reads no more of a request than it must.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from contextlib import suppress
from socket import socket

from eomd.errors import StoppedError
from eomd.handover import API

log = logging.getLogger(__name__)

#: a caller is given so long to send a request, and to take the answer
PATIENCE_S = 10.0
HEADER_BYTES_MAX = 32 * 1024
#: of a body that comes with the request, read and dropped: unread bytes would take the answer away
DROPPED_BYTES_MAX = 1 << 20
#: callers at a time; more are hung up on
CALLERS_MAX = 200

_STOPPED = StoppedError("eomd was stopped by a person; eomd start starts it again")
_BODY = json.dumps(
    {
        "code": 50303,
        "error": _STOPPED.code,
        "msg": str(_STOPPED),
        "data": {"retry_after_s": _STOPPED.retry_after_s},
    }
).encode()
_HEAD = (
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    f"Content-Length: {len(_BODY)}\r\n"
    f"Retry-After: {_STOPPED.retry_after_s}\r\n"
    "Cache-Control: no-store\r\n"
    "Connection: close\r\n"
    "\r\n"
).encode()


class ClosedSign:
    """Hung out on the listening sockets, which stay open when it is taken in."""

    def __init__(self, sockets: Mapping[str, socket], tls_cert: str, tls_key: str) -> None:
        self._sockets, self._tls_cert, self._tls_key = sockets, tls_cert, tls_key
        self._servers: list[asyncio.Server] = []
        self._callers = 0

    async def hang_out(self) -> None:
        """Answer from now on. A certificate that cannot be used leaves HTTPS callers waiting."""
        for name, listener in self._sockets.items():
            try:
                tls = None if name == API else self._tls()
            except (OSError, ssl.SSLError) as error:
                log.error("HTTPS callers are not answered: %s", error)
                continue
            # a copy: closing asyncio's server closes its socket
            server = await asyncio.start_server(
                self._answer, sock=listener.dup(), ssl=tls, limit=HEADER_BYTES_MAX
            )
            self._servers.append(server)

    def take_in(self) -> None:
        """Stop answering; who connects from now on is the server's."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()

    def _tls(self) -> ssl.SSLContext | None:
        if not self._tls_cert:
            return None
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._tls_cert, self._tls_key)
        return tls

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        try:
            if self._callers <= CALLERS_MAX:
                async with asyncio.timeout(PATIENCE_S):
                    await _refuse(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            log.debug("a caller was not answered: %s", error)
            writer.transport.abort()
        finally:
            self._callers -= 1
            writer.close()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(_HEAD if head.startswith(b"HEAD ") else _HEAD + _BODY)
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    dropped = 0
    with suppress(ConnectionError):
        while dropped < DROPPED_BYTES_MAX and (chunk := await reader.read(64 * 1024)):
            dropped += len(chunk)
