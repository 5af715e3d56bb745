"""What all handlers have in common: who asks, how much may be sent, how answers and refusals leave.

Every handler takes its body as a stream, so that a refusal can be sent before the body has come. Such a
refusal is sent at once; then the rest of the body is read and dropped, because closing a socket with unread
bytes resets the connection, and a reset takes the answer away from a client that is still sending.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar, TypeVar, cast

from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from eomd.errors import (
    BadRequestError,
    DrainingError,
    EomdError,
    FieldProblem,
    InvalidConfigError,
    NotFoundError,
    TooBusyError,
    TooLargeError,
)
from eomd.handlers.answer import (
    Failure,
    encode,
    failure_of,
    internal_failure,
    method_not_allowed,
    success,
)
from eomd.handlers.body import JSON_BYTES_MAX, Body, JsonBody
from eomd.handlers.context import Context
from eomd.handlers.requests import OPERATION_ID_MAX, Request, validate, validate_parameters
from eomd.handlers.route import Method, Route
from eomd.operations.caller import Caller, Operator

logger = logging.getLogger(__name__)

#: of a refused request's body, read and dropped
DROPPED_BYTES_MAX = 64 * 2**20
DROPPING_S_MAX = 10.0
#: a year
HSTS_S = 31_536_000
#: a body that brings nothing for so long is given up
STALL_S_MAX = 60.0
#: a body that takes longer than this must come at least so fast, or is given up
UNHURRIED_S_MAX = 60.0
BODY_BYTES_PER_S_MIN = 1024
#: a client that takes nothing of an answer for so long is given up
FLUSH_S_MAX = 60.0
#: Tornado answers its own limit without JSON, so that ours are the ones that count
_UNLIMITED = 2**62
#: of an unknown path, in what is said about it
PATH_CHARACTERS_MAX = 200

RequestModel = TypeVar("RequestModel", bound=Request)


class _EveryMethod(tuple[str, ...]):
    """Lets every method reach `prepare`, where an unknown one is refused like any other request."""

    def __contains__(self, method: object) -> bool:
        return True


@stream_request_body
class ApiHandler(RequestHandler):
    """One request. Subclasses have `get`, `post` … that call one function of the desk and `answer`."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = _EveryMethod()  # type: ignore[misc]

    def initialize(self, route: Route, context: Context, **_: Any) -> None:
        self.route, self.context = route, context
        self.caller: Caller | None = None
        self.body: Body | None = None
        self._bigint_as_string = False
        #: bytes dropped since the refusal; None: not refused
        self._dropped: int | None = None
        self._received, self._began_s = 0, asyncio.get_running_loop().time()
        self._timer: asyncio.TimerHandle | None = None
        self._left = False
        self._changes = self._may_change()
        self._excessive = self.connection.stream in context.excess
        context.enter(changes=self._changes)
        self._promise_tls()

    def _promise_tls(self) -> None:
        """Have a browser that came by TLS come by nothing else from now on."""
        if self.context.access.is_secure(self.request):
            self.set_header("Strict-Transport-Security", f"max-age={HSTS_S}")

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        # answers are data: a browser that is led to one as a page runs and frames nothing of it
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        # called before there is a context too, and again where an error begins the answer anew
        if hasattr(self, "context"):
            self._promise_tls()

    def compute_etag(self) -> str | None:
        """Answers of the API change; hashing them would save nothing."""
        return None

    @property
    def method(self) -> Method:
        """The method of the route that was called. Only after `prepare`."""
        assert self.request.method is not None
        return self.route.methods[self.request.method]

    @property
    def connection(self) -> HTTP1Connection:
        return cast(HTTP1Connection, self.request.connection)

    async def prepare(self) -> None:
        """Refuse what can be refused before the body is read; get ready for it otherwise."""
        self._await_body()
        try:
            self._check_framing()
            self._check_room()
            if self.request.method not in self.route.methods:
                await self._refuse(method_not_allowed(str(self.request.method), list(self.route.methods)))
                return
            self._bigint_as_string = self._take_bigint()
            self._identify()
            await self._check_grants()
            if self._changes and self.context.draining.is_set():
                raise DrainingError("the server is shutting down; try again in a moment")
            await self.admit()
            self._check_length()
            self.body = self.open_body()
        except EomdError as error:
            await self._refuse(failure_of(error))
        except Exception:
            await self._refuse(self._log_internal())
        self._watch_stall()

    async def admit(self) -> None:
        """Raise the EomdError that speaks against this request, as far as that shows before its body."""

    def open_body(self) -> Body:
        """Return what takes this request's body."""
        return JsonBody(self.body_bytes_max)

    @property
    def body_bytes_max(self) -> int:
        return JSON_BYTES_MAX

    @property
    def body_limit(self) -> TooLargeError:
        """What is raised for a longer body."""
        return TooLargeError("body", JSON_BYTES_MAX, "bytes")

    async def data_received(self, chunk: bytes) -> None:
        """Pass on what came of the body, or drop it after a refusal."""
        self._watch_stall()
        self._received += len(chunk)
        if self._is_too_slow():
            self.hang_up()
            return
        if self._dropped is not None:
            self._dropped += len(chunk)
            if self._dropped > DROPPED_BYTES_MAX:
                self.hang_up()
            return
        assert self.body is not None
        try:
            await self.body.receive(chunk)
        except EomdError as error:
            await self._refuse(failure_of(error))
        except Exception:
            await self._refuse(self._log_internal())

    def release_body(self) -> Body:
        """Return the body; from now on what it left on the disk is the caller's to remove."""
        assert self.body is not None
        body, self.body = self.body, None
        return body

    def on_finish(self) -> None:
        self._leave()

    def on_connection_close(self) -> None:
        # ends who waits for the rest of the body
        super().on_connection_close()
        self._leave()

    def _leave(self) -> None:
        """Clean up, whichever way the request ended: answered or hung up."""
        if self._left:
            return
        self._left = True
        self.context.leave(changes=self._changes)
        self._stop_timer()
        if self.body is not None:
            self.context.spawn(self.body.abort())

    # --- what subclasses ask with

    def parameters(self, model: type[RequestModel]) -> RequestModel:
        """Return the query string's fields. Raises InvalidConfigError."""
        arguments = {k: v for k, v in self.request.query_arguments.items() if k != "bigint"}
        return validate_parameters(model, arguments)

    def fields(self, model: type[RequestModel]) -> RequestModel:
        """Return the JSON body's fields. Raises BadRequestError, InvalidConfigError, ForbiddenError."""
        assert isinstance(self.body, JsonBody)
        return self.signed(model, self.body.value())

    def signed(self, model: type[RequestModel], value: Any) -> RequestModel:
        """Return a validated request in which the operator is filled in, where the caller tells who that is.

        Raises InvalidConfigError, ForbiddenError where the request names somebody else.
        """
        if self.caller is None or not model.signed or "operatorid" not in model.model_fields:
            return validate(model, value)
        request = validate(model, self.caller.sign(value))
        self.act_for(request)
        return request

    def act_for(self, request: Request) -> None:
        """Have the caller act for the operator that the request names. Raises ForbiddenError."""
        operatorid: int | None = getattr(request, "operatorid", None)
        if operatorid is not None:
            name = getattr(request, "operatorname", None) or ""
            self.caller = self.asking().acting_for(Operator(operatorid, name))

    def asking(self) -> Caller:
        """Return who asks, on a path that is not open to everybody."""
        assert self.caller is not None
        return self.caller

    def parse_id(self, text: str) -> int:
        """Return an operation's id. Raises NotFoundError for what cannot be one."""
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= OPERATION_ID_MAX):
            raise NotFoundError(f"there is no operation {text[:32]!r}")
        return int(text)

    def nothing_here(self) -> NotFoundError:
        """Return what answers a path that is not there, for this caller at least."""
        path = self.request.path[:PATH_CHARACTERS_MAX]
        return NotFoundError(f"there is nothing at {path}; see /openapi.json")

    # --- how answers leave

    def answer(self, data: object, status: int = 200) -> None:
        """End the request with success."""
        self.set_status(status)
        self.finish(encode(success(data), bigint_as_string=self._bigint_as_string))

    async def push(self) -> bool:
        """Send what was written, as fast as the client takes it; False once it is gone or takes nothing."""
        try:
            async with asyncio.timeout(FLUSH_S_MAX):
                await self.flush()
        except StreamClosedError:
            return False
        except TimeoutError:
            self.hang_up()
            return False
        return True

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """End the request with what a method raised: called by Tornado."""
        _, error, _ = kwargs.get("exc_info", (None, None, None))
        if isinstance(error, EomdError):
            failure = failure_of(error)
        elif isinstance(error, HTTPError) and error.status_code == 400:
            failure = Failure("BAD_REQUEST", "the request is not well-formed")
        else:
            failure = self._failure or internal_failure()
        self._put(failure)
        self.finish(encode(failure.envelope(), bigint_as_string=self._bigint_as_string))

    _failure: Failure | None = None

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log what nobody raised on purpose, under the reference that its answer will carry."""
        known = isinstance(value, EomdError) and failure_of(value).code != "INTERNAL"
        if not known and not isinstance(value, HTTPError | StreamClosedError):
            self._failure = self._log_internal(value)

    def _log_internal(self, error: BaseException | None = None) -> Failure:
        failure = internal_failure()
        logger.error(
            "Request failed: %s %s, reference %s",
            self.request.method, self.request.path, failure.data["reference"],
            exc_info=error or True,
        )  # fmt: skip
        return failure

    def _put(self, failure: Failure) -> None:
        self.set_status(failure.http)
        for name, value in failure.headers.items():
            self.set_header(name, value)

    # --- refusals, while the body may still be coming

    async def _refuse(self, failure: Failure) -> None:
        """Send the failure at once; read and drop the rest of the body, then close."""
        self._put(failure)
        content = encode(failure.envelope(), bigint_as_string=self._bigint_as_string)
        self._dropped = 0
        if not self._brings_body():
            # Tornado would close a connection whose request was answered before its end
            if self._excessive:
                self.set_header("Connection", "close")
            self.write(content)
            return
        self.set_header("Connection", "close")
        self.set_header("Content-Length", str(len(content)))
        # a client that waits for leave to send its body must not get it after this answer
        self.request.headers.pop("Expect", None)
        self.write(content)
        self._start_timer(DROPPING_S_MAX)
        await self.push()

    def _await_body(self) -> None:
        """Have `_end_body` called when the body has come to its end, in the place of the method itself."""
        self.connection.set_max_body_size(_UNLIMITED)
        setattr(self, str(self.request.method).lower(), self._end_body)

    async def _end_body(self, **path: str) -> None:
        self._stop_timer()
        if self._dropped is not None:
            sent = self.finish()
            if self._excessive:
                with suppress(StreamClosedError, TimeoutError):
                    async with asyncio.timeout(FLUSH_S_MAX):
                        await sent
            if self._brings_body() or self._excessive:
                self.hang_up()
            return
        if self.body is not None:
            await self.body.close()
        serve = getattr(type(self), str(self.request.method).lower())
        await serve(self, **path)

    def _brings_body(self) -> bool:
        headers = self.request.headers
        return "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"

    def hang_up(self) -> None:
        if self.connection.stream is not None:
            self.connection.stream.close()

    def _watch_stall(self) -> None:
        """Start the clock anew: something has come. A refused body has one clock for the whole of it."""
        if self._dropped is None and not self._left and self._brings_body():
            self._start_timer(STALL_S_MAX)

    def _is_too_slow(self) -> bool:
        """Tell whether the body drips: a byte now and then would keep its place here for ever."""
        took_s = asyncio.get_running_loop().time() - self._began_s
        return took_s > UNHURRIED_S_MAX and self._received < took_s * BODY_BYTES_PER_S_MIN

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.hang_up)

    # --- what is looked at before the body

    def _may_change(self) -> bool:
        """Tell whether this request may change anything, as far as its method says."""
        method = self.route.methods.get(str(self.request.method))
        return method is not None and self.request.method not in ("GET", "HEAD") and not method.reads

    def _check_room(self) -> None:
        if self._excessive:
            raise TooBusyError("connections", "limits.connections", self.context.connections_max)

    def _check_framing(self) -> None:
        """Raise BadRequestError for what Tornado would answer without JSON."""
        headers = self.request.headers
        length, coding = headers.get("Content-Length"), headers.get("Transfer-Encoding")
        if coding is not None and (coding.lower() != "chunked" or length is not None):
            raise BadRequestError("expected either Content-Length or Transfer-Encoding: chunked")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) <= 18):
            raise BadRequestError("Content-Length is not a number")

    def _check_length(self) -> None:
        if int(self.request.headers.get("Content-Length", "0")) > self.body_bytes_max:
            raise self.body_limit

    def _take_bigint(self) -> bool:
        values = self.request.query_arguments.get("bigint", [b"number"])
        if len(values) != 1 or values[0] not in (b"string", b"number"):
            raise InvalidConfigError([FieldProblem("bigint", "expected string or number")])
        return values[0] == b"string"

    def _identify(self) -> None:
        if self.route.internal:
            self.caller = self.context.access.identify_own(self.request)
            if self.caller is None:
                raise self.nothing_here()
            return
        if self.method.role is None:
            self.caller = self.context.access.identify_if_possible(self.request)
            return
        self.caller = self.context.access.identify(self.request, mis=self.method.mis)
        self.caller.demand_role(self.method.role)

    async def _check_grants(self) -> None:
        """Raise ForbiddenError for what is not granted to a limited caller; by default, for anything."""
        caller, subject = self.caller, self.route.subject
        if caller is None or caller.grants.whole or self.method.role is None:
            return
        if subject == "operation":
            operation = await self.context.desk.operation(self.parse_id(self.path_kwargs["id"]))
            caller.demand_order(operation.order)
        elif subject == "cluster":
            caller.demand_cluster(self.path_kwargs["name"])
        elif not self.method.narrows:
            caller.demand_whole()


class UnknownPathHandler(ApiHandler):
    """Every path that no route has."""

    async def prepare(self) -> None:
        self._await_body()
        try:
            self._check_room()
            raise self.nothing_here()
        except EomdError as error:
            await self._refuse(failure_of(error))
