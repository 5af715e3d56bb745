"""GET /operations/ID/evidence: one zip, sent while it is made."""

from __future__ import annotations

import logging
from contextlib import aclosing

from eomd.handlers.base import ApiHandler
from eomd.handlers.file_name import attachment
from eomd.handlers.requests import Nothing

logger = logging.getLogger(__name__)


class EvidenceHandler(ApiHandler):
    async def get(self, id: str) -> None:
        self.parameters(Nothing)
        evidence = await self.context.desk.evidence(self.parse_id(id), self.asking())
        self.set_header("Content-Type", "application/zip")
        self.set_header("Content-Disposition", attachment(evidence.name))
        try:
            async with aclosing(evidence.pieces) as pieces:
                async for piece in pieces:
                    self.write(piece)
                    if not await self.push():
                        return
        except OSError as error:
            # the headers are gone: a cut connection tells the client that this is not all
            logger.error("Evidence broke off: %s", error)
            self.hang_up()
            return
        self.finish()
