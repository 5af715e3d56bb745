"""What the watchdog and the machine's own commands say, through its own socket alone; see docs/watchdog.md.

Watchdog and server may be of two versions after an upgrade: fields that nobody knows here are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from eomd.errors import BadRequestError
from eomd.handlers.base import ApiHandler
from eomd.handlers.body import JsonBody
from eomd.handlers.views import format_time
from eomd.operations.watch import WatchNews

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class RecycleOrder:
    cluster: str


@dataclass(frozen=True, slots=True)
class LinkOrder:
    user: str


_LINK = TypeAdapter(LinkOrder)
_WATCH_NEWS = TypeAdapter(WatchNews)
_RECYCLE = TypeAdapter(RecycleOrder)


class InternalHandler(ApiHandler):
    """A path for this machine alone."""

    def word(self, shape: TypeAdapter[Shape]) -> Shape:
        """Return the JSON body in this shape. Raises BadRequestError."""
        assert isinstance(self.body, JsonBody)
        try:
            return shape.validate_python(self.body.value())
        except ValidationError as error:
            raise BadRequestError(f"not what is said here: {error}") from error


class WatchHandler(InternalHandler):
    """PUT: what the watchdog sees. Answers with how the server sees the same things."""

    async def put(self) -> None:
        self.answer(self.context.desk.watch.hear(self.word(_WATCH_NEWS)))


class RecycleHandler(InternalHandler):
    """POST `{"cluster"}`: have a pool's connections replaced."""

    async def post(self) -> None:
        self.context.desk.recycle(self.word(_RECYCLE).cluster)
        self.answer(None)


class ReloadHandler(InternalHandler):
    """POST: read the configuration again. Answers with what is in force now and what waits for a restart."""

    async def post(self) -> None:
        self.answer(await self.context.reload())


class IncidentNewsHandler(InternalHandler):
    """POST: there is something new in the incidents' spool."""

    async def post(self) -> None:
        self.context.desk.incidents.news()
        self.answer(None)


class LinkHandler(InternalHandler):
    """POST `{"user"}`: make a one-time link. Whoever runs eomd could as well give that user a password."""

    async def post(self) -> None:
        user = self.word(_LINK).user
        code, expires = self.context.access.people.make_link(user)
        await self.context.desk.audit.note(self.asking(), "make_link", f"user {user}", {})
        self.answer({"code": code, "expires": format_time(expires)})
