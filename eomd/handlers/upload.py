"""POST /upload: a file is kept and looked into; hand-ins name it later."""

from __future__ import annotations

from eomd.handlers.receiving import ReceivingHandler


class UploadHandler(ReceivingHandler):
    async def post(self) -> None:
        async with self.received() as (path, original_name):
            inspection = await self.context.desk.upload(path, original_name)
        self.answer(inspection, status=201)
