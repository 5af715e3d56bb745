"""What hand-in and upload share: a body that may bring a file, and what speaks against taking one now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from eomd.errors import BadRequestError, TooLargeError
from eomd.handlers.base import ApiHandler
from eomd.handlers.body import FRAMING_BYTES_MAX, JSON_BYTES_MAX, Body, JsonBody, MultipartBody
from eomd.handlers.staged_file import StagedFile


class ReceivingHandler(ApiHandler):
    """Takes a file as multipart/form-data; as JSON where `takes_json`."""

    #: the parts that must come
    parts: tuple[str, ...] = ("file",)
    takes_json = False

    async def admit(self) -> None:
        self._check_media_type()
        await self.context.desk.check_intake()

    @property
    def body_bytes_max(self) -> int:
        if self._is_json():
            return JSON_BYTES_MAX
        return self.context.upload_mb * 2**20 + FRAMING_BYTES_MAX

    @property
    def body_limit(self) -> TooLargeError:
        if self._is_json():
            return TooLargeError("body", JSON_BYTES_MAX, "bytes")
        return TooLargeError("limits.upload_mb", self.context.upload_mb, "MB")

    def open_body(self) -> Body:
        if self._is_json():
            return JsonBody()
        file = StagedFile(self.context.desk.receiving(), self.context.receiving, self.context.upload_mb)
        header = self.request.headers["Content-Type"]
        return MultipartBody(header, file, parts=self.parts, on_config=self.take_config)

    def take_config(self, value: Any) -> None:
        """Judge the config part as soon as it is there."""

    @asynccontextmanager
    async def received(self) -> AsyncIterator[tuple[Path, str]]:
        """Give the received file's path and original name; remove it where nobody has moved it away."""
        body = self.release_body()
        assert isinstance(body, MultipartBody)
        try:
            yield body.file.path, body.original_name
        finally:
            await body.abort()

    def _is_json(self) -> bool:
        return self.takes_json and self._media_type() == "application/json"

    def _media_type(self) -> str:
        return self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def _check_media_type(self) -> None:
        if self._media_type() != "multipart/form-data" and not self._is_json():
            also = " or application/json" if self.takes_json else ""
            raise BadRequestError(f"the Content-Type must be multipart/form-data{also}")
