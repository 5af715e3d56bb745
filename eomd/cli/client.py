"""A small HTTP client for the commands: JSON, streamed uploads and downloads, over the Unix socket or TCP.

`http.client` underneath: nothing that the server does not need has to be installed for it.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from eomd.errors import EomdError

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 60.0
#: a hand-in is answered once its file is validated
HAND_IN_TIMEOUT_S = 900.0
#: how long an answer that says "later", or none at all, is tried again
PATIENCE_S = 60.0
PAUSE_S = 1.0
CHUNK_BYTES = 256 * 1024
ANSWER_BYTES_MAX = 64 << 20
PROBLEMS_SHOWN_MAX = 20
RETRIED_ERRORS = frozenset({"LEDGER_UNAVAILABLE", "QUEUE_FULL", "DRAINING", "TOO_BUSY"})

#: told how many bytes have gone, of how many (0: not known)
OnBytes = Callable[[int, int], None]
#: told why the same request is sent again
OnRetry = Callable[[str], None]


class ServerAwayError(EomdError):
    """Nobody listens there: nothing was sent."""

    code = "SERVER_AWAY"


class AnswerLostError(EomdError):
    """The request was sent, and whether it was done is not known."""

    code = "ANSWER_LOST"


class ApiError(EomdError):
    """The server's refusal."""

    def __init__(self, status: int, body: Mapping[str, Any], retry_after_s: float) -> None:
        self.status = status
        self.code = str(body.get("error", f"HTTP_{status}"))
        self.data = body.get("data")
        self.retry_after_s = retry_after_s
        lines = [str(body.get("msg") or f"the server answered with HTTP status {status}")]
        if self.code == "INVALID_FILE" and isinstance(self.data, Mapping):
            lines += _format_problems(self.data)
        super().__init__("\n".join(lines))


def _format_problems(data: Mapping[str, Any]) -> list[str]:
    shown = [_format_problem(problem) for problem in data.get("problems", [])[:PROBLEMS_SHOWN_MAX]]
    rest = int(data.get("total_problems", len(shown))) - len(shown)
    return [*shown, f"… and {rest} more"] if rest > 0 else shown


def _format_problem(problem: Mapping[str, Any]) -> str:
    column = f", column {problem['column']}" if problem.get("column") else ""
    value = f" (found {problem['value']!r})" if problem.get("value") else ""
    return f"line {problem['line']}{column}: {problem['reason']}{value}"


@dataclass(frozen=True)
class Target:
    """Where the server is, and who we are there."""

    #: http://host:port or https://…; empty for the socket
    url: str = ""
    socket: Path | None = None
    token: str = ""

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """Return an open connection. Raises ServerAwayError."""
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            raise ServerAwayError(self._explain(error)) from error
        connection.sock.settimeout(timeout_s)
        return connection

    def _connection(self) -> http.client.HTTPConnection:
        if self.socket is not None:
            return _UnixConnection(self.socket)
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerAwayError(f"--url: expected http://host:port, found {self.url}")
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=CONNECT_TIMEOUT_S, context=context
            )
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=CONNECT_TIMEOUT_S)

    def _explain(self, error: OSError) -> str:
        if self.socket is None:
            return f"no server answers at {self.url}: {error.strerror or error}"
        if isinstance(error, PermissionError):
            return (
                f"{self.socket} is for the user who runs the server; use --url with --token, or be that user"
            )
        return (
            f"no server is running here; start one with: eomd up ({self.socket}: {error.strerror or error})"
        )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(CONNECT_TIMEOUT_S)
            self.sock.connect(str(self._path))
        except BaseException:
            self.close()
            raise


class Client:
    """Speaks to one server. Each request has a connection of its own: the server may restart in between."""

    def __init__(
        self,
        target: Target,
        on_retry: OnRetry = lambda reason: None,
        answer_s_max: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._target = target
        self._on_retry = on_retry
        self._answer_s_max = answer_s_max

    @property
    def is_local(self) -> bool:
        """Whether the server is this machine's, spoken to through its own socket."""
        return self._target.socket is not None

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer's `data`. Raises ApiError, ServerAwayError, AnswerLostError."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._request("GET", f"{path}?{urlencode(given)}" if given else path)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send JSON, or nothing; return the answer's `data`. Raises as `get`."""
        content = b"" if body is None else json.dumps(body).encode()
        return self._request(method, path, content, {"Content-Type": "application/json"} if content else {})

    def _request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Any:
        connection = self._target.connect(self._answer_s_max)
        with _answer_lost(connection):
            connection.request(method, path, body or None, {**self._headers(), **(headers or {})})
            return _read_answer(connection.getresponse())

    def _headers(self) -> dict[str, str]:
        own = {"Accept": "application/json", "Connection": "close"}
        return {**own, "Authorization": f"Bearer {self._target.token}"} if self._target.token else own

    def hand_in(
        self, model: str, config: Mapping[str, Any], source: Path, on_bytes: OnBytes
    ) -> dict[str, Any]:
        """Upload a file and return the operation made of it.

        A lost answer, a restart or a full queue is tried again for PATIENCE_S under the same
        Idempotency-Key: what was taken is taken once. Raises as `get`.
        """
        key = uuid4().hex
        deadline = time.monotonic() + PATIENCE_S
        sent = False
        while True:
            try:
                return self._hand_in(model, config, source, key, on_bytes)
            except ServerAwayError as error:
                # at first it simply does not run; after a lost answer it restarts
                if not sent:
                    raise
                _rest(error, PAUSE_S, deadline, self._on_retry)
            except AnswerLostError as error:
                sent = True
                _rest(error, PAUSE_S, deadline, self._on_retry)
            except ApiError as error:
                if error.code not in RETRIED_ERRORS:
                    raise
                sent = True
                _rest(error, error.retry_after_s, deadline, self._on_retry)

    def _hand_in(
        self, model: str, config: Mapping[str, Any], source: Path, key: str, on_bytes: OnBytes
    ) -> dict[str, Any]:
        with source.open("rb") as file:
            form = _Form(config, source.name, file)
            connection = self._target.connect(HAND_IN_TIMEOUT_S)
            with _answer_lost(connection):
                connection.putrequest("POST", f"/{model}")
                for name, value in {**self._headers(), **form.headers(), "Idempotency-Key": key}.items():
                    connection.putheader(name, value)
                connection.endheaders()
                _send_parts(connection, form, on_bytes)
                operation: dict[str, Any] = _read_answer(connection.getresponse())
                return operation

    def download(self, name: str, out: IO[bytes], on_bytes: OnBytes) -> None:
        """Write a result to `out`, without a BOM. Raises as `get`."""
        self.fetch(f"/download?name={quote(name)}&bom=0", out, on_bytes)

    def fetch(self, path: str, out: IO[bytes], on_bytes: OnBytes) -> None:
        """Write what stands at a path to `out`. Raises as `get`."""
        connection = self._target.connect(self._answer_s_max)
        with _answer_lost(connection):
            connection.request("GET", path, headers=self._headers())
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                _read_answer(answer)
            total, done = answer.length or 0, 0
            while chunk := answer.read(CHUNK_BYTES):
                out.write(chunk)
                done += len(chunk)
                on_bytes(done, total)
            if done < total:
                raise AnswerLostError("the download was cut off")


def _rest(error: EomdError, pause_s: float, deadline: float, on_retry: OnRetry) -> None:
    """Pause before another try. Raises `error` where there is no time left for one."""
    if time.monotonic() + pause_s > deadline:
        raise error
    on_retry(str(error).splitlines()[0])
    time.sleep(pause_s)


class _Form:
    """A multipart body: the configuration, then the file, whose length is known beforehand."""

    def __init__(self, config: Mapping[str, Any], name: str, file: IO[bytes]) -> None:
        self._boundary = uuid4().hex
        self._file = file
        file.seek(0, 2)
        self.file_bytes = file.tell()
        file.seek(0)
        opening = f"--{self._boundary}\r\nContent-Disposition: form-data; name="
        escaped = name.replace("\\", "%5C").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        self._head = (
            f'{opening}"config"\r\nContent-Type: application/json\r\n\r\n{json.dumps(dict(config))}\r\n'
            f'{opening}"file"; filename="{escaped}"\r\nContent-Type: text/csv\r\n\r\n'
        ).encode(errors="surrogateescape")
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()

    def headers(self) -> dict[str, str]:
        length = len(self._head) + self.file_bytes + len(self._tail)
        return {
            "Content-Type": f"multipart/form-data; boundary={self._boundary}",
            "Content-Length": str(length),
        }

    def parts(self) -> Iterator[bytes]:
        """Yield the body. Raises EomdError where the file changes its size under our hands."""
        yield self._head
        left = self.file_bytes
        while left:
            chunk = self._file.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise EomdError("the file became shorter while it was sent")
            left -= len(chunk)
            yield chunk
        yield self._tail


def _send_parts(connection: http.client.HTTPConnection, form: _Form, on_bytes: OnBytes) -> None:
    """Send the body, until the server has heard enough: a refusal comes before the body's end."""
    sent = 0
    for part in form.parts():
        # bytes on a TLS connection may be its own business
        if not isinstance(connection.sock, ssl.SSLSocket) and select.select([connection.sock], [], [], 0)[0]:
            return
        try:
            connection.send(part)
        except (BrokenPipeError, ConnectionResetError):
            # the answer may still lie in our buffer
            return
        sent += len(part)
        on_bytes(min(sent, form.file_bytes), form.file_bytes)


@contextmanager
def _answer_lost(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Close the connection in the end; make ours of what may go wrong on it."""
    try:
        yield
    except TimeoutError as error:
        raise AnswerLostError("the server does not answer") from error
    except (ConnectionError, http.client.HTTPException, ssl.SSLError) as error:
        raise AnswerLostError(f"the server broke off: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _read_answer(answer: http.client.HTTPResponse) -> Any:
    content = answer.read(ANSWER_BYTES_MAX)
    try:
        body = json.loads(content)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if answer.status >= 400 or "data" not in body:
        raise ApiError(answer.status, body, _retry_after_s(answer))
    return body["data"]


def _retry_after_s(answer: http.client.HTTPResponse) -> float:
    stated = answer.getheader("Retry-After", "")
    return float(stated) if stated.isdecimal() else PAUSE_S
