"""GET and HEAD /download: a source, result or log by its name, whole or a part of it."""

from __future__ import annotations

import logging

from eomd.handlers.answer import Failure, encode
from eomd.handlers.base import ApiHandler
from eomd.handlers.download_source import DownloadSource
from eomd.handlers.file_name import attachment
from eomd.handlers.ranges import (
    UnsatisfiableRangeError,
    format_date,
    is_unchanged,
    parse_range,
    range_holds,
)
from eomd.handlers.requests import DownloadRequest
from eomd.operations.desk import Download

logger = logging.getLogger(__name__)


class DownloadHandler(ApiHandler):
    async def get(self) -> None:
        request = self.parameters(DownloadRequest)
        download = await self.context.desk.open_download(
            request.name, self.asking(), failed_only=request.rows == "failed", bom=request.bom
        )
        self._describe(download)
        if self._is_unchanged(download):
            self.set_status(304)
            self.finish()
            return
        source = self.context.download_source(download)
        await source.open()
        try:
            await self._send(download, source)
        finally:
            await source.close()

    head = get

    def _is_unchanged(self, download: Download) -> bool:
        none_match = self.request.headers.get("If-None-Match")
        since = self.request.headers.get("If-Modified-Since")
        return is_unchanged(none_match, since, download.etag, download.modified)

    async def _send(self, download: Download, source: DownloadSource) -> None:
        try:
            start, stop = self._choose(download, source.size)
        except UnsatisfiableRangeError:
            self._refuse_range(source.size)
            return
        self.set_header("Content-Length", str(stop - start))
        if self.request.method == "HEAD":
            self.finish()
            return
        await self._send_bytes(source, start, stop)

    def _describe(self, download: Download) -> None:
        self.set_header("Content-Type", download.content_type)
        self.set_header("Content-Disposition", attachment(download.save_as))
        self.set_header("ETag", download.etag)
        self.set_header("Last-Modified", format_date(download.modified))
        self.set_header("Accept-Ranges", "bytes")
        # kept by the browser, asked for again each time: the ETag makes that cheap
        self.set_header("Cache-Control", "private, no-cache")

    def _choose(self, download: Download, size: int) -> tuple[int, int]:
        """Return (start, stop) and set the status. Raises UnsatisfiableRangeError."""
        headers = self.request.headers
        wanted = None
        if "Range" in headers and range_holds(headers.get("If-Range"), download.etag, download.modified):
            wanted = parse_range(headers["Range"], size)
        if wanted is None:
            return 0, size
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {wanted[0]}-{wanted[1] - 1}/{size}")
        return wanted

    def _refuse_range(self, size: int) -> None:
        for name in ("Content-Disposition", "ETag", "Last-Modified"):
            self.clear_header(name)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Content-Range", f"bytes */{size}")
        failure = Failure("BAD_REQUEST", f"the range lies outside of the file's {size} bytes", {"size": size})
        self.set_status(416)
        self.finish(encode(failure.envelope()))

    async def _send_bytes(self, source: DownloadSource, start: int, stop: int) -> None:
        try:
            async for piece in source.pieces(start, stop):
                self.write(piece)
                if not await self.push():
                    return
        except OSError as error:
            # the headers have promised more: a cut connection tells the client that this is not all
            logger.error("Download broke off: %s", error)
            self.hang_up()
            return
        self.finish()
