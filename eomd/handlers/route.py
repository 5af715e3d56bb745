"""What a route is: a path, the handler behind it, and what each of its methods asks and gives."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from eomd.model import Role

if TYPE_CHECKING:
    from eomd.handlers.base import ApiHandler

API_PREFIX = "/api/v1"

Subject = Literal["operation", "cluster"]
_SUBJECTS: dict[str, Subject] = {"/operations/{id}": "operation", "/clusters/{name}": "cluster"}


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a path, as it is served and as it is described."""

    summary: str
    #: the least role; None: anybody
    role: Role | None
    #: what is in the query string
    parameters: type[BaseModel] | None = None
    #: what is in the JSON body
    request: type[BaseModel] | None = None
    #: `data` of the envelope: anything pydantic can describe
    response: Any = None
    #: of success
    status: int = 200
    #: one of the paths that `auth.mis_networks` opens
    mis: bool = False
    #: the config part's model, where the body may be multipart; an upload's is None with `upload` True
    config: type[BaseModel] | None = None
    #: changes nothing, although it is neither GET nor HEAD
    reads: bool = False
    #: whether the body may be multipart with a `file` part
    upload: bool = False
    #: shows and changes by itself nothing but what is granted to the caller
    narrows: bool = False
    #: media type of success where it is no envelope
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One path. Answers at the root and, where it is part of the API, under API_PREFIX."""

    #: with names in braces: /operations/{id}
    path: str
    handler: type[ApiHandler]
    methods: dict[str, Method]
    #: more for the handler's `initialize`
    arguments: dict[str, Any] = field(default_factory=dict)
    #: for the watchdog and the commands, through the machine's own socket alone; not part of the API
    internal: bool = False
    #: a page or a file of the console, for browsers; not part of the API
    console: bool = False

    @property
    def subject(self) -> Subject | None:
        """What the path is about: the caller's grants are held against it before anything else happens."""
        return next((subject for under, subject in _SUBJECTS.items() if self.path.startswith(under)), None)

    @property
    def pattern(self) -> str:
        """The path as a regular expression for Tornado, with one group per name."""
        body = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        if self.internal or self.console:
            return body
        return f"(?:{API_PREFIX})?{body}" if self.path != "/" else f"(?:/|{API_PREFIX}/?)"
