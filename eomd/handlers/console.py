"""The console: the page itself at each of its addresses, and the files that it is made of.

What a request names is looked up among the files read at the start, and never joined to a path. What the page
may do is said in POLICY: scripts, styles and connections of our own alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

from eomd.errors import NotFoundError
from eomd.handlers.base import ApiHandler
from eomd.handlers.console_files import HOW_TO_BUILD, BuiltFile
from eomd.handlers.ranges import is_unchanged

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # small pictures of Element Plus' styles
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
_PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
#: an asset's name has a hash of what it holds
_FOR_EVER = "public, max-age=31536000, immutable"
#: kept, and asked for again each time: the ETag makes that cheap
_ASK_AGAIN = "no-cache"


class ConsoleHandler(ApiHandler):
    """Sends what was built."""

    cache_control: ClassVar[str] = _ASK_AGAIN

    def send_page(self) -> None:
        """Answer with the page. Raises NotFoundError where it was not built."""
        page = self.context.console.page
        if page is None:
            raise NotFoundError(f"the console is {HOW_TO_BUILD}")
        for name, value in _PAGE_HEADERS.items():
            self.set_header(name, value)
        self.send_file(page)

    def send_file(self, file: BuiltFile) -> None:
        packed = file.packed if accepts_gzip(self.request.headers.get("Accept-Encoding", "")) else None
        etag = f'"{file.hash}{"" if packed is None else "-gzip"}"'
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", self.cache_control)
        self.set_header("ETag", etag)
        self.set_header("Vary", "Accept-Encoding")
        if is_unchanged(self.request.headers.get("If-None-Match"), None, etag, self.context.started):
            self.set_status(304)
            self.finish()
            return
        if packed is not None:
            self.set_header("Content-Encoding", "gzip")
        self.finish(file.content if packed is None else packed)


class ConsolePageHandler(ConsoleHandler):
    """An address of the console: the page, which finds out by itself what to show there."""

    async def get(self, **_: Any) -> None:
        self.send_page()

    head = get


class ConsoleAssetHandler(ConsoleHandler):
    """A script, a style, a picture, by its name."""

    cache_control = _FOR_EVER

    async def get(self, name: str) -> None:
        file = self.context.console.assets.get(name)
        if file is None:
            raise self.nothing_here()
        self.send_file(file)

    head = get


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client takes gzip, as its Accept-Encoding says."""
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
