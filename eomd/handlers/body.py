"""Bodies of requests, taken as they arrive: JSON into memory up to a limit, multipart files onto the disk.

A body is given its bytes by `receive`, told its end by `close`, and dropped by `abort`; both may come once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from eomd.errors import BadRequestError, TooLargeError
from eomd.handlers.file_name import NAMELESS, original_name, parse_disposition
from eomd.handlers.staged_file import StagedFile
from eomd.handlers.strict_json import decode_json

JSON_BYTES_MAX = 2**20
CONFIG_BYTES_MAX = 64 * 1024
#: of one part, all its headers
PART_HEADER_BYTES_MAX = 8 * 1024
#: what a multipart body may hold beside the file itself
FRAMING_BYTES_MAX = CONFIG_BYTES_MAX + 4 * PART_HEADER_BYTES_MAX
CONFIG, FILE = "config", "file"


class Body(Protocol):
    """What a handler does with the body of its request."""

    async def receive(self, chunk: bytes) -> None:
        """Take the next bytes; return when more are welcome. Raises RequestError, DiskFullError."""
        ...

    async def close(self) -> None:
        """Take the end. Raises BadRequestError where the body is not complete."""
        ...

    async def abort(self) -> None:
        """Leave nothing behind."""
        ...


class JsonBody:
    """A body in memory."""

    def __init__(self, bytes_max: int = JSON_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._data = bytearray()

    async def receive(self, chunk: bytes) -> None:
        self._data += chunk
        if len(self._data) > self._bytes_max:
            raise TooLargeError("body", self._bytes_max, "bytes")

    async def close(self) -> None:
        """JSON is judged by `value`."""

    async def abort(self) -> None:
        self._data.clear()

    def value(self) -> Any:
        """Return the decoded JSON; {} for an empty body. Raises BadRequestError."""
        return decode_json(bytes(self._data), "the body") if self._data.strip() else {}


class MultipartBody:
    """A multipart/form-data body with a `file` part and, for a hand-in, a `config` part in either order."""

    def __init__(
        self,
        content_type: str,
        file: StagedFile,
        *,
        parts: tuple[str, ...],
        on_config: Callable[[Any], None] | None = None,
    ) -> None:
        """`on_config` is given the decoded config as soon as its part has ended, and may raise.

        Raises BadRequestError where the content type names no usable boundary.
        """
        self.file = file
        #: as the sender's machine calls it
        self.original_name = NAMELESS
        self._parts = parts
        self._on_config = on_config
        self._parser = self._make_parser(content_type)
        self._config = bytearray()
        self._seen: list[str] = []
        self._ended = False
        self._start_part()

    async def receive(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadRequestError("the body is not well-formed multipart/form-data") from error
        await self.file.settle()

    async def close(self) -> None:
        if not self._ended:
            raise BadRequestError("the body ends before its closing boundary")
        missing = [part for part in self._parts if part not in self._seen]
        if missing:
            raise BadRequestError(f"the part {missing[0]!r} is missing")
        await self.file.close()

    async def abort(self) -> None:
        self._config.clear()
        await self.file.abort()

    def _make_parser(self, content_type: str) -> MultipartParser:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not 1 <= len(boundary) <= 70:
            raise BadRequestError("the Content-Type names no boundary of 1 to 70 characters")
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._start_part,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def _start_part(self) -> None:
        self._name = ""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._header_name, self._header_value = bytearray(), bytearray()

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += self._count_header(data[start:end])

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += self._count_header(data[start:end])

    def _count_header(self, data: bytes) -> bytes:
        self._header_bytes += len(data)
        if self._header_bytes > PART_HEADER_BYTES_MAX:
            raise BadRequestError(f"a part's headers are longer than {PART_HEADER_BYTES_MAX} bytes")
        return data

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).strip().lower()] = bytes(self._header_value).strip()
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        kind, parameters = parse_disposition(self._headers.get(b"content-disposition", b""))
        if kind != "form-data" or "name" not in parameters:
            raise BadRequestError("a part has no Content-Disposition: form-data with a name")
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").lower()
        if encoding not in (b"binary", b"8bit", b"7bit"):
            raise BadRequestError("a part is encoded for transfer; send it as it is")
        self._name = self._admit_part(parameters["name"])
        if self._name == FILE:
            self.original_name = original_name(parameters) or NAMELESS

    def _admit_part(self, name: str) -> str:
        if name not in self._parts:
            expected = " and ".join(map(repr, self._parts))
            raise BadRequestError(f"the part {name[:64]!r} is unknown; expected {expected}")
        if name in self._seen:
            raise BadRequestError(f"the part {name!r} stands there twice")
        self._seen.append(name)
        return name

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self.file.take(data[start:end])
            return
        self._config += data[start:end]
        if len(self._config) > CONFIG_BYTES_MAX:
            raise TooLargeError("config", CONFIG_BYTES_MAX, "bytes")

    def _end_part(self) -> None:
        if self._name == CONFIG and self._on_config is not None:
            self._on_config(decode_json(bytes(self._config), "the part 'config'"))

    def _end(self) -> None:
        self._ended = True
